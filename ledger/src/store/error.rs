//! What can go wrong between the ledger and its disk.

use std::path::PathBuf;

use crypto::NetworkId;

use super::Family;

/// The store failed, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("{} is in use by another process: stop the node that runs on it, or choose another data folder", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// There is no ledger where one was to be read.
    #[error("{} holds no ledger: check the path of the data folder", path.display())]
    NoLedger {
        /// The data folder.
        path: PathBuf,
    },
    /// The folder or a file in it cannot be used.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The database does not open, for another reason than damage.
    #[error("cannot open the database in {}: {source}", path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
        /// What the database says.
        source: rocksdb::Error,
    },
    /// The database finds itself damaged when it opens.
    #[error("the database in {} is damaged: {source}; {RESTORE}", path.display())]
    Damaged {
        /// The data folder.
        path: PathBuf,
        /// What the database says, with the file where it knows it.
        source: rocksdb::Error,
    },
    /// A log of the database has a record that it cannot have.
    #[error("{} is damaged: at byte {offset} it has a record of a kind that is never written; {RESTORE}", path.display())]
    DamagedLog {
        /// The log or the manifest.
        path: PathBuf,
        /// Where the record begins.
        offset: u64,
    },
    /// Writes that were on disk are gone.
    #[error("the database in {} has lost {what} {found} to {witnessed}, which were on disk: its log or manifest is damaged; {RESTORE}", path.display())]
    LostWrites {
        /// The data folder.
        path: PathBuf,
        /// What is counted.
        what: &'static str,
        /// The newest that was safely on disk.
        witnessed: u64,
        /// The first that is missing.
        found: u64,
    },
    /// The folder belongs to another network.
    #[error("{} holds the ledger of network {found}, and the genesis document describes network {expected}: use the genesis document this folder was made with, or another data folder", path.display())]
    OtherNetwork {
        /// The data folder.
        path: PathBuf,
        /// The network of the genesis document.
        expected: NetworkId,
        /// The network of the folder.
        found: NetworkId,
    },
    /// The folder was written by a version with another layout.
    #[error("{} has layout {found}, and this version reads layout {expected}: use the version that wrote it, or move the folder away and join a network that this version began", path.display())]
    OtherFormat {
        /// The data folder.
        path: PathBuf,
        /// The layout this version reads.
        expected: u32,
        /// The layout found.
        found: u32,
    },
    /// Something cannot be read back.
    #[error("cannot read family {} in {}: {source}; {RESTORE}", family.name(), path.display())]
    Read {
        /// Which kind of thing.
        family: Family,
        /// The data folder.
        path: PathBuf,
        /// What the database says, with the file where it knows it.
        source: rocksdb::Error,
    },
    /// A stored value is not what it must be.
    #[error("family {} in {}, key {key}: {what}; {RESTORE}", family.name(), path.display())]
    BadValue {
        /// Which kind of thing.
        family: Family,
        /// The data folder.
        path: PathBuf,
        /// The key in hex.
        key: String,
        /// The block concerned, where known.
        block: Option<u64>,
        /// What is wrong with it.
        what: String,
    },
    /// A row of the state that the ledger itself relies on is not what it must be.
    #[error("row {key} of {namespace} in the state: {what}; {RESTORE}")]
    BadRow {
        /// The namespace of the system.
        namespace: &'static str,
        /// The key in it.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A write failed: nothing may be written, or said, from here on.
    #[error("writing {what} to {} failed: {source}; the node must stop: free space or mend the disk, then start it again", path.display())]
    Write {
        /// What was written.
        what: &'static str,
        /// The data folder.
        path: PathBuf,
        /// What the database says.
        source: rocksdb::Error,
    },
    /// The same of transactions.
    #[error("writing transactions to {} failed: {source}; the node must stop: free space or mend the disk, then start it again", path.display())]
    Append {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// An earlier write failed, so this one was not tried.
    #[error("not writing {what} to {}: an earlier write failed ({first}), and only a restart finds out what is on disk", path.display())]
    Poisoned {
        /// What was to be written.
        what: &'static str,
        /// The data folder.
        path: PathBuf,
        /// The failure that came first.
        first: String,
    },
}

const RESTORE: &str = "move the folder away and let the node fetch the ledger from the others";

impl StoreError {
    /// The block concerned, where known.
    #[must_use]
    pub fn block(&self) -> Option<u64> {
        match self {
            Self::BadValue { block, .. } => *block,
            _ => None,
        }
    }
}
