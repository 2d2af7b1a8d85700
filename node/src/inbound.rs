//! Messages of other replicas: decoded, verified together, handed to the driver.

use consensus::{Input, Message, ReplicaId, Verifier};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::driver::Event;
use crate::gossip;
use crate::ingress::Arrival;
use crate::metrics::Metrics;
use crate::network::{Inbox, NetworkEvent};

/// How many messages are verified together at most.
const MAX_TOGETHER: usize = 64;

/// Hands on what replicas say, until `stop` is cancelled.
pub(crate) async fn messages(
    verifier: Verifier,
    mut inbox: Inbox,
    driver: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            event = inbox.recv() => event,
        };
        let Some(first) = first else { return };
        let more = std::iter::from_fn(|| inbox.try_recv()).take(MAX_TOGETHER - 1);
        let events: Vec<NetworkEvent> = std::iter::once(first).chain(more).collect();
        for input in inputs(&verifier, events, &metrics) {
            if driver.send(Event::Input(input)).await.is_err() {
                return;
            }
        }
    }
}

/// What these events are to the replica: connections first, then the messages
/// that hold, in their order.
fn inputs(verifier: &Verifier, events: Vec<NetworkEvent>, metrics: &Metrics) -> Vec<Input> {
    let mut inputs = Vec::new();
    let (mut senders, mut messages) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            NetworkEvent::Connected(peer) => inputs.push(Input::Connected(ReplicaId(peer.0))),
            NetworkEvent::Disconnected(peer) => {
                tracing::info!(%peer, "lost the connection");
                inputs.push(Input::Disconnected(ReplicaId(peer.0)));
            }
            NetworkEvent::Frame { from, bytes, .. } => match Message::decode(&bytes) {
                Ok(message) => {
                    senders.push(ReplicaId(from.0));
                    messages.push(message);
                }
                Err(error) => {
                    tracing::debug!(peer = %from, %error, "not a message");
                    metrics.undecodable(from.0);
                }
            },
        }
    }
    let verdicts = verifier.verify_all(messages);
    for (from, verdict) in senders.into_iter().zip(verdicts) {
        match verdict {
            Ok(message) => inputs.push(Input::Message { from, message }),
            Err(reason) => metrics.rejected(from.0, &reason),
        }
    }
    inputs
}

/// Hands the transactions that replicas send on to ingress, until `stop` is cancelled.
pub(crate) async fn transactions(
    mut inbox: Inbox,
    ingress: mpsc::Sender<Arrival>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            event = inbox.recv() => event,
        };
        let Some(event) = event else { return };
        let NetworkEvent::Frame { from, bytes, .. } = event else {
            continue;
        };
        match gossip::decode(&bytes) {
            Ok(transactions) => {
                if ingress.send(Arrival::Peer(transactions)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(peer = %from, %error, "not a list of transactions");
                metrics.undecodable(from.0);
            }
        }
    }
}
