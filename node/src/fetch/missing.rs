//! Fetches transactions that a batch names and that never arrived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use consensus::{ReplicaId, RequestDigest};
use ledger::{Ledger, TransactionHash};
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::turns::Turns;
use super::{MAX_TRANSACTIONS, RESPONSE_BYTES, Request, Response};
use crate::driver::Missing;
use crate::ingress::Arrival;
use crate::network::{NetworkHandle, PeerId, RequestError};
use crate::services::BoxFuture;

/// How long a peer is waited for that is silent.
const PATIENCE: Duration = Duration::from_secs(4);

/// After how long another is asked beside it: well below the time that a request may
/// wait, for the primary that named a transaction may be faulty, and silent.
const SILENCE: Duration = Duration::from_millis(100);

/// Whoever can be asked.
pub(crate) trait Peers: Send + Sync {
    /// Those who are connected.
    fn connected(&self) -> Vec<PeerId>;

    /// What a peer answers.
    fn ask(&self, peer: PeerId, request: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>>;
}

impl Peers for NetworkHandle {
    fn connected(&self) -> Vec<PeerId> {
        self.connected()
    }

    fn ask(&self, peer: PeerId, request: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>> {
        Box::pin(self.request(peer, request, PATIENCE))
    }
}

/// See the module.
pub(crate) struct Fetcher {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) ingress: mpsc::Sender<Arrival>,
    /// By what a batch names what was brought.
    pub(crate) digest_of: fn(&[u8]) -> RequestDigest,
}

impl Fetcher {
    /// Works until `stop` is cancelled, for the batch that is wanted and for no other: what
    /// no view waits for any more must not be in the way of what one does. What is not
    /// found is asked for again when the driver says so again.
    pub(crate) async fn run(
        self,
        mut wanted: watch::Receiver<Option<Missing>>,
        stop: CancellationToken,
    ) {
        loop {
            let missing = wanted.borrow_and_update().clone();
            let place = missing.as_ref().map(|missing| missing.place);
            let fetch = async {
                if let Some(missing) = missing {
                    self.fetch(missing).await;
                }
            };
            tokio::pin!(fetch);
            let mut has_ended = false;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    changed = wanted.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let now = wanted.borrow_and_update();
                        let is_same = now.as_ref().map(|missing| missing.place) == place;
                        if has_ended || !is_same {
                            break;
                        }
                    }
                    () = &mut fetch, if !has_ended => has_ended = true,
                }
            }
        }
    }

    /// From the newest blocks of this node's own chain, then from the primary that
    /// named them, then from the others, until everything was brought.
    async fn fetch(&self, missing: Missing) {
        let mut wanted = missing.hashes;
        wanted.truncate(MAX_TRANSACTIONS);
        let hashes = wanted.iter().map(|hash| TransactionHash(hash.0)).collect();
        let own = self.ledger.recent_transactions(&hashes, RESPONSE_BYTES);
        // What cannot be read here may be had from others.
        let own = own.unwrap_or_default();
        let held: HashSet<RequestDigest> = own.iter().map(|it| (self.digest_of)(it)).collect();
        wanted.retain(|hash| !held.contains(hash));
        self.deliver(own).await;
        let mut turns = Turns::new(self.askable(missing.proposer), SILENCE);
        while !wanted.is_empty() {
            let request = Request::Transactions(wanted.iter().map(|hash| hash.0).collect());
            let request = Bytes::from(request.encode());
            let ask = |peer| {
                let asked = self.peers.ask(peer, request.clone());
                async move { (peer, asked.await) }
            };
            let Some((peer, answer)) = turns.next(ask).await else {
                return;
            };
            let Ok(bytes) = answer else { continue };
            let Ok(Response::Transactions(bodies)) = Response::decode(&bytes) else {
                tracing::warn!(%peer, "answered a request for transactions with something else");
                continue;
            };
            let mut brought = Vec::new();
            for body in bodies {
                let hash = (self.digest_of)(&body);
                // Only what was asked for, and each once.
                if let Some(at) = wanted.iter().position(|wanted| *wanted == hash) {
                    wanted.swap_remove(at);
                    brought.push(body);
                }
            }
            self.deliver(brought).await;
        }
    }

    async fn deliver(&self, bodies: Vec<Vec<u8>>) {
        if !bodies.is_empty() {
            // Ingress is gone only when the node stops.
            let _ = self.ingress.send(Arrival::Fetched(bodies)).await;
        }
    }

    fn askable(&self, first: ReplicaId) -> Vec<PeerId> {
        let mut peers = self.peers.connected();
        peers.sort_by_key(|peer| (peer.0 != first.0, peer.0));
        peers
    }
}

#[cfg(test)]
mod tests {
    use consensus::{SequenceNumber, View};
    use crypto::Digest;
    use ledger::CheckedTransaction;
    use tempfile::TempDir;

    use super::*;
    use crate::request::Request as _;
    use crate::testing::{genesis, transaction};

    const SOON: Duration = Duration::from_mins(1);

    /// Replica 0 never answers; the others have one transaction.
    struct Scripted {
        has: Arc<CheckedTransaction>,
        asked: mpsc::UnboundedSender<PeerId>,
    }

    impl Peers for Scripted {
        fn connected(&self) -> Vec<PeerId> {
            (0..3).map(PeerId).collect()
        }

        fn ask(&self, peer: PeerId, request: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>> {
            let _ = self.asked.send(peer);
            Box::pin(async move {
                if peer == PeerId(0) {
                    return std::future::pending().await;
                }
                let Ok(Request::Transactions(wanted)) = Request::decode(&request) else {
                    panic!("transactions are asked for");
                };
                let has = wanted.contains(&self.has.digest().0);
                let found = has.then(|| self.has.bytes().to_vec()).into_iter();
                Ok(Response::Transactions(found.collect()).encode().into())
            })
        }
    }

    struct Bench {
        wanted: watch::Sender<Option<Missing>>,
        brought: mpsc::Receiver<Arrival>,
        asked: mpsc::UnboundedReceiver<PeerId>,
        _folder: TempDir,
        _stop: tokio_util::sync::DropGuard,
    }

    fn fetcher(has: &Arc<CheckedTransaction>) -> Bench {
        let folder = TempDir::new().unwrap();
        let ledger = Ledger::open(&folder.path().join("data"), &genesis().ledger_genesis());
        let (ingress, brought) = mpsc::channel(8);
        let (sender, wanted) = watch::channel(None);
        let (note, asked) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let fetcher = Fetcher {
            ledger: Arc::new(ledger.unwrap()),
            peers: Arc::new(Scripted {
                has: has.clone(),
                asked: note,
            }),
            ingress,
            digest_of: CheckedTransaction::digest_of,
        };
        tokio::spawn(fetcher.run(wanted, stop.clone()));
        Bench {
            wanted: sender,
            brought,
            asked,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    fn missing(sequence: u64, view: u64, hash: RequestDigest) -> Missing {
        Missing {
            place: (SequenceNumber(sequence), View(view)),
            hashes: vec![hash],
            proposer: ReplicaId(0),
        }
    }

    async fn brought(bench: &mut Bench) -> Vec<Vec<u8>> {
        let brought = tokio::time::timeout(SOON, bench.brought.recv());
        match brought.await.unwrap() {
            Some(Arrival::Fetched(bodies)) => bodies,
            _ => panic!("what was wanted is brought"),
        }
    }

    /// A faulty primary names what nobody has, and is silent when it is asked. It must not
    /// keep the next view from what somebody has.
    #[tokio::test]
    async fn what_nobody_has_is_in_the_way_of_nothing() {
        let there = transaction(1, 0);
        let mut bench = fetcher(&there);
        let nobodys = RequestDigest(Digest([9; 32]));
        for sequence in 1..=64 {
            bench
                .wanted
                .send_replace(Some(missing(sequence, 0, nobodys)));
            while bench.asked.recv().await != Some(PeerId(0)) {}
        }
        let next = missing(1, 1, there.digest());
        bench.wanted.send_replace(Some(next));
        assert_eq!(brought(&mut bench).await, [there.bytes().to_vec()]);
    }

    /// Said again, it is not begun anew while it is asked for, and is once that has ended.
    #[tokio::test]
    async fn what_is_wanted_still_is_asked_for_again_once_all_have_answered() {
        let there = transaction(1, 0);
        let mut bench = fetcher(&there);
        let wanted = Some(missing(1, 0, there.digest()));
        bench.wanted.send_replace(wanted.clone());
        assert_eq!(brought(&mut bench).await, [there.bytes().to_vec()]);
        // As the driver does, which does not know when that is.
        let sender = bench.wanted.clone();
        let saying = async {
            loop {
                sender.send_replace(wanted.clone());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = saying => {}
            again = brought(&mut bench) => assert_eq!(again, [there.bytes().to_vec()]),
        }
    }
}
