//! What it may take to check the transactions of one block, where their bytes do not
//! bound it: ranges are read again however few bytes name them, and policies may be
//! searched for long. Both are bounded for one transaction, and a block has a thousand.
//! No client is to keep replicas busy for longer than they wait for a block.
//!
//! It is part of what a block means: every node spends alike.

use crate::names::{MAX_RANGE_BYTES, MAX_RANGE_ROWS};

/// For as many transactions with the largest ranges there are is room in a block.
const LARGEST_RANGES: usize = 20;

/// Steps of the search in policies, beyond those that each policy has for itself.
const SEARCH_STEPS: usize = 256 * 1024;

/// What is left for the transactions of a block that are still to be checked.
#[derive(Debug)]
pub struct Budget {
    pub(super) ranges: Ranges,
    pub(super) search: usize,
}

/// How much of ranges may still be read.
#[derive(Debug)]
pub(super) struct Ranges {
    rows: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            ranges: Ranges {
                rows: LARGEST_RANGES * MAX_RANGE_ROWS,
                bytes: LARGEST_RANGES * MAX_RANGE_BYTES,
            },
            search: SEARCH_STEPS,
        }
    }
}

impl Ranges {
    /// For all ranges of a transaction.
    pub(super) fn of_a_transaction() -> Self {
        Self {
            rows: MAX_RANGE_ROWS,
            bytes: MAX_RANGE_BYTES,
        }
    }

    /// Whether one more row, of so many bytes, may be read.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.rows.checked_sub(1).zip(self.bytes.checked_sub(bytes));
        (self.rows, self.bytes) = left.unwrap_or((0, 0));
        left.is_some()
    }
}
