//! Conflicts: made anew after a proven verdict, and never before.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use client::{Call, Client, Error, ValidationCode};

use crate::common::{Network, PATIENCE, alice, deposit, put};
use crate::relay::{Lie, Relay, ids};

/// Opens an account with nothing in it.
async fn open(client: &Client) {
    let account = ["7", "Tomoko", "0", "0"];
    let call = Call::new("smallbank", "create_account", account);
    assert!(client.submit(&alice(), call).await.unwrap().is_valid());
}

/// What the account holds, according to a quorum.
async fn balance(client: &Client) -> i64 {
    let call = Call::new("smallbank", "query", ["7"]);
    let read = client.evaluate(&alice(), call).await.unwrap();
    let read: serde_json::Value = serde_json::from_str(&read.answer.response).unwrap();
    read["checking"].as_i64().unwrap()
}

/// Relays before all nodes, of which the first to hear a transaction has others
/// write what it has read.
async fn overtaken(network: &Network) -> (Client, Vec<Arc<Relay>>) {
    let done = Arc::new(AtomicBool::new(false));
    let (mut apis, mut relays) = (Vec::new(), Vec::new());
    for behind in &network.apis {
        let lie = Lie::Overtakes(network.client(), done.clone());
        let (api, relay) = Relay::start(behind, lie).await;
        apis.push(api);
        relays.push(relay);
    }
    (network.client_at(&apis), relays)
}

fn all_handed_in(relays: &[Arc<Relay>]) -> Vec<Vec<u8>> {
    relays.iter().flat_map(|relay| relay.handed_in()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_made_anew_when_asked_and_takes_effect_once() {
    let network = Network::start().await;
    let (honest, key) = (network.client(), alice());
    open(&honest).await;

    let (client, relays) = overtaken(&network).await;
    let submit = client.submit(&key, deposit()).timeout(PATIENCE);
    let verdict = submit.await.unwrap();
    assert_eq!(verdict.code(), ValidationCode::MvccReadConflict);
    assert_eq!(
        ids(&all_handed_in(&relays)).len(),
        1,
        "nobody asked for more"
    );

    let (client, relays) = overtaken(&network).await;
    let submit = client.submit(&key, deposit()).timeout(PATIENCE);
    let done = submit.retry_conflicts(20).await.unwrap();
    assert!(done.is_valid());
    let ids = ids(&all_handed_in(&relays));
    assert!(ids.len() > 1);
    for id in ids {
        let receipt = honest.receipt(&id, PATIENCE).await.unwrap();
        let is_last = id == done.receipt.transaction_id;
        assert_eq!(receipt.code == ValidationCode::Valid, is_last);
    }
    // Two that overtook, and one that was made anew.
    assert_eq!(balance(&honest).await, 3);
}

/// All nodes show receipts by which others wrote in between, and none verifies.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_does_not_verify_never_leads_to_a_new_proposal() {
    let network = Network::start().await;
    let (honest, key) = (network.client(), alice());
    let other = honest.submit(&key, put("other")).await.unwrap();
    let (mut apis, mut relays) = (Vec::new(), Vec::new());
    for behind in &network.apis {
        let lie = Lie::Forges(Box::new(other.receipt.clone()));
        let (api, relay) = Relay::start(behind, lie).await;
        apis.push(api);
        relays.push(relay);
    }
    let client = network.client_at(&apis);
    let submit = client.submit(&key, put("a")).retry_conflicts(5);
    let failed = submit.timeout(Duration::from_secs(3)).await.unwrap_err();
    let Error::Unknown { transaction, last } = failed else {
        panic!("{failed}");
    };
    let last = last.map(|error| *error);
    assert!(matches!(last, Some(Error::NotVerified(_))), "{last:?}");
    let handed_in = all_handed_in(&relays);
    assert!(handed_in.len() > 1, "others were tried");
    let bytes = crypto::encode(&*transaction);
    assert!(handed_in.iter().all(|it| *it == bytes), "the same bytes");
    // And it has taken effect, once.
    let done = honest.order(*transaction, PATIENCE).await.unwrap();
    assert!(done.is_valid());
}
