//! Why the ledger did not do what it was asked.

use crate::store::StoreError;

/// The ledger refused, or its store failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such block yet.
    #[error("there is no block {number}")]
    NoSuchBlock {
        /// The number asked for.
        number: u64,
    },
    /// A block that does not come out as it came when it is executed.
    #[error("block {block} has {what} {found}, and it should be {expected}")]
    Different {
        /// The block's place in the chain.
        block: u64,
        /// The part that differs.
        what: &'static str,
        /// What the block says.
        found: String,
        /// What it must be here.
        expected: String,
    },
    /// A block that gives a reason for a verdict which the chain does not bear out.
    #[error("the reason that the block gives points at something that is not there")]
    NoSuchEvidence,
}

impl LedgerError {
    /// Whether the store failed, after which the node must stop; otherwise what
    /// was asked for was wrong, and nothing has changed.
    #[must_use]
    pub fn is_store_failure(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}
