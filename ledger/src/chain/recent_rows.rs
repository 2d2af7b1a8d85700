//! Rows of the state that were written lately: most of what is read was, and the
//! database would look for it again among all that is not in its tables yet.

use std::collections::BTreeMap;
use std::sync::{RwLock, RwLockReadGuard};

use crypto::encode;

use crate::lookup::Lookup;
use crate::row::{RowValue, StateRow};
use crate::store::{StateChange, StoreError};

/// What the rows of a generation may take.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// About what a row takes beside its key, its value and its policy.
const ROW_BYTES: usize = 400;
/// About how much larger a policy is in memory than encoded.
const POLICY_FACTOR: usize = 16;

/// A row, none of a key that was deleted, or why it cannot be read.
type Found = Result<Option<StateRow>, StoreError>;

/// A row, none of a key that was deleted, and about how many bytes it takes.
struct Kept {
    row: Option<StateRow>,
    bytes: usize,
}

impl Kept {
    fn new(key: &str, row: Option<StateRow>) -> Self {
        let value = row.as_ref().map_or(0, |row| match &row.value {
            RowValue::Short(value) => value.len(),
            RowValue::Long(_) => 0,
        });
        let policy = row.as_ref().and_then(|row| row.policy.as_ref());
        let policy = policy.map_or(0, |policy| POLICY_FACTOR * encode(policy).len());
        let bytes = ROW_BYTES + key.len() + value + policy;
        Self { row, bytes }
    }
}

/// Rows that were written one after the other.
#[derive(Default)]
struct Generation {
    namespaces: BTreeMap<String, Lookup<String, Kept>>,
    bytes: usize,
}

impl Generation {
    fn put(&mut self, namespace: String, key: String, kept: Kept) {
        self.bytes += kept.bytes;
        let rows = self.namespaces.entry(namespace).or_default();
        if let Some(before) = rows.insert(key, kept) {
            self.bytes -= before.bytes;
        }
    }

    fn get(&self, (namespace, key): (&str, &str)) -> Option<&Option<StateRow>> {
        let kept = self.namespaces.get(namespace)?.get(key)?;
        Some(&kept.row)
    }
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
        if self.after != tip {
            return None;
        }
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    /// Puts a row. Where there is no room any more, the older ones go, and come out.
    fn put(&mut self, namespace: String, key: String, kept: Kept, room: usize) -> Generation {
        self.newer.put(namespace, key, kept);
        if self.newer.bytes <= room {
            return Generation::default();
        }
        let newer = std::mem::take(&mut self.newer);
        std::mem::replace(&mut self.older, newer)
    }
}

/// Rows as they are after the newest block.
pub(super) struct RecentRows {
    known: RwLock<Known>,
    /// How many bytes a generation may take.
    room: usize,
}

impl RecentRows {
    /// Those that are known when `after` is the newest block: none.
    pub(super) fn new(after: u64) -> Self {
        Self::with_room(after, MAX_BYTES)
    }

    fn with_room(after: u64, room: usize) -> Self {
        Self {
            room,
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
        let kept = changes.into_iter().map(|change| {
            let kept = Kept::new(&change.key, change.write.row);
            (change.namespace, change.key, kept)
        });
        let kept: Vec<_> = kept.collect();
        let known = self.known.write();
        let mut known = known.expect("nothing panics while the recent rows are held");
        let put = kept.into_iter();
        let put = put.map(|(namespace, key, kept)| known.put(namespace, key, kept, self.room));
        let gone: Vec<Generation> = put.filter(|gone| gone.bytes > 0).collect();
        known.after = number;
        drop(known);
        // To free so many rows takes a while, for which readers need not wait.
        drop(gone);
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

    proptest! {
        /// One wrong row, and this node makes other blocks than the others.
        #[test]
        fn what_is_known_of_a_block_is_what_was_written_up_to_it(
            blocks in prop::collection::vec(prop::collection::vec(write(), 0..12), 1..8),
            room in 0..6 * ROW_BYTES,
        ) {
            let (rows, mut state) = (RecentRows::with_room(0, room), BTreeMap::new());
            for (writes, number) in blocks.iter().zip(1_u64..) {
                let changes: Vec<_> = writes.iter().map(|write| change(number, write)).collect();
                for StateChange { key, write, .. } in &changes {
                    state.insert(key.clone(), write.row.clone());
                }
                let last = changes.last().map(|change| change.key.clone());
                rows.committed(number, changes);
                let all: Vec<_> = state.keys().map(|key| (&key[..1], key.as_str())).collect();
                let mut asked = Vec::new();
                let found = rows.rows(&all, number, |unknown| {
                    asked = unknown.iter().map(|(_, key)| (*key).to_owned()).collect();
                    unknown.iter().map(|(_, key)| Ok(state[*key].clone())).collect()
                });
                for (row, (&key, expected)) in found.into_iter().zip(all.iter().zip(state.values())) {
                    prop_assert_eq!(&row.unwrap(), expected);
                    let one = rows.row(key, number, || Ok(expected.clone()));
                    prop_assert_eq!(&one.unwrap(), expected);
                }
                prop_assert!(last.is_none_or(|last| !asked.contains(&last)));
                let known = rows.lock();
                for generation in [&known.newer, &known.older] {
                    let of = |key: &String| generation.namespaces.get(&key[..1])?.get(key);
                    let kept = state.keys().filter_map(of).map(|kept| kept.bytes);
                    prop_assert_eq!(generation.bytes, kept.sum::<usize>());
                }
                prop_assert!(known.newer.bytes <= room);
                drop(known);
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
}
