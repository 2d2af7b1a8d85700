//! Messages of other replicas: decoded, verified together, handed to the driver.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::{Input, Message, ReplicaId, Verifier};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::driver::Event;
use crate::gossip;
use crate::ingress::Arrival;
use crate::metrics::Metrics;
use crate::network::{Inbox, NetworkEvent};

/// How many messages are verified together at most.
const MAX_TOGETHER: usize = 64;

/// How many VIEW-CHANGEs and NEW-VIEWs of one peer are looked at in a second. Each
/// carries many signatures: a flood of them would keep this node from everything
/// else. What is not looked at is sent again, if its sender means it.
const HEAVY_PER_SECOND: u32 = 8;

/// What is left to each peer of the current second.
#[derive(Default)]
struct HeavyShares {
    since: Option<Instant>,
    taken: HashMap<u32, u32>,
}

impl HeavyShares {
    /// Whether a message of this peer is to be looked at.
    fn admits(&mut self, peer: u32, message: &Message, now: Instant) -> bool {
        if !matches!(message, Message::ViewChange(_) | Message::NewView(_)) {
            return true;
        }
        let over = |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(over) {
            self.since = Some(now);
            self.taken.clear();
        }
        let taken = self.taken.entry(peer).or_default();
        *taken = taken.saturating_add(1);
        *taken <= HEAVY_PER_SECOND
    }
}

/// Hands on what replicas say, until `stop` is cancelled.
pub(crate) async fn messages(
    verifier: Verifier,
    mut inbox: Inbox,
    driver: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut shares = HeavyShares::default();
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            event = inbox.recv() => event,
        };
        let Some(first) = first else { return };
        let more = std::iter::from_fn(|| inbox.try_recv()).take(MAX_TOGETHER - 1);
        let events: Vec<NetworkEvent> = std::iter::once(first).chain(more).collect();
        for input in inputs(&verifier, events, &mut shares, &metrics) {
            if driver.send(Event::Input(input)).await.is_err() {
                return;
            }
        }
    }
}

/// What these events are to the replica: connections first, then the messages
/// that hold, in their order.
fn inputs(
    verifier: &Verifier,
    events: Vec<NetworkEvent>,
    shares: &mut HeavyShares,
    metrics: &Metrics,
) -> Vec<Input> {
    let now = Instant::now();
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
                Ok(message) if !shares.admits(from.0, &message, now) => {
                    metrics.too_many(from.0);
                }
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

#[cfg(test)]
mod tests {
    use consensus::View;
    use consensus::message::{Signed, ViewChange};

    use super::*;
    use crate::testing::{genesis, replica_key};

    /// One replica that floods costs the others nothing of their share.
    #[test]
    fn a_peer_has_its_share_of_heavy_messages_and_no_more() {
        let body = ViewChange {
            view: View(1),
            stable: None,
            prepared: Vec::new(),
        };
        let key = replica_key(1);
        let vote = Signed::sign(body, ReplicaId(1), &key, &genesis().network_id());
        let message = Message::ViewChange(vote);
        let mut shares = HeavyShares::default();
        let begin = Instant::now();
        let admitted = (0..100).filter(|_| shares.admits(1, &message, begin));
        assert_eq!(admitted.count(), HEAVY_PER_SECOND as usize);
        assert!(
            shares.admits(2, &message, begin),
            "another peer's is its own"
        );
        assert!(shares.admits(1, &message, begin + Duration::from_secs(1)));
    }
}
