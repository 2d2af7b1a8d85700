//! The ledger's disk: one `RocksDB` with a family per kind of thing, and beside it the
//! files of transactions (`bodies`).
//!
//! Everything that a block adds is written in one atomic, synced batch over all
//! families, so that after any crash the store is at a block boundary. Its
//! transactions are there before it (`records`).
//! After the first failed write nothing more is written: what a failed sync left
//! on disk is known only after a restart, and a repeated one may seem to succeed.
//!
//! What deliberately does not live here: what a block means. The store writes
//! what it is given and reads it back, or says by name what it cannot read.

mod block_write;
mod bodies;
mod error;
mod families;
mod guarded;
mod history;
mod index;
mod logs;
mod pages;
mod read;
mod records;
mod recovery;
mod rocks;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

use rocksdb::{ColumnFamily, DB, WriteBatch};

pub(crate) use block_write::{BlockWrite, IndexedTransaction, StateChange};
use bodies::{BodyFiles, sync_folder};
pub(crate) use bodies::{Extent, Span};
pub use error::StoreError;
pub(crate) use families::{BlockRow, HistoryRow, TipRow};
pub use families::{Family, Location};
pub(crate) use families::{batch_key, meta, number_key, parse_batch_key};
pub(crate) use families::{contract_prefix, creator_prefix};
pub(crate) use families::{parse_state_key, state_key};
use guarded::Guarded;
pub(crate) use guarded::GuardedNamespaces;
pub use history::{HistoryEntry, HistoryPart};
pub(crate) use index::{BlockPositions, IndexRow, Positions};
pub use pages::{KeyRange, RangePart, StatePage};
pub(crate) use read::StoreView;
use records::Written;
pub use records::{RecordRow, RecordWrites, RecordedBatch};
use witness::{Counter, Witness, io_error};

/// The database's folder within the data folder.
const DATABASE: &str = "rocksdb";

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// To read and write, made where there is none.
    ReadWrite,
    /// To look only: nothing in the folder changes.
    ReadOnly,
}

/// When a write is to be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    /// When it returns.
    Now,
    /// With the next one: it can be had again from the others.
    Later,
}

/// The open store.
pub(crate) struct Store {
    db: DB,
    path: PathBuf,
    bodies: BodyFiles,
    witness: Option<Witness>,
    /// Held while records or a block are written: a batch is recorded by one and
    /// settled by the other.
    written: Mutex<Written>,
    guarded: Guarded,
    /// How many writes were waited for until they were on disk.
    syncs: AtomicU64,
    failed: OnceLock<String>,
}

impl Store {
    /// Opens the store in `path`. What it holds is not looked at yet.
    pub(crate) fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let database = path.join(DATABASE);
        let (db, witness) = match mode {
            OpenMode::ReadWrite => {
                make_folder(path)?;
                let witness = Witness::open(path)?;
                check_database(path, &database)?;
                (rocks::open(&database)?, Some(witness))
            }
            OpenMode::ReadOnly => {
                if !database.join("CURRENT").exists() {
                    return Err(StoreError::NoLedger {
                        path: path.to_path_buf(),
                    });
                }
                let witness = Witness::read_only(path)?;
                check_database(path, &database)?;
                (rocks::open_read_only(&database)?, witness)
            }
        };
        Ok(Self {
            db,
            path: path.to_path_buf(),
            bodies: BodyFiles::new(path),
            witness,
            written: Mutex::new(Written::default()),
            guarded: Guarded::default(),
            syncs: AtomicU64::new(0),
            failed: OnceLock::new(),
        })
    }

    /// A consistent look at everything, as of now.
    pub(crate) fn view(&self) -> StoreView<'_> {
        StoreView::new(self)
    }

    /// Writes what is only in the log into table files, so that the next start
    /// has nothing to replay.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let what = "the last changes";
        self.check_alive(what)?;
        let families = Family::ALL.map(|family| self.family(family));
        let result = self
            .db
            .flush_cfs_opt(&families, &rocksdb::FlushOptions::default());
        self.settle(what, result)
    }

    /// How many writes were waited for until they were on disk, since the opening.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Whether a write has failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.failed.get().is_some()
    }

    fn lock_written(&self) -> MutexGuard<'_, Written> {
        let written = self.written.lock();
        written.expect("a panic while writing stops the process")
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db
            .cf_handle(family.name())
            .expect("every family is opened or the opening fails")
    }

    fn write(
        &self,
        what: &'static str,
        batch: WriteBatch,
        durable: Durable,
    ) -> Result<(), StoreError> {
        self.check_alive(what)?;
        let options = match durable {
            Durable::Now => rocks::synced(),
            Durable::Later => rocks::unsynced(),
        };
        let result = self.db.write_opt(batch, &options);
        self.settle(what, result)?;
        if durable == Durable::Now {
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Appends the transactions of a batch or of a block. No row may refer to them before
    /// [`Self::sync_bodies`].
    fn append_bodies(
        &self,
        what: &'static str,
        number: u64,
        bodies: &[u8],
    ) -> Result<Extent, StoreError> {
        self.check_alive(what)?;
        self.poison_unless(self.bodies.append(number, bodies))
    }

    /// Waits until what was appended is on disk.
    fn sync_bodies(&self, what: &'static str) -> Result<(), StoreError> {
        self.check_alive(what)?;
        if self.poison_unless(self.bodies.sync())? {
            self.syncs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// After a failure nothing more is written.
    fn poison_unless<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| {
            // Only the first failure is kept: the later ones follow from it.
            let _ = self.failed.set(error.to_string());
        })
    }

    fn check_alive(&self, what: &'static str) -> Result<(), StoreError> {
        match self.failed.get() {
            None => Ok(()),
            Some(first) => Err(StoreError::Poisoned {
                what,
                path: self.path.clone(),
                first: first.clone(),
            }),
        }
    }

    fn settle<T>(
        &self,
        what: &'static str,
        result: Result<T, rocksdb::Error>,
    ) -> Result<T, StoreError> {
        result.map_err(|source| {
            // Only the first failure is kept: the later ones follow from it.
            let _ = self.failed.set(format!("{what}: {source}"));
            StoreError::Write {
                what,
                path: self.path.clone(),
                source,
            }
        })
    }

    fn note(&self, counter: Counter, value: u64) -> Result<(), StoreError> {
        match &self.witness {
            None => Ok(()),
            Some(witness) => self.poison_unless(witness.note(counter, value)),
        }
    }

    fn bad_value(
        &self,
        family: Family,
        key: &[u8],
        block: Option<u64>,
        what: impl Into<String>,
    ) -> StoreError {
        StoreError::BadValue {
            family,
            path: self.path.clone(),
            key: hex(key),
            block,
            what: what.into(),
        }
    }
}

/// Refuses a database before it is opened: one that could not be, and one of another
/// layout, which would be changed while the version that wrote it can still open it.
fn check_database(path: &Path, database: &Path) -> Result<(), StoreError> {
    logs::check(database)?;
    match rocks::other_format(database) {
        None => Ok(()),
        Some(found) => Err(StoreError::OtherFormat {
            path: path.to_path_buf(),
            expected: families::FORMAT,
            found,
        }),
    }
}

/// Makes the folder, durably: a folder that a power cut takes away takes
/// everything in it along.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(io_error("create", path))?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string cannot fail");
        text
    })
}
