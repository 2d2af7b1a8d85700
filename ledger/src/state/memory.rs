//! A state in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Rows, StateView};
use crate::proposal::TransactionId;
use crate::row::{LongValue, RowWrite, StateRow, VersionedValue};
use crate::rwset::Version;
use crate::store::StoreError;

/// Something about each key, by namespace.
pub(super) type Namespaces<V> = BTreeMap<String, BTreeMap<String, V>>;

/// What is kept of a namespace, nothing yet where it is new.
pub(super) fn namespace_of<'a, K: Default>(
    namespaces: &'a mut BTreeMap<String, K>,
    namespace: &str,
) -> &'a mut K {
    // Not by its entry, which would take a name of its own each time.
    if !namespaces.contains_key(namespace) {
        namespaces.insert(namespace.to_owned(), K::default());
    }
    let kept = namespaces.get_mut(namespace);
    kept.expect("it was put there where it was not")
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

/// What is known of a key.
pub(super) fn found<'a, V>(
    namespaces: &'a Namespaces<V>,
    namespace: &str,
    key: &str,
) -> Option<&'a V> {
    namespaces.get(namespace)?.get(key)
}

/// Takes up what a key holds from now on.
pub(super) fn apply(
    namespaces: &mut Namespaces<RowWrite>,
    namespace: &str,
    key: &str,
    write: &RowWrite,
) {
    let keys = namespace_of(namespaces, namespace);
    match keys.get_mut(key) {
        Some(earlier) => earlier.then(write),
        None => {
            keys.insert(key.to_owned(), write.clone());
        }
    }
}

/// A state in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    /// Deleted keys have none.
    namespaces: Namespaces<RowWrite>,
    committed: BTreeMap<TransactionId, Version>,
}

impl MemoryState {
    /// Writes a key; no value deletes it.
    pub fn write(&mut self, namespace: &str, key: &str, value: Option<VersionedValue>) {
        self.apply(namespace, key, &value.into());
    }

    /// Takes up what a key holds from now on.
    pub(crate) fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        apply(&mut self.namespaces, namespace, key, write);
        if write.row.is_none() {
            namespace_of(&mut self.namespaces, namespace).remove(key);
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
            rows.filter_map(|(key, found)| {
                Some((namespace.as_str(), key.as_str(), found.row.as_ref()?))
            })
        })
    }
}

impl StateView for MemoryState {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        Ok(found(&self.namespaces, namespace, key).and_then(|found| found.row.clone()))
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        let found = found(&self.namespaces, namespace, key);
        let value = found.and_then(|found| found.long_value(long));
        let value = value.expect("a state in memory has the values of its rows");
        Ok(value.to_vec())
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        let entries = entries(&self.namespaces, namespace, start, end);
        Box::new(entries.filter_map(|(key, found)| Some(Ok((key.clone(), found.row.clone()?)))))
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        Ok(self.committed.get(id).copied())
    }
}
