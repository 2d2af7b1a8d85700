//! The chain of blocks and the state it leads to.
//!
//! One committer appends; any number of readers look on. A reader sees the
//! chain as it is between two blocks, never within one. Where a block comes
//! from (ordered here, or received from others) makes no difference to what is
//! written: both ways execute it, and a received block must come out as it came.
//!
//! What deliberately does not live here: who decided the order, and when to
//! catch up. *Architecture invariant:* this module asks nobody and waits for
//! nothing but the disk.

mod absent;
mod error;
mod execute;
mod genesis;
mod listing;
mod query;
mod recent;
mod recent_rows;
mod snapshot;
mod system_rows;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crypto::{Digest, NetworkId};

use crate::block::{Attesters, Block, BlockCertificate, TransactionResult};
use crate::contents::CheckedBlock;
use crate::digest::StateAccumulator;
use crate::proposal::TransactionId;
use crate::rwset::Event;
use crate::store::{OpenMode, RecordRow, RecordWrites, RecordedBatch, Store};
use crate::transaction::CheckedTransaction;
use absent::AbsentIds;
pub use error::LedgerError;
pub(crate) use execute::{Executed, Parent, execute, replay};
pub use genesis::GenesisState;
pub use listing::{Listing, ListingPart, TransactionsOf};
pub use query::CommittedTransaction;
use recent::{RecentBlock, RecentBlocks};
use recent_rows::RecentRows;
pub use snapshot::Snapshot;
use system_rows::SystemRows;

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Digest,
    /// Its timestamp.
    pub timestamp_ms: u64,
    /// The digest of the state after it.
    pub state_digest: Digest,
}

/// The next block's contents, in their agreed order.
#[derive(Clone, Debug)]
pub struct OrderedBatch {
    /// Place in the agreed order, which is the number of the block.
    pub sequence: u64,
    /// The name under which the transactions may have been recorded
    /// ([`RecordWrites::put_bodies`]): the block then refers to what is on disk.
    pub name: Digest,
    /// The agreed time. Should it not be later than the predecessor's, the
    /// block's is the predecessor's and a millisecond.
    pub timestamp_ms: u64,
    /// The transactions; none make an empty block.
    pub transactions: Vec<Arc<CheckedTransaction>>,
}

/// A block that was just written.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: Digest,
    /// What became of each of its transactions.
    pub results: Arc<[TransactionResult]>,
    /// What the valid ones announced, in order.
    pub events: Vec<(TransactionId, Event)>,
}

/// The end of the chain, as the committer holds it.
struct Head {
    parent: Parent,
    accumulator: StateAccumulator,
}

/// The chain and its state on disk.
pub struct Ledger {
    store: Store,
    network: NetworkId,
    attesters: Attesters,
    /// Held for the length of a commit, which makes the committer one.
    head: Mutex<Head>,
    tip: RwLock<Tip>,
    /// The highest block with a certificate; block 0 needs none, so 0 is none.
    certified: AtomicU64,
    recent: RecentBlocks,
    absent: AbsentIds,
    system: SystemRows,
    rows: RecentRows,
}

impl Ledger {
    /// Opens the ledger in `path`, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// When the folder is in use, belongs to another network, is damaged, or
    /// has lost what was once on disk.
    pub fn open(path: &Path, genesis: &GenesisState) -> Result<Self, LedgerError> {
        let store = Store::open(path, OpenMode::ReadWrite)?;
        if store.is_fresh()? {
            store.write_genesis(&genesis.network, &genesis.write())?;
        }
        let recovered = store.recover(&genesis.network, &genesis.hash())?;
        let certified = store.view().latest_certified()?.unwrap_or(0);
        let parent = Parent {
            header: recovered.header,
            hash: recovered.hash,
        };
        let ledger = Self {
            network: genesis.network,
            attesters: genesis.attesters.clone(),
            tip: RwLock::new(parent.tip()),
            absent: AbsentIds::new(parent.header.number),
            system: SystemRows::new(parent.header.number),
            rows: RecentRows::new(parent.header.number),
            head: Mutex::new(Head {
                parent,
                accumulator: recovered.accumulator,
            }),
            certified: AtomicU64::new(certified),
            recent: RecentBlocks::default(),
            store,
        };
        let view = ledger.store.view();
        for number in certified + 1..=ledger.tip().number {
            let block = ledger.with_results(&view, number)?;
            ledger.recent.keep_results(number, block.results);
        }
        drop(view);
        Ok(ledger)
    }

    /// Executes the next batch and writes its block, which is on disk when this returns.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or written; nothing may be committed after that.
    ///
    /// # Panics
    ///
    /// When the batch is not the one that comes next: whoever orders applies
    /// each sequence once and in order.
    pub fn commit(&self, batch: OrderedBatch) -> Result<Committed, LedgerError> {
        let mut head = self.lock_head();
        assert_eq!(
            Some(batch.sequence),
            head.parent.header.number.checked_add(1),
            "batches are committed once and in order"
        );
        let executed = execute(&self.snapshot()?, &head.parent, &head.accumulator, batch)?;
        self.append(&mut head, executed)
    }

    /// Executes a block that others committed and writes it if it comes out as it came.
    ///
    /// The caller knows from a certificate, its own or a successor's, that a
    /// block with this hash is the network's. Execution alone cannot tell: its
    /// time, and that this batch was the agreed one, do not follow from the chain.
    ///
    /// # Errors
    ///
    /// When it is not the next block of this chain, with what differs; nothing is
    /// written then. Or when the store fails, as in [`Self::commit`].
    pub fn commit_received(&self, block: &CheckedBlock) -> Result<Committed, LedgerError> {
        let mut head = self.lock_head();
        let executed = replay(&self.snapshot()?, &head.parent, &head.accumulator, block)?;
        self.append(&mut head, executed)
    }

    fn append(&self, head: &mut Head, executed: Executed) -> Result<Committed, LedgerError> {
        let header = &executed.block.header;
        assert_eq!(
            header.previous_hash, head.parent.hash,
            "a block follows its predecessor"
        );
        assert_eq!(
            header.state_digest,
            executed.accumulator.digest(),
            "a header commits to the state after it"
        );
        self.store.write_block(&executed.write())?;
        head.parent = executed.parent();
        let ids = executed.indexed.iter().map(|indexed| indexed.id);
        self.absent.committed(header.number, ids);
        self.system.committed(header.number, &executed.changes);
        self.rows.committed(header.number, executed.changes);
        head.accumulator = executed.accumulator;
        let recent = RecentBlock {
            block: Arc::new(executed.block),
            hash: executed.hash,
            results: executed.results.into(),
        };
        self.recent.keep(recent.clone());
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = head.parent.tip();
        Ok(Committed {
            block: recent.block,
            hash: recent.hash,
            results: recent.results,
            events: executed.events,
        })
    }

    /// Keeps the certificate of a block. It is the caller's to have verified it,
    /// and is not waited for: after a power cut it may have to be fetched again.
    ///
    /// # Errors
    ///
    /// When there is no such block yet, or the store cannot be written.
    pub fn put_certificate(
        &self,
        number: u64,
        certificate: &BlockCertificate,
    ) -> Result<(), LedgerError> {
        // Block 0 is attested by the genesis document itself.
        if number == 0 || number > self.tip().number {
            return Err(LedgerError::NoSuchBlock { number });
        }
        if self.certificate(number)?.is_none() {
            self.store.write_certificate(number, certificate)?;
        }
        let before = self.certified.fetch_max(number, Ordering::AcqRel);
        self.recent.certified(number.max(before));
        Ok(())
    }

    /// The highest block that has a certificate.
    #[must_use]
    pub fn latest_certified(&self) -> Option<u64> {
        match self.certified.load(Ordering::Acquire) {
            0 => None,
            number => Some(number),
        }
    }

    /// How many writes were waited for until they were on disk, since the opening.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.store.syncs()
    }

    /// The newest block.
    #[must_use]
    pub fn tip(&self) -> Tip {
        // The tip is set whole: it is right even after a panic elsewhere.
        *self.tip.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network whose ledger this is.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// Who attests blocks.
    #[must_use]
    pub fn attesters(&self) -> &Attesters {
        &self.attesters
    }

    /// Applies changes to the consensus records, which are on disk when this returns.
    ///
    /// # Errors
    ///
    /// When the store cannot be written; nothing may be said after that.
    pub fn write_records(&self, writes: RecordWrites) -> Result<(), LedgerError> {
        Ok(self.store.write_records(writes)?)
    }

    /// All consensus records, by ascending key.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn read_records(&self) -> Result<Vec<RecordRow>, LedgerError> {
        Ok(self.store.view().records()?)
    }

    /// The transactions of batches that were recorded and that no block holds yet,
    /// by ascending number.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn recorded_batches(&self) -> Result<Vec<RecordedBatch>, LedgerError> {
        let view = self.store.view();
        let batches = view.recorded_batches(view.tip()?.number);
        Ok(batches.collect::<Result<_, _>>()?)
    }

    /// Deletes the transactions that were recorded for blocks up to `through` which
    /// are never made: for whoever orders without executing. From the disk they go with
    /// the last of a file.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn discard_recorded(&self, through: u64) -> Result<(), LedgerError> {
        Ok(self.store.discard_bodies(through)?)
    }

    /// Writes what is only in the log into table files: the last act of a clean stop.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub fn flush(&self) -> Result<(), LedgerError> {
        Ok(self.store.flush()?)
    }

    /// Whether a write has failed, after which nothing more is written.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.store.is_poisoned()
    }

    fn lock_head(&self) -> MutexGuard<'_, Head> {
        self.head
            .lock()
            .expect("a panic in a commit stops the process")
    }
}
