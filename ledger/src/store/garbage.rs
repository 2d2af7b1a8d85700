//! The room of long values that were overwritten, and when it is had again.
//!
//! Long values are written once, into files of their own (`rocks`); tables that are
//! merged keep only where they stand, and such a file goes when nothing refers to it any
//! more. A merge can also move on what keeps the oldest files, and does so only while
//! much of all that is kept is garbage: where keys are hardly ever overwritten, the same
//! values would be written again and again for nothing.

use std::sync::atomic::Ordering;

use super::rocks::{self, Kept};
use super::{Family, Store, StoreError};

/// How many blocks are written from one look to the next.
const BLOCKS_BETWEEN: u64 = 64;

/// Whether values are to be moved, where they are or are not by now: from when half of
/// what is kept is garbage until a quarter is.
fn is_due(moved_by_now: bool, kept: &Kept) -> bool {
    let bearable = kept.bytes / if moved_by_now { 4 } else { 2 };
    kept.garbage > bearable
}

impl Store {
    /// Has merges move values or not, by how much garbage there is.
    pub(super) fn tend_values(&self, number: u64) -> Result<(), StoreError> {
        if !number.is_multiple_of(BLOCKS_BETWEEN) {
            return Ok(());
        }
        let what = "how values are kept";
        let family = self.family(Family::State);
        let kept = self.settle(what, rocks::kept_values(&self.db, family))?;
        let moved_by_now = self.moves_values.load(Ordering::Relaxed);
        let due = is_due(moved_by_now, &kept);
        if due != moved_by_now {
            self.settle(what, rocks::move_values(&self.db, family, due))?;
            self.moves_values.store(due, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_moved_from_half_of_garbage_on_down_to_a_quarter() {
        let with = |garbage| Kept {
            bytes: 100,
            garbage,
        };
        assert!(!is_due(false, &with(50)) && is_due(false, &with(51)));
        assert!(is_due(true, &with(26)) && !is_due(true, &with(25)));
        assert!(!is_due(false, &Kept::default()) && !is_due(true, &Kept::default()));
    }
}
