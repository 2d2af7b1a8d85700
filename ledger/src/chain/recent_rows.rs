//! Rows of the state that were written lately: most of what is read was, and the
//! database would look for it again among all that is not in its tables yet.

use std::collections::BTreeMap;
use std::sync::{RwLock, RwLockReadGuard};

use crypto::encode;

use crate::row::{RowValue, StateRow};
use crate::store::{StateChange, StoreError};

/// What the rows of a generation may take.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// About what a row takes beside its key, its value and its policy.
const ROW_BYTES: usize = 256;
/// About how much larger a policy is in memory than encoded.
const POLICY_FACTOR: usize = 16;

/// A row, none of a key that was deleted, or why it cannot be read.
type Found = Result<Option<StateRow>, StoreError>;

/// Rows by key.
#[expect(
    clippy::disallowed_types,
    reason = "its order shows nowhere: keys are looked up, and that is all"
)]
type Rows = std::collections::HashMap<String, Option<StateRow>>;

/// Rows that were written one after the other.
#[derive(Default)]
struct Generation {
    namespaces: BTreeMap<String, Rows>,
    bytes: usize,
}

impl Generation {
    fn put(&mut self, change: StateChange) {
        let StateChange {
            namespace,
            key,
            write,
            ..
        } = change;
        let length = key.len();
        let of = |row: &Option<StateRow>| length + ROW_BYTES + row.as_ref().map_or(0, bytes);
        self.bytes += of(&write.row);
        let rows = self.namespaces.entry(namespace).or_default();
        if let Some(before) = rows.insert(key, write.row) {
            self.bytes -= of(&before);
        }
    }

    fn get(&self, (namespace, key): (&str, &str)) -> Option<&Option<StateRow>> {
        self.namespaces.get(namespace)?.get(key)
    }
}

/// What a row takes beside what every row does.
fn bytes(row: &StateRow) -> usize {
    let value = match &row.value {
        RowValue::Short(value) => value.len(),
        RowValue::Long(_) => 0,
    };
    let policy = row.policy.as_ref();
    value + policy.map_or(0, |policy| POLICY_FACTOR * encode(policy).len())
}

struct Known {
    /// Two, so that those are forgotten that were not written for long.
    newer: Generation,
    older: Generation,
    /// The block after which all of them are so.
    after: u64,
}

impl Known {
    /// The row of a key after block `tip`, if it is known.
    fn get(&self, key: (&str, &str), tip: u64) -> Option<&Option<StateRow>> {
        let is_newest = self.after == tip;
        let found = || self.newer.get(key).or_else(|| self.older.get(key));
        is_newest.then(found).flatten()
    }
}

/// Rows as they are after the newest block.
pub(super) struct RecentRows {
    known: RwLock<Known>,
}

impl RecentRows {
    /// Those that are known when `after` is the newest block: none.
    pub(super) fn new(after: u64) -> Self {
        Self {
            known: RwLock::new(Known {
                newer: Generation::default(),
                older: Generation::default(),
                after,
            }),
        }
    }

    /// The row of a key, a namespace and a key in it, after block `tip`, read with `read`
    /// if it is not known.
    pub(super) fn row(&self, key: (&str, &str), tip: u64, read: impl FnOnce() -> Found) -> Found {
        let known = self.lock().get(key, tip).cloned();
        known.map_or_else(read, Ok)
    }

    /// The rows of many keys, in their order. Those are read with `read` that are not known.
    pub(super) fn rows(
        &self,
        keys: &[(&str, &str)],
        tip: u64,
        read: impl FnOnce(&[(&str, &str)]) -> Vec<Found>,
    ) -> Vec<Found> {
        let (mut rows, mut unknown) = (Vec::with_capacity(keys.len()), Vec::new());
        {
            let known = self.lock();
            for &key in keys {
                let row = known.get(key, tip);
                if row.is_none() {
                    unknown.push(key);
                }
                rows.push(row.cloned());
            }
        }
        let mut read = read(&unknown).into_iter();
        let mut next = || read.next().expect("there is an answer for every key");
        let rows = rows.into_iter();
        rows.map(|row| row.map_or_else(&mut next, Ok)).collect()
    }

    /// Takes note of a block that is on disk, with these changes.
    pub(super) fn committed(&self, number: u64, changes: Vec<StateChange>) {
        let known = self.known.write();
        let mut known = known.expect("nothing panics while the recent rows are held");
        for change in changes {
            known.newer.put(change);
            if known.newer.bytes > MAX_BYTES {
                known.older = std::mem::take(&mut known.newer);
            }
        }
        known.after = number;
    }

    fn lock(&self) -> RwLockReadGuard<'_, Known> {
        let known = self.known.read();
        known.expect("nothing panics while the recent rows are held")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::{RowWrite, VersionedValue};
    use crate::rwset::Version;

    /// What is written to a key: its value, if it is not deleted, and whether it has a
    /// policy of its own.
    type Write = (String, Option<usize>, bool);

    fn change(number: u64, (key, value, guarded): &Write) -> StateChange {
        let version = Version {
            block: number,
            index: 0,
        };
        let row = value.map(|length| VersionedValue {
            version,
            value: vec![7; length],
            policy: guarded.then(|| "org1".parse().unwrap()),
        });
        StateChange {
            namespace: key[..1].to_owned(),
            key: key.clone(),
            version,
            transaction_id: None,
            write: RowWrite::from(row),
        }
    }

    fn write() -> impl Strategy<Value = Write> {
        let value = prop::option::of(prop_oneof![0..4_usize, 254..258_usize]);
        ("[ab][a-d]", value, any::<bool>())
    }

    fn bytes_of(generation: &Generation) -> usize {
        let rows = generation.namespaces.values().flatten();
        let bytes = rows.map(|(key, row)| key.len() + ROW_BYTES + row.as_ref().map_or(0, bytes));
        bytes.sum()
    }

    proptest! {
        /// One wrong row, and this node makes other blocks than the others.
        #[test]
        fn what_is_known_of_a_block_is_what_was_written_up_to_it(
            blocks in prop::collection::vec(prop::collection::vec(write(), 0..8), 1..8),
            turned_over_at in prop::collection::vec(0..8_u64, 0..3),
        ) {
            let (rows, mut state) = (RecentRows::new(0), BTreeMap::new());
            for (writes, number) in blocks.iter().zip(1_u64..) {
                let changes: Vec<_> = writes.iter().map(|write| change(number, write)).collect();
                for StateChange { key, write, .. } in &changes {
                    state.insert(key.clone(), write.row.clone());
                }
                rows.committed(number, changes);
                {
                    let mut known = rows.known.write().unwrap();
                    prop_assert_eq!(known.newer.bytes, bytes_of(&known.newer));
                    if turned_over_at.contains(&number) {
                        known.older = std::mem::take(&mut known.newer);
                    }
                }
                let all: Vec<_> = state.keys().map(|key| (&key[..1], key.as_str())).collect();
                let read = |unknown: &[(&str, &str)]| {
                    unknown.iter().map(|(_, key)| Ok(state[*key].clone())).collect()
                };
                let found = rows.rows(&all, number, read);
                for (row, (&key, expected)) in found.into_iter().zip(all.iter().zip(state.values())) {
                    prop_assert_eq!(&row.unwrap(), expected);
                    let one = rows.row(key, number, || Ok(expected.clone()));
                    prop_assert_eq!(&one.unwrap(), expected);
                }
                // Of another block nothing is known.
                for other in [number - 1, number + 1] {
                    let mut asked = 0;
                    rows.rows(&all, other, |unknown| {
                        asked = unknown.len();
                        unknown.iter().map(|_| Ok(None)).collect()
                    });
                    prop_assert_eq!(asked, all.len());
                }
            }
        }
    }

    #[test]
    fn rows_that_were_written_lately_are_known_and_no_more_than_there_is_room_for() {
        let rows = RecentRows::new(0);
        let is_known = |key: &str| {
            let mut asked = false;
            let row = rows.row(("k", key), 1, || {
                asked = true;
                Ok(None)
            });
            row.unwrap();
            !asked
        };
        let key = |at: usize| format!("k{at}");
        let room = MAX_BYTES / (ROW_BYTES + 100);
        let changes = (0..3 * room).map(|at| change(1, &(key(at), Some(100), false)));
        rows.committed(1, changes.collect());
        let known = rows.known.read().unwrap();
        let most = MAX_BYTES + ROW_BYTES + 200;
        assert!(known.newer.bytes <= MAX_BYTES && known.older.bytes <= most);
        drop(known);
        assert!(!is_known(&key(0)));
        assert!(is_known(&key(3 * room - 1)) && is_known(&key(2 * room)));
    }
}
