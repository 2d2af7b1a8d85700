//! Fetches transactions that a batch names and that never arrived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use consensus::{ReplicaId, RequestDigest};
use ledger::{Ledger, TransactionHash};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{MAX_TRANSACTIONS, RESPONSE_BYTES, Request, Response};
use crate::driver::Missing;
use crate::ingress::Arrival;
use crate::network::{NetworkHandle, PeerId};

/// How long one peer is given.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Fetcher {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) network: NetworkHandle,
    pub(crate) ingress: mpsc::Sender<Arrival>,
    /// By what a batch names what was brought.
    pub(crate) digest_of: fn(&[u8]) -> RequestDigest,
}

impl Fetcher {
    /// Works until `stop` is cancelled. What is not found is asked for again by
    /// the driver, as long as it is wanted.
    pub(crate) async fn run(self, mut wanted: mpsc::Receiver<Missing>, stop: CancellationToken) {
        loop {
            let missing = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                missing = wanted.recv() => missing,
            };
            let Some(missing) = missing else { return };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.fetch(missing) => {}
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
        for peer in self.askable(missing.proposer) {
            if wanted.is_empty() {
                return;
            }
            let request = Request::Transactions(wanted.iter().map(|hash| hash.0).collect());
            let asked = self
                .network
                .request(peer, request.encode().into(), PATIENCE);
            let Ok(bytes) = asked.await else { continue };
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
        let connected = self.network.peers().into_iter().filter(|p| p.connected);
        let mut peers: Vec<PeerId> = connected.map(|peer| peer.id).collect();
        peers.sort_by_key(|peer| (peer.0 != first.0, peer.0));
        peers
    }
}
