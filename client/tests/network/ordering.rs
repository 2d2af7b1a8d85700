//! Handing in, where nodes are gone, full, or say anything.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use client::{Error, TIMEOUT, ValidationCode};

use crate::common::{Network, PATIENCE, alice, client_at, free_addresses, put, soon};
use crate::relay::{Lie, Relay};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_finds_its_way_when_the_first_node_is_dead_and_the_next_is_full() {
    let network = Network::start().await;
    let mut apis = network.apis.clone();
    apis[0] = format!("http://{}", free_addresses(1)[0]);
    let full = Lie::NoRoomAtFirst(AtomicBool::new(false));
    let (at, relay) = Relay::start(&network.apis[1], full).await;
    apis[1] = at;
    let client = network.client_at(&apis);
    let done = client.submit(&alice(), put("a")).timeout(PATIENCE).await;
    let done = done.unwrap();
    assert!(done.is_valid());
    let sent = crypto::encode(&done.transaction);
    assert_eq!(relay.handed_in()[0], sent, "the full one was asked");

    let read = client::Call::new("kv", "get", ["a"]);
    let read = client.evaluate(&alice(), read).await.unwrap();
    assert_eq!(read.answer.response, "1");
    assert_eq!(read.answered_by, ["node1", "node2", "node3"]);
    let nobody = client::Call::new("smallbank", "query", ["nobody"]);
    let refused = client.evaluate(&alice(), nobody).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
}

/// One node takes it and does nothing, all others refuse it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_may_have_taken_is_unknown_whatever_others_say() {
    let network = Network::start().await;
    let honest = network.client();
    let mut apis = Vec::new();
    for (place, behind) in network.apis.iter().enumerate() {
        let lie = if place == 0 {
            Lie::ThrowsAway
        } else {
            Lie::Refuses
        };
        apis.push(Relay::start(behind, lie).await.0);
    }
    let signed = honest.propose(&alice(), put("a")).await.unwrap();
    let transaction = honest.endorse(&signed, &alice()).await.unwrap();
    let lied_to = network.client_at(&apis);
    let within = Duration::from_secs(5);
    let open = lied_to
        .order(transaction.clone(), within)
        .await
        .unwrap_err();
    let Error::Unknown {
        transaction: kept, ..
    } = open
    else {
        panic!("{open}");
    };
    assert_eq!(*kept, transaction);
    let done = honest.order(*kept, PATIENCE).await.unwrap();
    assert!(done.is_valid());

    // Where all have refused, nobody has it.
    let signed = honest.propose(&alice(), put("b")).await.unwrap();
    let transaction = honest.endorse(&signed, &alice()).await.unwrap();
    let refusing = lied_to.beginning_at(1);
    let refused = refusing.order(transaction.clone(), TIMEOUT).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");

    let gone = free_addresses(4).into_iter();
    let gone: Vec<String> = gone.map(|address| format!("http://{address}")).collect();
    let gone = client_at(&network.genesis, &gone);
    let gone = gone.order(transaction, TIMEOUT).await.unwrap_err();
    assert!(
        matches!(gone, Error::Node(_)) && gone.is_unreachable(),
        "{gone}"
    );
}

/// A node that lies has passed the transaction on, and one that is behind does not
/// know its creator yet (here a relay stands for it): two refusals of four. Whoever
/// believed them and proposed anew could have it take effect twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_liar_and_one_that_is_behind_refuse_is_asked_of_others_too() {
    let network = Network::start().await;
    let honest = network.client();
    let mut apis = network.apis.clone();
    for (place, lie) in [Lie::PassesOnAndRefuses, Lie::Refuses]
        .into_iter()
        .enumerate()
    {
        apis[place] = Relay::start(&apis[place], lie).await.0;
    }
    let signed = honest.propose(&alice(), put("a")).await.unwrap();
    let transaction = honest.endorse(&signed, &alice()).await.unwrap();
    let lied_to = network.client_at(&apis).order(transaction, PATIENCE).await;
    assert_eq!(lied_to.unwrap().code(), ValidationCode::Valid);
}

/// Or it would wait for a block that will never be.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_blocks_begins_where_the_chain_is_and_not_where_a_liar_says() {
    let network = Network::start().await;
    let mut apis = network.apis.clone();
    let (api, relay) = Relay::start(&apis[0], Lie::FarAhead).await;
    apis[0] = api;
    let client = network.client_at(&apis);
    let _follower = client.follow().await.unwrap();
    let begins = async {
        while !relay.was_asked("/v1/blocks/1") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the first block is asked for", begins).await;
}

/// Or everything that is waited for would be as late as that one likes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_blocks_does_not_stay_with_a_node_that_shows_them_late() {
    const BLOCKS: usize = 12;
    let network = Network::start().await;
    let mut apis = network.apis.clone();
    let late = Lie::ShowsBlocksLate(Duration::from_millis(700));
    let (api, relay) = Relay::start(&apis[0], late).await;
    apis[0] = api;
    let client = network.client_at(&apis);
    let follower = client.follow().await.unwrap();
    for _ in 0..BLOCKS {
        let signed = client.propose(&alice(), put("a")).await.unwrap();
        let transaction = client.endorse(&signed, &alice()).await.unwrap();
        let code = client.order_by(&follower, transaction, PATIENCE).await;
        assert_eq!(code.unwrap(), ValidationCode::Valid);
    }
    assert!(relay.blocks_asked_for() <= BLOCKS / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_blocks_learns_every_verdict() {
    let network = Network::start().await;
    let client = network.client();
    let follower = client.follow().await.unwrap();
    let commit = async |key: &str| {
        let signed = client.propose(&alice(), put(key)).await.unwrap();
        let transaction = client.endorse(&signed, &alice()).await.unwrap();
        let code = client.order_by(&follower, transaction.clone(), PATIENCE);
        assert_eq!(code.await.unwrap(), ValidationCode::Valid);
        // What stands in the chain already is proven instead.
        let again = client.order_by(&follower, transaction, PATIENCE);
        assert_eq!(again.await.unwrap(), ValidationCode::Valid);
    };
    tokio::join!(commit("a"), commit("b"), commit("c"));

    // Two that wait for one transaction disturb each other as little as can be.
    let signed = client.propose(&alice(), put("d")).await.unwrap();
    let transaction = client.endorse(&signed, &alice()).await.unwrap();
    let order = || client.order_by(&follower, transaction.clone(), PATIENCE);
    let both = tokio::join!(order(), order());
    assert_eq!(both.0.unwrap(), ValidationCode::Valid);
    assert_eq!(both.1.unwrap(), ValidationCode::Valid);
}
