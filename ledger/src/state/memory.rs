//! A state in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::{Rows, StateView};
use crate::proposal::TransactionId;
use crate::row::{LongValue, RowValue, RowWrite, StateRow, VersionedValue};
use crate::rwset::Version;
use crate::store::StoreError;

/// Something about each key, by namespace.
pub(super) type Namespaces<V> = BTreeMap<String, BTreeMap<String, V>>;

/// The keys of a namespace, none yet where there is no such namespace.
pub(super) fn keys_of<'a, V>(
    namespaces: &'a mut Namespaces<V>,
    namespace: &str,
) -> &'a mut BTreeMap<String, V> {
    // Not by its entry, which would take a name of its own each time.
    if !namespaces.contains_key(namespace) {
        namespaces.insert(namespace.to_owned(), BTreeMap::new());
    }
    let keys = namespaces.get_mut(namespace);
    keys.expect("it was put there where it was not")
}

/// The entries of a range; none when it can hold nothing.
pub(super) fn entries<'a, V>(
    namespaces: &'a Namespaces<V>,
    namespace: &str,
    start: &str,
    end: &str,
) -> impl Iterator<Item = (&'a String, &'a V)> + use<'a, V> {
    let bounds = (
        Bound::Included(start),
        if end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(end)
        },
    );
    let can_hold = end.is_empty() || start < end;
    namespaces
        .get(namespace)
        .filter(|_| can_hold)
        .map(|keys| keys.range::<str, _>(bounds))
        .into_iter()
        .flatten()
}

/// The long values of rows in memory, each with where it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct LongValues(Namespaces<(Version, Arc<[u8]>)>);

impl LongValues {
    /// Takes up what a key holds from now on.
    pub(super) fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        match (&write.row, &write.long) {
            (Some(row), Some(value)) => {
                let keys = keys_of(&mut self.0, namespace);
                keys.insert(key.to_owned(), (row.version, value.clone()));
            }
            // The value stays what it was.
            (Some(row), None) if matches!(row.value, RowValue::Long(_)) => {}
            _ => {
                if let Some(keys) = self.0.get_mut(namespace) {
                    keys.remove(key);
                }
            }
        }
    }

    pub(super) fn get(&self, namespace: &str, key: &str, long: &LongValue) -> Option<&[u8]> {
        let (written, value) = self.0.get(namespace)?.get(key)?;
        (*written == long.written).then_some(value)
    }
}

/// A state in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    namespaces: Namespaces<StateRow>,
    long: LongValues,
    committed: BTreeMap<TransactionId, Version>,
}

impl MemoryState {
    /// Writes a key; no value deletes it.
    pub fn write(&mut self, namespace: &str, key: &str, value: Option<VersionedValue>) {
        self.apply(namespace, key, &value.into());
    }

    /// Takes up what a key holds from now on.
    pub(crate) fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        self.long.apply(namespace, key, write);
        let keys = keys_of(&mut self.namespaces, namespace);
        match &write.row {
            Some(row) => {
                keys.insert(key.to_owned(), row.clone());
            }
            None => {
                keys.remove(key);
            }
        }
    }

    /// Notes that an id stands in the chain.
    pub fn commit_id(&mut self, id: TransactionId, place: Version) {
        self.committed.insert(id, place);
    }

    /// Every row with its namespace and its key.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str, &StateRow)> {
        self.namespaces.iter().flat_map(|(namespace, keys)| {
            let rows = keys.iter();
            rows.map(|(key, row)| (namespace.as_str(), key.as_str(), row))
        })
    }
}

impl StateView for MemoryState {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        let keys = self.namespaces.get(namespace);
        Ok(keys.and_then(|keys| keys.get(key)).cloned())
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        let value = self.long.get(namespace, key, long);
        let value = value.expect("a state in memory has the values of its rows");
        Ok(value.to_vec())
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        let entries = entries(&self.namespaces, namespace, start, end);
        Box::new(entries.map(|(key, value)| Ok((key.clone(), value.clone()))))
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        Ok(self.committed.get(id).copied())
    }
}
