//! The world state: what each contract's keys hold, and since when.
//!
//! Whoever reads the state reads a [`StateView`]: of the disk ([`crate::Snapshot`]),
//! of memory ([`MemoryState`]), or of either with the writes of an unfinished
//! block over it ([`Overlay`]).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use crypto::PublicKey;

use crate::members::{Member, SystemRow, contract_row, member_row};
use crate::policy::ContractDefinition;
use crate::proposal::TransactionId;
use crate::row::{LongValue, RowValue, RowWrite, StateRow, VersionedValue};
use crate::rwset::Version;
use crate::store::StoreError;

/// The namespace of the members: hexadecimal public key to [`crate::Identity`].
pub const MEMBERS: &str = "_members";
/// The namespace of the contracts: name to [`crate::ContractDefinition`].
pub const CONTRACTS: &str = "_contracts";

/// The rows of a range, by ascending key.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<(String, StateRow), StoreError>> + 'a>;

/// The state at one place of the order.
pub trait StateView {
    /// The row of a key.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError>;

    /// The rows of many keys, each a namespace and a key in it, in their order:
    /// where they are on disk, that costs less than one by one.
    fn rows(&self, keys: &[(&str, &str)]) -> Vec<Result<Option<StateRow>, StoreError>> {
        let keys = keys.iter();
        keys.map(|(namespace, key)| self.row(namespace, key))
            .collect()
    }

    /// The long value that a row of this state has for a key.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError>;

    /// A row of this state with its value.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn with_value(
        &self,
        namespace: &str,
        key: &str,
        row: StateRow,
    ) -> Result<VersionedValue, StoreError> {
        row.with_value(|long| self.long_value(namespace, key, long))
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn get(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, StoreError> {
        let row = self.row(namespace, key)?;
        let found = row.map(|row| self.with_value(namespace, key, row));
        found.transpose()
    }

    /// Whether a key of this namespace may have an endorsement policy of its own. It may
    /// where one ever had.
    fn is_guarded(&self, _namespace: &str) -> bool {
        true
    }

    /// Says that the rows of these keys will be asked for. No answer depends on it.
    fn expect(&self, _keys: &BTreeSet<(&str, &str)>) {}

    /// The rows with keys in `start..end`; an empty `end` means to the end.
    /// Whoever iterates says when it is enough.
    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_>;

    /// The contract with this name.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn contract(&self, name: &str) -> Result<SystemRow<ContractDefinition>, StoreError> {
        contract_row(self, name)
    }

    /// The member with this key.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn member(&self, key: &PublicKey) -> Result<SystemRow<Member>, StoreError> {
        member_row(self, key)
    }

    /// Where this id stands in the chain, whatever became of its transaction.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError>;

    /// Where these ids stand, in their order.
    fn places_of(&self, ids: &[TransactionId]) -> Vec<Result<Option<Version>, StoreError>> {
        ids.iter().map(|id| self.place_of(id)).collect()
    }
}

/// How many rows an overlay keeps of what it has read.
const MAX_KEPT: usize = 8192;

/// How many rows it reads together: few enough that even with the longest policies they
/// are no burden.
const READ_TOGETHER: usize = 1024;

type Namespaces<V> = BTreeMap<String, BTreeMap<String, V>>;

/// The entries of a range; none when it can hold nothing.
fn entries<'a, V>(
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
struct LongValues(Namespaces<(Version, Arc<[u8]>)>);

impl LongValues {
    /// Takes up what a key holds from now on.
    fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        match (&write.row, &write.long) {
            (Some(row), Some(value)) => {
                let keys = self.0.entry(namespace.to_owned()).or_default();
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

    fn get(&self, namespace: &str, key: &str, long: &LongValue) -> Option<&[u8]> {
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
        let keys = self.namespaces.entry(namespace.to_owned()).or_default();
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

/// A state with further writes over it, as each transaction of a block leaves
/// it to the next.
pub struct Overlay<'a> {
    base: &'a dyn StateView,
    /// What the base was asked for: a row is read when it is checked and again when
    /// it is written. Up to a bound.
    read: RefCell<Namespaces<Option<StateRow>>>,
    /// How many rows these are.
    kept: Cell<usize>,
    /// What rows of the system say: every transaction asks for some, which are the
    /// same for most. Forgotten when one is written.
    contracts: RefCell<BTreeMap<String, (Arc<ContractDefinition>, Version)>>,
    members: RefCell<BTreeMap<PublicKey, (Arc<Member>, Version)>>,
    /// A row that is none stands for a key that was deleted.
    written: Namespaces<Option<StateRow>>,
    long: LongValues,
    committed: BTreeMap<TransactionId, Version>,
}

impl<'a> Overlay<'a> {
    /// `base` with nothing over it yet.
    #[must_use]
    pub fn new(base: &'a dyn StateView) -> Self {
        Self {
            base,
            read: RefCell::default(),
            kept: Cell::default(),
            contracts: RefCell::default(),
            members: RefCell::default(),
            written: BTreeMap::new(),
            long: LongValues::default(),
            committed: BTreeMap::new(),
        }
    }

    /// Takes up what a key holds from now on.
    pub(crate) fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        match namespace {
            CONTRACTS => self.contracts.get_mut().clear(),
            MEMBERS => self.members.get_mut().clear(),
            _ => {}
        }
        self.long.apply(namespace, key, write);
        self.written
            .entry(namespace.to_owned())
            .or_default()
            .insert(key.to_owned(), write.row.clone());
    }

    /// Notes that an id stands in the chain.
    pub fn commit_id(&mut self, id: TransactionId, place: Version) {
        self.committed.insert(id, place);
    }

    /// Keeps what was read, as far as there is room.
    fn keep(&self, namespace: &str, key: &str, found: Option<StateRow>) {
        if self.kept.get() < MAX_KEPT {
            self.kept.update(|kept| kept + 1);
            let mut read = self.read.borrow_mut();
            let keys = read.entry(namespace.to_owned()).or_default();
            keys.insert(key.to_owned(), found);
        }
    }

    fn is_known(&self, namespace: &str, key: &str) -> bool {
        let knows = |all: &Namespaces<_>| all.get(namespace).is_some_and(|it| it.contains_key(key));
        knows(&self.written) || knows(&self.read.borrow())
    }
}

impl StateView for Overlay<'_> {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        let row_in = |all: &Namespaces<_>| all.get(namespace)?.get(key).cloned();
        if let Some(known) = row_in(&self.written).or_else(|| row_in(&self.read.borrow())) {
            return Ok(known);
        }
        let found = self.base.row(namespace, key)?;
        self.keep(namespace, key, found.clone());
        Ok(found)
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        match self.long.get(namespace, key, long) {
            Some(value) => Ok(value.to_vec()),
            None => self.base.long_value(namespace, key, long),
        }
    }

    fn is_guarded(&self, namespace: &str) -> bool {
        self.base.is_guarded(namespace)
    }

    fn expect(&self, keys: &BTreeSet<(&str, &str)>) {
        let unknown = keys.iter().copied();
        let unknown = unknown.filter(|(namespace, key)| !self.is_known(namespace, key));
        let unknown: Vec<_> = unknown.take(MAX_KEPT - self.kept.get()).collect();
        for together in unknown.chunks(READ_TOGETHER) {
            let found = self.base.rows(together);
            for ((namespace, key), found) in together.iter().zip(found) {
                // What cannot be read is an error for whoever asks for it.
                if let Ok(found) = found {
                    self.keep(namespace, key, found);
                }
            }
        }
    }

    fn contract(&self, name: &str) -> Result<SystemRow<ContractDefinition>, StoreError> {
        if let Some(known) = self.contracts.borrow().get(name) {
            return Ok(Some(known.clone()));
        }
        let found = contract_row(self, name)?;
        if let Some(found) = &found {
            let mut known = self.contracts.borrow_mut();
            known.insert(name.to_owned(), found.clone());
        }
        Ok(found)
    }

    fn member(&self, key: &PublicKey) -> Result<SystemRow<Member>, StoreError> {
        if let Some(known) = self.members.borrow().get(key) {
            return Ok(Some(known.clone()));
        }
        let found = member_row(self, key)?;
        if let Some(found) = &found {
            self.members.borrow_mut().insert(*key, found.clone());
        }
        Ok(found)
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        let written = entries(&self.written, namespace, start, end);
        let merged = Merged {
            base: self.base.range(namespace, start, end).peekable(),
            written: written.peekable(),
        };
        Box::new(merged)
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        match self.committed.get(id) {
            Some(place) => Ok(Some(*place)),
            None => self.base.place_of(id),
        }
    }

    fn places_of(&self, ids: &[TransactionId]) -> Vec<Result<Option<Version>, StoreError>> {
        let below = self.base.places_of(ids);
        let places = ids.iter().zip(below);
        let places = places.map(|(id, below)| match self.committed.get(id) {
            Some(place) => Ok(Some(*place)),
            None => below,
        });
        places.collect()
    }
}

/// The rows of a base with those written over it, which take the place of the
/// base's where both have a key.
struct Merged<'a, W: Iterator<Item = (&'a String, &'a Option<StateRow>)>> {
    base: Peekable<Rows<'a>>,
    written: Peekable<W>,
}

impl<'a, W: Iterator<Item = (&'a String, &'a Option<StateRow>)>> Iterator for Merged<'a, W> {
    type Item = Result<(String, StateRow), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((key, _)) = self.written.peek() else {
                return self.base.next();
            };
            match self.base.peek() {
                Some(Err(_)) => return self.base.next(),
                Some(Ok((below, _))) if below < *key => return self.base.next(),
                Some(Ok((below, _))) if below == *key => {
                    self.base.next();
                }
                _ => {}
            }
            if let Some((key, Some(row))) = self.written.next() {
                return Some(Ok((key.clone(), row.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::LONG_VALUE;

    /// What is done to a key: a value is put, short or long, or it is deleted, or its
    /// policy is set.
    #[derive(Clone, Debug)]
    enum Change {
        Put(u8),
        Delete,
        Guard,
    }

    fn changes() -> impl Strategy<Value = Vec<(String, Change)>> {
        let change = prop_oneof![
            any::<u8>().prop_map(Change::Put),
            Just(Change::Delete),
            Just(Change::Guard),
        ];
        prop::collection::vec(("[a-d]{1,2}", change), 0..12)
    }

    fn rows(view: &dyn StateView, start: &str, end: &str) -> Vec<(String, VersionedValue)> {
        let rows = view.range("kv", start, end).map(Result::unwrap);
        let with_value = |(key, row): (String, _)| {
            let found = view.with_value("kv", &key, row).unwrap();
            (key, found)
        };
        rows.map(with_value).collect()
    }

    fn row(block: u64, index: u32, value: u8) -> VersionedValue {
        let length = if value.is_multiple_of(2) {
            1
        } else {
            LONG_VALUE
        };
        VersionedValue {
            version: Version { block, index },
            value: vec![value; length],
            policy: None,
        }
    }

    fn write_of(view: &dyn StateView, key: &str, change: &Change, version: Version) -> RowWrite {
        match change {
            Change::Put(value) => Some(row(version.block, version.index, *value)).into(),
            Change::Delete => RowWrite::DELETED,
            Change::Guard => match view.row("kv", key).unwrap() {
                Some(before) => RowWrite::policy(before, version, Some("org1".parse().unwrap())),
                None => RowWrite::DELETED,
            },
        }
    }

    fn make(changes: &[(String, Change)], block: u64, state: &mut MemoryState) {
        for ((key, change), index) in changes.iter().zip(0..) {
            let write = write_of(state, key, change, Version { block, index });
            state.apply("kv", key, &write);
        }
    }

    proptest! {
        /// Whether a write is in the base or over it must not be seen, nor what was
        /// read before it was asked for.
        #[test]
        fn an_overlay_reads_as_if_its_writes_were_made(
            below in changes(), above in changes(), start in "[a-e]{0,2}", end in "[a-e]{0,2}",
            expected_at in 0..3,
        ) {
            let mut base = MemoryState::default();
            make(&below, 1, &mut base);
            let mut expected = base.clone();
            make(&above, 2, &mut expected);
            let mut overlay = Overlay::new(&base);
            let keys = below.iter().chain(&above).map(|(key, _)| ("kv", key.as_str()));
            let keys = keys.collect();
            if expected_at == 1 {
                overlay.expect(&keys);
            }
            for ((key, change), index) in above.iter().zip(0..) {
                let write = write_of(&overlay, key, change, Version { block: 2, index });
                overlay.apply("kv", key, &write);
            }
            if expected_at == 2 {
                overlay.expect(&keys);
            }
            prop_assert_eq!(rows(&overlay, &start, &end), rows(&expected, &start, &end));
            for (key, _) in below.iter().chain(&above) {
                prop_assert_eq!(overlay.get("kv", key).unwrap(), expected.get("kv", key).unwrap());
            }
        }
    }

    #[test]
    fn what_a_row_of_the_system_says_is_known_until_it_is_written() {
        let definition = |version| ContractDefinition {
            name: "kv".to_owned(),
            version,
            policy: "org1".parse().unwrap(),
        };
        let stored = |version: u32| VersionedValue {
            version: Version {
                block: version.into(),
                index: 0,
            },
            value: crypto::encode(&definition(version)),
            policy: None,
        };
        let mut base = MemoryState::default();
        base.write(CONTRACTS, "kv", Some(stored(1)));
        let mut overlay = Overlay::new(&base);
        let version = |overlay: &Overlay<'_>| {
            let (contract, since) = overlay.contract("kv").unwrap()?;
            assert_eq!(since.block, u64::from(contract.version));
            Some(contract.version)
        };
        assert_eq!([version(&overlay), version(&overlay)], [Some(1), Some(1)]);
        overlay.apply("kv", "kv", &Some(row(9, 0, 9)).into());
        assert_eq!(version(&overlay), Some(1));
        overlay.apply(CONTRACTS, "kv", &Some(stored(2)).into());
        assert_eq!(version(&overlay), Some(2));
        overlay.apply(CONTRACTS, "kv", &RowWrite::DELETED);
        assert_eq!(version(&overlay), None);
    }

    #[test]
    fn namespaces_do_not_see_each_other() {
        let mut base = MemoryState::default();
        base.write("kv", "a", Some(row(1, 0, 1)));
        let mut overlay = Overlay::new(&base);
        overlay.apply("kw", "b", &Some(row(2, 0, 2)).into());
        assert_eq!(rows(&overlay, "", "").len(), 1);
        assert_eq!(overlay.get("kw", "a").unwrap(), None);
        assert_eq!(overlay.get("k", "va").unwrap(), None);
    }

    #[test]
    fn an_id_is_committed_once_it_is_in_the_base_or_over_it() {
        let [below, above, other] = [1, 2, 3].map(|i| TransactionId(crypto::Digest([i; 32])));
        let mut base = MemoryState::default();
        let [first, second] = [1, 2].map(|block| Version { block, index: 0 });
        base.commit_id(below, first);
        let mut overlay = Overlay::new(&base);
        overlay.commit_id(above, second);
        let found = [below, above, other].map(|id| overlay.place_of(&id).unwrap());
        assert_eq!(found, [Some(first), Some(second), None]);
    }
}
