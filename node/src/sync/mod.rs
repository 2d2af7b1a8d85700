//! Catching up: blocks that the others have and this node does not, fetched,
//! verified and handed to the committer; and certificates that passed it by
//! ([`back_fill`]).
//!
//! A peer is not believed. A block is taken only when a quorum attests it or a
//! successor of it, and what it holds is what its header commits to. Should it
//! then come out differently here, it is this node that is wrong.

mod back_fill;
mod sources;

use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::{ReplicaId, SequenceNumber};
use crypto::{Digest, NetworkId, SigningKey};
use ledger::{BlockCertificate, CheckedBlock, ContentsError, Ledger, LedgerError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::committer::CommitterHandle;
use crate::driver::{DriverError, Event, position};
use crate::fetch::{AttestedBlock, Request, Response, attested_prefix};
use crate::network::{NetworkHandle, PeerId};

use back_fill::Gaps;
use sources::Sources;

/// How long a peer is waited for that is silent.
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
    /// A quorum attests what no correct replica would.
    #[error(
        "block {number}, which a quorum of replicas attests, has what no correct replica puts into \
         one: {source}. More of them are faulty than the network bears, and this node stops"
    )]
    Unsound {
        /// Which block.
        number: u64,
        /// What is wrong with it.
        source: ContentsError,
    },
    /// The database failed, or another part is gone.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A block that a quorum attests and that is ready to be executed.
struct Received {
    block: CheckedBlock,
    certificate: Option<BlockCertificate>,
}

impl Received {
    fn check(attested: AttestedBlock) -> Result<Self, SyncError> {
        let AttestedBlock { block, certificate } = attested;
        let number = block.block().header.number;
        let checked = block.check();
        let block = checked.map_err(|source| SyncError::Unsound { number, source })?;
        Ok(Self { block, certificate })
    }
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
        let mut sources = Sources::default();
        loop {
            let through = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                through = asked.recv() => through,
                () = tokio::time::sleep(BACK_FILL_EVERY) => {
                    // What the replica waits for comes before what receipts lack.
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        through = asked.recv() => through,
                        filled = self.back_fill(&mut gaps) => {
                            filled?;
                            continue;
                        }
                    }
                }
            };
            let Some(through) = through else {
                return Ok(());
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                caught_up = self.catch_up(through.0, &mut sources) => caught_up?,
            }
        }
    }

    /// Fetches for as long as blocks come, and says how far it led.
    async fn catch_up(&self, through: u64, sources: &mut Sources) -> Result<(), SyncError> {
        let mut peers = self.network.connected();
        let tip = self.ledger.tip();
        let mut end = (tip.number, tip.hash);
        let mut next = Vec::new();
        while end.0 < through
            && let Some(peer) = sources.quickest(&peers)
        {
            // What follows is fetched and checked while these are executed.
            let fetched = async {
                let begun = Instant::now();
                let blocks = self.fetch(peer, end).await?;
                Ok((blocks, begun.elapsed()))
            };
            let ((), (following, took)) = tokio::try_join!(self.receive(next), fetched)?;
            match following.last() {
                None => {
                    peers.retain(|other| *other != peer);
                    sources.gave_nothing(peer, took);
                }
                Some(last) => {
                    let header = &last.block.block().header;
                    end = (header.number, header.hash());
                    sources.served(peer, sources::size(&following), took);
                }
            }
            next = following;
        }
        self.receive(next).await?;
        let reached = self.ledger.tip().number;
        tracing::info!(reached, through, "caught up");
        let ledger = self.ledger.clone();
        let position = blocking(move || position(&ledger)).await??;
        self.tell(Event::CaughtUp(position)).await
    }

    /// The next blocks after `parent` (a number and a hash) that this peer has; none
    /// when it has none that can be used.
    async fn fetch(&self, peer: PeerId, parent: (u64, Digest)) -> Result<Vec<Received>, SyncError> {
        let from = parent.0.saturating_add(1);
        let Some(Response::Blocks(served)) = self.ask(peer, &Request::Blocks { from }).await else {
            return Ok(Vec::new());
        };
        let (network_id, limits) = (self.network_id, self.limits.clone());
        let attesters = self.ledger.attesters().clone();
        let received = blocking(move || {
            let attested = attested_prefix(served, parent, &attesters, &network_id, &limits);
            let received = attested.into_iter().map(Received::check);
            received.collect::<Result<Vec<_>, _>>()
        });
        let received = received.await??;
        if received.is_empty() {
            tracing::info!(%peer, from, "has no attested blocks for us");
        }
        Ok(received)
    }

    /// Executes blocks one after the other.
    async fn receive(&self, blocks: Vec<Received>) -> Result<(), SyncError> {
        for Received { block, certificate } in blocks {
            let number = block.block().header.number;
            let ids = block.transactions().iter().map(|it| it.id()).collect();
            match self.committer.receive(block, certificate).await? {
                Ok(()) => self.tell(Event::InChain(ids)).await?,
                Err(source) => return Err(SyncError::Diverged { number, source }),
            }
        }
        Ok(())
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
}

/// Does work that reads the disk or verifies many signatures off the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DriverError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| DriverError::Gone("verifier of blocks"))
}
