//! Calls that wait: for a transaction, for a block, for events; and their end
//! when the node stops.

use std::time::Duration;

use node::api::ClientError;
use node::api::client::Events;
use node::api::types::BlockEvent;

use crate::common::{Node, PATIENCE, soon};

async fn next(events: &mut Events) -> BlockEvent {
    soon("an event", events.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_waiting_call_returns_when_its_transaction_is_attested_and_not_before() {
    let node = Node::start().await;
    let transaction = node.put(1, "k", "v");
    node.client.submit(&transaction).await.unwrap();
    let id = transaction.proposal.id();
    let shown = node.client.transaction(&id, PATIENCE);
    let proven = node.client.receipt(&id, PATIENCE);
    let attested = node.client.stored_block(1, Some(PATIENCE));
    let ordering = async {
        let number = node.commit();
        // Committed alone is not enough.
        let early = node
            .client
            .transaction(&id, Duration::from_millis(50))
            .await;
        assert_eq!(early.unwrap_err().code(), Some("NOT_FOUND"));
        let early = node.client.receipt(&id, Duration::ZERO).await;
        assert_eq!(early.unwrap_err().code(), Some("NOT_FOUND"));
        assert!(
            node.client
                .stored_block(1, None)
                .await
                .unwrap()
                .certificate
                .is_none()
        );
        node.certify(number);
    };
    let all = Box::pin(async { tokio::join!(shown, proven, attested, ordering) });
    let (shown, proven, attested, ()) = soon("the answers", all).await;
    assert_eq!(shown.unwrap().code, "VALID");
    let (network, attesters) = (node.genesis.network_id(), node.genesis.attesters());
    proven.unwrap().verify(&network, &attesters).unwrap();
    assert!(attested.unwrap().certificate.is_some());
}

#[tokio::test]
async fn events_are_attested_blocks_in_order_from_wherever_one_begins() {
    let node = Node::start().await;
    for nonce in 1..=3 {
        node.put_now(nonce, "k", "v").await;
    }
    let mut all = node.client.events(Some(0)).await.unwrap();
    for number in 0..=3 {
        let event = next(&mut all).await;
        assert_eq!(event.block, number);
        assert_eq!(event.transactions.len(), usize::from(number > 0));
    }
    // Who was cut off begins again with the one that is missing.
    drop(all);
    let mut resumed = node.client.events(Some(3)).await.unwrap();
    assert_eq!(next(&mut resumed).await.block, 3);
    let mut coming = node.client.events(None).await.unwrap();
    let number = node.commit();
    let unattested = tokio::time::timeout(Duration::from_millis(50), coming.next()).await;
    assert!(unattested.is_err(), "nobody has attested it");
    node.certify(number);
    assert_eq!(next(&mut coming).await.block, 4);
    assert_eq!(next(&mut resumed).await.block, 4);
}

#[tokio::test]
async fn server_sent_events_carry_the_number_to_resume_from() {
    let node = Node::start().await;
    node.put_now(1, "k", "v").await;
    let mut stream = node.get_as("/v1/events?from=1", "text/event-stream").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let frame = soon("an event", stream.chunk()).await.unwrap().unwrap();
    let frame = String::from_utf8(frame.to_vec()).unwrap();
    assert!(frame.starts_with("id: 1\ndata: {\"block\":1,"), "{frame}");
    assert!(frame.ends_with("}\n\n"), "{frame}");
}

#[tokio::test]
async fn a_stopping_node_ends_its_streams_and_lets_nobody_wait() {
    let node = Node::start().await;
    let mut events = node.client.events(None).await.unwrap();
    let id = node.put(1, "k", "v").proposal.id();
    let waiting = node.client.transaction(&id, PATIENCE);
    let stopping = async {
        // The call above has come in when a later one is answered by the same node;
        // one that has not yet is refused all the same.
        node.client.status().await.unwrap();
        node.stop.cancel();
    };
    let (waited, ()) = soon("the refusal", async { tokio::join!(waiting, stopping) }).await;
    let refused = waited.unwrap_err();
    let unreachable = matches!(refused, ClientError::Unreachable { .. });
    assert!(
        unreachable || refused.code() == Some("NOT_READY"),
        "{refused}"
    );
    let end = soon("the end of the stream", events.next()).await;
    assert!(!matches!(end, Ok(Some(_))));
    soon("the end of the server", node.task).await.unwrap();
}
