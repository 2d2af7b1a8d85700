//! Ids that are not in the chain: whoever lets a transaction in has looked for its id
//! on disk, and the committer need not look again.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use crate::proposal::TransactionId;

/// How many ids are remembered: more than are under way between client and block.
const MAX_IDS: usize = 65_536;

struct Known {
    ids: BTreeSet<TransactionId>,
    /// The block after which none of them is in the chain.
    after: u64,
}

/// Ids of which it is known that the chain has none of them.
pub(super) struct AbsentIds {
    known: Mutex<Known>,
}

impl AbsentIds {
    /// Those that are known when `after` is the newest block: none.
    pub(super) fn new(after: u64) -> Self {
        let ids = BTreeSet::new();
        Self {
            known: Mutex::new(Known { ids, after }),
        }
    }

    /// Takes note of ids that were not found on disk, by somebody who first saw that
    /// `tip` was the newest block. If another has come since, it may hold some.
    pub(super) fn note(&self, ids: impl Iterator<Item = TransactionId>, tip: u64) {
        let mut known = self.lock();
        if known.after != tip {
            return;
        }
        for id in ids {
            if known.ids.len() == MAX_IDS {
                known.ids.clear();
            }
            known.ids.insert(id);
        }
    }

    /// Whether this id is known not to be in the chain up to block `tip`.
    pub(super) fn contains(&self, id: &TransactionId, tip: u64) -> bool {
        let known = self.lock();
        known.after == tip && known.ids.contains(id)
    }

    /// Takes note of a block that is on disk, with these ids.
    pub(super) fn committed(&self, number: u64, ids: impl Iterator<Item = TransactionId>) {
        let mut known = self.lock();
        for id in ids {
            known.ids.remove(&id);
        }
        known.after = number;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        let known = self.known.lock();
        known.expect("nothing panics while the absent ids are held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> TransactionId {
        TransactionId(crypto::Digest([byte; 32]))
    }

    /// A wrong answer here would let a transaction take effect twice.
    #[test]
    fn an_id_is_absent_until_a_block_has_it_and_for_nobody_who_looked_before_that_block() {
        let absent = AbsentIds::new(4);
        absent.note([id(1), id(2)].into_iter(), 4);
        assert!(absent.contains(&id(1), 4) && absent.contains(&id(2), 4));
        assert!(!absent.contains(&id(3), 4));
        absent.committed(5, [id(1), id(3)].into_iter());
        // Looked for before block 5 was there, noted after.
        absent.note([id(3)].into_iter(), 4);
        let known = [1, 2, 3].map(|byte| absent.contains(&id(byte), 5));
        assert_eq!(known, [false, true, false]);
        assert!(!absent.contains(&id(2), 4), "of another place of the order");
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let absent = AbsentIds::new(0);
        let ids = (0..=MAX_IDS).map(|number| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            TransactionId(crypto::Digest(bytes))
        });
        absent.note(ids, 0);
        assert_eq!(absent.lock().ids.len(), 1);
    }
}
