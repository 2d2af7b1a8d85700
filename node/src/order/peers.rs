//! Bundles that other replicas send on, or that were asked for.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::bundle::Bundle;
use crate::driver::Event;
use crate::gossip;
use crate::ingress::Arrival;
use crate::metrics::Metrics;
use crate::network::{Inbox, NetworkEvent};
use crate::pool::PoolBudget;
use crate::request::Request as _;

/// How many frames are taken in together at most.
const MAX_TOGETHER: usize = 64;

/// See the module.
pub(super) struct Peers {
    pub(super) max_bundle_bytes: usize,
    pub(super) budget: Arc<PoolBudget>,
    pub(super) driver: mpsc::Sender<Event<Bundle>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Peers {
    /// Works until `stop` is cancelled. Where the pool has no room, a bundle is
    /// let go; it is fetched once a batch names it.
    pub(super) async fn run(
        self,
        mut frames: Inbox,
        mut fetched: mpsc::Receiver<Arrival>,
        stop: CancellationToken,
    ) {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(arrival) = fetched.recv() => match arrival {
                    Arrival::Fetched(all) => {
                        let bundles = all.into_iter().filter_map(|bytes| self.parse(bytes.into()));
                        Event::Fetched(bundles.collect())
                    }
                    Arrival::Client(..) => continue,
                },
                Some(first) = frames.recv() => {
                    let more = std::iter::from_fn(|| frames.try_recv());
                    let together = std::iter::once(first).chain(more.take(MAX_TOGETHER - 1));
                    Event::Transactions(together.flat_map(|event| self.take_in(&event)).collect())
                }
                else => return,
            };
            if self.driver.send(event).await.is_err() {
                return;
            }
        }
    }

    fn parse(&self, bytes: Bytes) -> Option<Arc<Bundle>> {
        let short = bytes.len() <= self.max_bundle_bytes;
        let bundle = short.then(|| Bundle::parse(bytes)).flatten();
        bundle.map(Arc::new)
    }

    fn take_in(&self, event: &NetworkEvent) -> Vec<Arc<Bundle>> {
        let NetworkEvent::Frame { from, bytes, .. } = event else {
            return Vec::new();
        };
        let Ok(sent) = gossip::decode(bytes) else {
            self.metrics.undecodable(from.0);
            return Vec::new();
        };
        let mut bundles = Vec::with_capacity(sent.len());
        for bytes in sent {
            let Some(bundle) = self.parse(bytes) else {
                // The rest of such a frame is not worth a look.
                self.metrics.bad_transaction(from.0);
                break;
            };
            if self.budget.reserve(bundle.bytes().len()) {
                bundles.push(bundle);
            }
        }
        bundles
    }
}

#[cfg(test)]
mod tests {
    use consensus::ReplicaId;
    use tokio_util::bytes::BufMut as _;

    use super::super::bundle::head;
    use super::*;
    use crate::list;
    use crate::network::{Class, PeerId};

    fn bundle(number: u64) -> Vec<u8> {
        let mut bytes = head(ReplicaId(1), number, 0);
        bytes.put_u32(4);
        bytes.put_slice(b"each");
        bytes.to_vec()
    }

    fn sent(bundles: &[Vec<u8>]) -> NetworkEvent {
        NetworkEvent::Frame {
            from: PeerId(1),
            class: Class::Transactions,
            bytes: list::encode(bundles.iter().map(Vec::as_slice)).into(),
        }
    }

    fn peers(room: usize) -> Peers {
        Peers {
            max_bundle_bytes: 1000,
            budget: Arc::new(PoolBudget::new(room, 1_000_000)),
            driver: mpsc::channel(1).0,
            metrics: Arc::default(),
        }
    }

    #[test]
    fn what_a_peer_sends_is_taken_in_as_far_as_it_is_sound_and_there_is_room() {
        let all: Vec<Vec<u8>> = (0..3).map(bundle).collect();
        let roomy = peers(10);
        assert_eq!(roomy.take_in(&sent(&all)).len(), 3);
        assert_eq!(roomy.budget.usage().0, 3, "room is reserved for each");
        assert_eq!(peers(2).take_in(&sent(&all)).len(), 2);
        for bad in [b"no bundle".to_vec(), vec![0; 1001], Vec::new()] {
            let around = [all[0].clone(), bad, all[1].clone()];
            assert_eq!(peers(10).take_in(&sent(&around)).len(), 1);
        }
    }
}
