//! Ids that are not in the chain: whoever endorses a call, or lets a transaction in, has
//! looked for its id on disk, and need not look again, nor need the committer.

use std::sync::{Mutex, MutexGuard};

use crate::lookup::Lookup;
use crate::proposal::TransactionId;
use crate::store::{Location, StoreError};

/// How many ids are remembered: more than are under way between client and block.
const MAX_IDS: usize = 65_536;

/// Where an id stands in the chain, or why that cannot be read.
type Found = Result<Option<Location>, StoreError>;

struct Known {
    ids: Lookup<TransactionId, ()>,
    /// The block after which none of them is in the chain.
    after: u64,
}

impl Known {
    /// Whether this id is known not to be in the chain up to block `tip`.
    fn has(&self, id: &TransactionId, tip: u64) -> bool {
        self.after == tip && self.ids.get(id).is_some()
    }
}

/// Ids of which it is known that the chain has none of them.
pub(super) struct AbsentIds {
    known: Mutex<Known>,
}

impl AbsentIds {
    /// Those that are known when `after` is the newest block: none.
    pub(super) fn new(after: u64) -> Self {
        let ids = Lookup::default();
        Self {
            known: Mutex::new(Known { ids, after }),
        }
    }

    /// Where these ids stand, for somebody who first saw that `tip` was the newest block.
    /// Only those are looked for, by `look`, that are not known to be in no block.
    pub(super) fn locate(
        &self,
        ids: &[TransactionId],
        tip: u64,
        look: impl FnOnce(&[TransactionId]) -> Vec<Found>,
    ) -> Vec<Found> {
        let known: Vec<_> = {
            let known = self.lock();
            ids.iter().map(|id| known.has(id, tip)).collect()
        };
        let unknown = ids.iter().zip(&known).filter(|(_, known)| !**known);
        let unknown: Vec<_> = unknown.map(|(id, _)| *id).collect();
        let found = look(&unknown);
        let absent = unknown.iter().zip(&found);
        let absent = absent.filter(|(_, found)| matches!(found, Ok(None)));
        self.note(absent.map(|(id, _)| *id), tip);
        let mut found = found.into_iter();
        let mut next = || found.next().expect("there is an answer for every id");
        let places = known.into_iter();
        places
            .map(|known| if known { Ok(None) } else { next() })
            .collect()
    }

    /// Takes note of ids that were not found on disk, by somebody who first saw that
    /// `tip` was the newest block. If another has come since, it may hold some.
    fn note(&self, ids: impl Iterator<Item = TransactionId>, tip: u64) {
        let mut known = self.lock();
        if known.after != tip {
            return;
        }
        for id in ids {
            if known.ids.len() == MAX_IDS {
                known.ids.clear();
            }
            known.ids.insert(id, ());
        }
    }

    /// Whether this id is known not to be in the chain up to block `tip`.
    pub(super) fn contains(&self, id: &TransactionId, tip: u64) -> bool {
        self.lock().has(id, tip)
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
    use crate::validation::ValidationCode;

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
    fn what_was_looked_for_in_vain_is_looked_for_again_once_there_is_a_block_with_it() {
        let absent = AbsentIds::new(4);
        let place = Location {
            block: 2,
            index: 0,
            code: ValidationCode::Valid,
        };
        // Which of them are in the chain, where the first is, and how many are looked for.
        let locate = |ids: &[u8], tip| {
            let ids: Vec<_> = ids.iter().copied().map(id).collect();
            let mut looked = 0;
            let found = absent.locate(&ids, tip, |unknown| {
                looked = unknown.len();
                let found = unknown.iter().map(|&each| each == id(1));
                found.map(|found| Ok(found.then_some(place))).collect()
            });
            let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
            (found, looked)
        };
        assert_eq!(locate(&[1, 2], 4), (vec![Some(place), None], 2));
        assert_eq!(locate(&[2, 1, 3], 4), (vec![None, Some(place), None], 2));
        absent.committed(5, [id(3)].into_iter());
        assert_eq!(locate(&[2, 3], 4).1, 2, "of another place of the order");
        assert_eq!(locate(&[2, 3], 5).1, 1);
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
