//! The transactions of a creator or of a contract.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BlockTransaction, VersionAnswer};

/// Transactions, the newest first, valid or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListingAnswer {
    /// The newest block when they were read.
    pub height: u64,
    /// The hash of that block.
    pub block_hash: String,
    /// A transaction that came again stands where it was first.
    pub transactions: Vec<ListedTransaction>,
    /// Where to go on, as `from_block` and `from_index`, if these may not be all.
    pub next: Option<VersionAnswer>,
}

/// A transaction and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedTransaction {
    /// Its block.
    pub block: u64,
    /// Its position in the block.
    pub index: u32,
    /// What it is and what became of it.
    #[serde(flatten)]
    pub transaction: BlockTransaction,
}
