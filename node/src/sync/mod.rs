//! Catching up: blocks that the others have and this node does not, fetched,
//! verified and handed to the committer; and certificates that passed it by
//! ([`back_fill`]).
//!
//! A peer is not believed. A block is taken only when a quorum attests it or a
//! successor of it, and what it holds is what its header commits to. Should it
//! then come out differently here, it is this node that is wrong.

mod back_fill;

use std::sync::Arc;
use std::time::Duration;

use consensus::{ReplicaId, SequenceNumber};
use crypto::{NetworkId, SigningKey};
use ledger::{Block, BlockCertificate, Ledger, LedgerError, UncheckedTransaction};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::committer::CommitterHandle;
use crate::driver::{DriverError, Event, position};
use crate::fetch::{Request, Response, ServedBlock, attested_prefix};
use crate::network::{NetworkHandle, PeerId};

use back_fill::Gaps;

/// How long one peer is given for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often certificates that passed this node by are looked for.
const BACK_FILL_EVERY: Duration = Duration::from_secs(1);

/// Why the node must stop.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Execution here leads elsewhere than a quorum attests.
    #[error(
        "block {number}, which a quorum of replicas attests, comes out differently here: {source}. \
         This node's state is wrong and it stops; move its data folder away and let it catch up anew"
    )]
    Diverged {
        /// Where.
        number: u64,
        /// In what.
        source: LedgerError,
    },
    /// The database failed, or another part is gone.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// See the module.
pub(crate) struct Sync {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) network_id: NetworkId,
    pub(crate) limits: ledger::Limits,
    pub(crate) network: NetworkHandle,
    pub(crate) committer: CommitterHandle,
    pub(crate) driver: mpsc::Sender<Event>,
    /// Which replica this is, and what it attests blocks with.
    pub(crate) own: (ReplicaId, SigningKey),
}

impl Sync {
    /// Works until `stop` is cancelled or something fails that the node must
    /// not survive.
    pub(crate) async fn run(
        self,
        mut asked: mpsc::Receiver<SequenceNumber>,
        stop: CancellationToken,
    ) -> Result<(), SyncError> {
        let mut gaps = Gaps::default();
        loop {
            let through = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                through = asked.recv() => through,
                () = tokio::time::sleep(BACK_FILL_EVERY) => {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        filled = self.back_fill(&mut gaps) => filled?,
                    }
                    continue;
                }
            };
            let Some(through) = through else {
                return Ok(());
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                caught_up = self.catch_up(through.0) => caught_up?,
            }
        }
    }

    /// Fetches from one peer after the other for as long as blocks come, and
    /// says how far it led.
    async fn catch_up(&self, through: u64) -> Result<(), SyncError> {
        for peer in self.connected() {
            while self.ledger.tip().number < through {
                if !self.fetch_from(peer).await? {
                    break;
                }
            }
        }
        let reached = self.ledger.tip().number;
        tracing::info!(reached, through, "caught up");
        let ledger = self.ledger.clone();
        let position = blocking(move || position(&ledger)).await??;
        self.tell(Event::CaughtUp(position)).await
    }

    /// Fetches the next blocks from this peer; false when it has none that can be used.
    async fn fetch_from(&self, peer: PeerId) -> Result<bool, SyncError> {
        let tip = self.ledger.tip();
        let from = tip.number.saturating_add(1);
        let Some(Response::Blocks(served)) = self.ask(peer, &Request::Blocks { from }).await else {
            return Ok(false);
        };
        let (network_id, limits) = (self.network_id, self.limits.clone());
        let attesters = self.ledger.attesters().clone();
        let attested = blocking(move || {
            let parent = (tip.number, tip.hash);
            attested_prefix(served, parent, &attesters, &network_id, &limits)
        })
        .await?;
        if attested.is_empty() {
            tracing::info!(%peer, from, "has no attested blocks for us");
            return Ok(false);
        }
        for ServedBlock { block, certificate } in attested {
            self.receive(block, certificate).await?;
        }
        Ok(true)
    }

    async fn receive(
        &self,
        block: Block,
        certificate: Option<BlockCertificate>,
    ) -> Result<(), SyncError> {
        let number = block.header.number;
        let decode = |bytes: &Vec<u8>| {
            UncheckedTransaction::decode(bytes, &self.network_id, &self.limits).ok()
        };
        let transactions = block.transactions.iter().filter_map(decode);
        let ids = transactions.map(|transaction| transaction.id()).collect();
        match self.committer.receive(block, certificate).await? {
            Ok(()) => self.tell(Event::InChain(ids)).await,
            Err(source) => Err(SyncError::Diverged { number, source }),
        }
    }

    /// A peer's answer, if it gave one that can be understood.
    async fn ask(&self, peer: PeerId, request: &Request) -> Option<Response> {
        let asked = self
            .network
            .request(peer, request.encode().into(), PATIENCE);
        match asked.await {
            Ok(bytes) => Response::decode(&bytes)
                .inspect_err(|error| tracing::warn!(%peer, %error, "answered with nonsense"))
                .ok(),
            Err(error) => {
                tracing::info!(%peer, %error, "did not answer");
                None
            }
        }
    }

    async fn tell(&self, event: Event) -> Result<(), SyncError> {
        let told = self.driver.send(event).await;
        told.map_err(|_| SyncError::Driver(DriverError::Gone("driver")))
    }

    fn connected(&self) -> Vec<PeerId> {
        let peers = self.network.peers().into_iter();
        peers
            .filter(|peer| peer.connected)
            .map(|peer| peer.id)
            .collect()
    }
}

/// Does work that reads the disk or verifies many signatures off the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DriverError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| DriverError::Gone("verifier of blocks"))
}
