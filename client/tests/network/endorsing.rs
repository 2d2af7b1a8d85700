//! Endorsers that lie, refuse or are gone.

use client::{Call, Client, Error, SigningKey, ValidationCode};

use crate::common::{Network, PATIENCE, admin, alice, client_at, free_addresses, genesis, put};
use crate::relay::{Lie, Relay};

/// A client for which this relay stands before node1.
async fn behind(network: &Network, lie: Lie) -> Client {
    let mut apis = network.apis.clone();
    let (relay, _) = Relay::start(&apis[1], lie).await;
    apis[1] = relay;
    network.client_at(&apis)
}

fn create() -> Call {
    Call::new("asset", "CreateAsset", ["a", "blue", "5", "Tomoko", "300"])
}

/// Where the policy can be met without the liar, it costs a moment; where it
/// cannot, the liar stands apart by name.
#[tokio::test(flavor = "multi_thread")]
async fn an_endorser_that_lies_about_effects_is_named_or_made_up_for() {
    let network = Network::start().await;
    let lie = Lie::OtherEffects(network.genesis.network_id(), 1);
    let client = behind(&network, lie).await;
    let done = client.submit(&alice(), put("a")).await.unwrap();
    assert!(done.is_valid());
    let endorsers = done.transaction.endorsements.iter();
    let liar = crate::common::replica_key(1).public();
    assert!(endorsers.into_iter().all(|it| it.endorser != liar));

    let failed = client.submit(&alice(), create()).await.unwrap_err();
    let Error::Disagreement(disagreement) = &failed else {
        panic!("{failed}");
    };
    let groups = disagreement.groups.iter();
    let names: Vec<_> = groups.map(|group| group.endorsers.join(" ")).collect();
    assert!(names.contains(&"node1".to_owned()), "{names:?}");
    let text = failed.to_string();
    assert!(text.contains("\"mine\""), "{text}");
    assert!(text.contains("one of them lies"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endorsement_that_does_not_verify_is_named_or_made_up_for() {
    let network = Network::start().await;
    let client = behind(&network, Lie::BadSignatures).await;
    let done = client.submit(&alice(), put("a")).await.unwrap();
    assert!(done.is_valid());
    match client.submit(&alice(), create()).await {
        Err(Error::BadEndorsement { node, .. }) => assert_eq!(node, "node1"),
        other => panic!("{other:?}"),
    }
}

/// The endorsers say whom else a key takes, and they are asked.
#[tokio::test(flavor = "multi_thread")]
async fn who_guards_a_key_is_asked_to_endorse_what_is_written_to_it() {
    let network = Network::start().await;
    let (client, key) = (network.client(), alice());
    let guard = ["a", "AND('org2.peer', 'org3.peer')"];
    for call in [put("a"), Call::new("kv", "set_policy", guard), put("a")] {
        let done = client.submit(&key, call).await.unwrap();
        assert!(done.is_valid(), "{:?}", done.receipt);
        // Who is behind does not see the guard yet.
        for node in client.nodes() {
            let committed = node.api().receipt(&done.receipt.transaction_id, PATIENCE);
            committed.await.unwrap();
        }
    }
}

/// Nobody signs what an endorser says of the policies of keys.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_endorsers_there_are_not_keeps_nobody_from_writing() {
    let network = Network::start().await;
    let (liar, _) = Relay::start(&network.apis[1], Lie::AsksForNobody).await;
    let mut apis = network.apis.clone();
    apis[1] = liar;
    // Nobody is left who has not spoken.
    apis[3] = format!("http://{}", free_addresses(1)[0]);
    let client = network.client_at(&apis).beginning_at(1);
    assert!(client.submit(&alice(), put("a")).await.unwrap().is_valid());
}

/// Whoever took the key goes on endorsing with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_endorser_whose_key_was_revoked_is_left_out() {
    let network = Network::start().await;
    let revoke = Call::new("_members", "revoke", ["node0"]);
    let done = network.client().submit(&admin(), revoke).await.unwrap();
    assert!(done.is_valid(), "{:?}", done.receipt);
    let client = network.client();
    for node in client.nodes() {
        let committed = node.api().receipt(&done.receipt.transaction_id, PATIENCE);
        committed.await.unwrap();
    }
    // The node itself endorses no more.
    assert!(client.submit(&alice(), put("a")).await.unwrap().is_valid());

    let lie = Lie::EndorsesAs(network.genesis.network_id(), 0);
    let (relay, _) = Relay::start(&network.apis[1], lie).await;
    let mut apis = network.apis.clone();
    apis[0] = relay;
    let client = network.client_at(&apis);
    let first = client.submit(&alice(), put("a")).await.unwrap();
    assert_eq!(first.code(), ValidationCode::EndorsementPolicyFailure);
    assert!(client.submit(&alice(), put("a")).await.unwrap().is_valid());
}

/// One node's refusal is one node's word, two of four are that of a correct one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_counts_once_a_correct_node_must_have_given_it() {
    let network = Network::start().await;
    let client = behind(&network, Lie::Refuses).await.beginning_at(1);
    assert!(client.submit(&alice(), put("a")).await.unwrap().is_valid());
    let call = Call::new("smallbank", "deposit_checking", ["nobody", "1"]);
    let refused = network.client().submit(&alice(), call).await;
    match refused {
        Err(Error::Refused { body, .. }) => assert_eq!(body.code, "CONTRACT_ERROR"),
        other => panic!("{other:?}"),
    }
}

/// That is known for sure from a receipt alone, and others can still endorse.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_claims_that_all_is_committed_already_stops_nobody() {
    let network = Network::start().await;
    let client = behind(&network, Lie::CommittedAlready)
        .await
        .beginning_at(1);
    let done = client.submit(&alice(), put("a")).await.unwrap();
    assert!(done.is_valid());

    // Of what is committed indeed, two nodes say so.
    let (client, key) = (network.client(), alice());
    let signed = client.propose(&key, put("b")).await.unwrap();
    let transaction = client.endorse(&signed, &key).await.unwrap();
    let id = signed.proposal.id();
    client.order(transaction, PATIENCE).await.unwrap();
    for node in client.nodes() {
        node.api().receipt(&id, PATIENCE).await.unwrap();
    }
    let again = client.endorse(&signed, &key).await;
    assert!(
        matches!(again, Err(Error::AlreadyCommitted { id: of, .. }) if of == id),
        "{again:?}"
    );
}

/// Every node executes it, too, and what a liar has endorsed would be invalid for good.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_does_not_say_what_a_call_of_the_system_does() {
    let network = Network::start().await;
    let lie = Lie::OtherEffects(network.genesis.network_id(), 1);
    let client = behind(&network, lie).await.beginning_at(1);
    let carol = SigningKey::from_seed(&[202; 32]).public().to_string();
    let call = Call::new("_members", "enroll", ["carol", "client", &carol]);
    let done = client.submit(&admin(), call).await.unwrap();
    assert!(done.is_valid(), "{:?}", done.receipt);
}

/// With too few endorsements every transaction would be invalid for good.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_does_not_say_whose_endorsements_it_takes() {
    let network = Network::start().await;
    let client = behind(&network, Lie::OtherPolicies).await.beginning_at(1);
    let done = client.submit(&alice(), put("a")).await.unwrap();
    assert!(done.is_valid(), "{:?}", done.receipt);
}

#[tokio::test]
async fn where_nobody_is_there_nothing_was_handed_in() {
    let gone = free_addresses(4).into_iter();
    let gone: Vec<String> = gone.map(|address| format!("http://{address}")).collect();
    let client = client_at(&genesis(&[1, 2, 3, 4]), &gone);
    let failed = client.submit(&alice(), put("a")).await.unwrap_err();
    assert!(matches!(failed, Error::TooFewEndorsers { .. }), "{failed}");
    assert!(failed.is_unreachable());
}

#[test]
fn a_client_has_nodes_that_genesis_names_once_each() {
    use client::ReplicaId;
    let of = |ids: &[u32]| {
        let nodes = ids.iter().map(|id| (ReplicaId(*id), "http://127.0.0.1:1"));
        Client::new(genesis(&[1, 2, 3, 4]), nodes).map(|_| ())
    };
    assert!(matches!(of(&[]), Err(Error::NoNodes)));
    assert!(matches!(of(&[0, 4]), Err(Error::NoSuchReplica { .. })));
    assert!(matches!(of(&[0, 0]), Err(Error::SameReplica { .. })));
    assert!(of(&[3, 0]).is_ok());
}
