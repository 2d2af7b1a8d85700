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
use crypto::codec::{Decode, Encode};

use crate::members::{Member, SystemRow, contract_row, member_row};
use crate::policy::{ContractDefinition, EndorsementPolicy};
use crate::proposal::TransactionId;
use crate::rwset::Version;
use crate::store::StoreError;

/// The namespace of the members: hexadecimal public key to [`crate::Identity`].
pub const MEMBERS: &str = "_members";
/// The namespace of the contracts: name to [`crate::ContractDefinition`].
pub const CONTRACTS: &str = "_contracts";

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VersionedValue {
    /// Where it was written.
    pub version: Version,
    /// The value.
    pub value: Vec<u8>,
    /// Who must endorse what is done to the key, where that is not for the
    /// contract's policy to say.
    pub policy: Option<EndorsementPolicy>,
}

/// The rows of a range, by ascending key.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<(String, VersionedValue), StoreError>> + 'a>;

/// The state at one place of the order.
pub trait StateView {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn get(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, StoreError>;

    /// The values of many keys, each a namespace and a key in it, in their order:
    /// where they are on disk, that costs less than one by one.
    fn get_many(&self, keys: &[(&str, &str)]) -> Vec<Result<Option<VersionedValue>, StoreError>> {
        let keys = keys.iter();
        keys.map(|(namespace, key)| self.get(namespace, key))
            .collect()
    }

    /// Says that these keys will be asked for. No answer depends on it.
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

/// How many rows an overlay keeps of what it has read, and how many bytes of values.
const MAX_KEPT: usize = 8192;
const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// How many rows it reads together: few enough that even of the longest values they
/// are no burden.
const READ_TOGETHER: usize = 128;

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

/// A state in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    namespaces: Namespaces<VersionedValue>,
    committed: BTreeMap<TransactionId, Version>,
}

impl MemoryState {
    /// Writes a key; no row deletes it.
    pub fn write(&mut self, namespace: &str, key: &str, row: Option<VersionedValue>) {
        let keys = self.namespaces.entry(namespace.to_owned()).or_default();
        match row {
            Some(row) => {
                keys.insert(key.to_owned(), row);
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

    /// Every row: namespace, key and value.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &VersionedValue)> {
        self.namespaces.iter().flat_map(|(namespace, keys)| {
            let rows = keys.iter();
            rows.map(|(key, value)| (namespace.as_str(), key.as_str(), value))
        })
    }
}

impl StateView for MemoryState {
    fn get(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, StoreError> {
        let keys = self.namespaces.get(namespace);
        Ok(keys.and_then(|keys| keys.get(key)).cloned())
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
    /// What the base was asked for: a key is read when it is checked and again when
    /// it is written. Up to a bound.
    read: RefCell<Namespaces<Option<VersionedValue>>>,
    /// How many rows these are, and how many bytes of values.
    kept: Cell<(usize, usize)>,
    /// What rows of the system say: every transaction asks for some, which are the
    /// same for most. Forgotten when one is written.
    contracts: RefCell<BTreeMap<String, (Arc<ContractDefinition>, Version)>>,
    members: RefCell<BTreeMap<PublicKey, (Arc<Member>, Version)>>,
    /// A value that is none stands for a key that was deleted.
    written: Namespaces<Option<VersionedValue>>,
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
            committed: BTreeMap::new(),
        }
    }

    /// Writes a key; no row deletes it.
    pub fn write(&mut self, namespace: &str, key: &str, row: Option<VersionedValue>) {
        match namespace {
            CONTRACTS => self.contracts.get_mut().clear(),
            MEMBERS => self.members.get_mut().clear(),
            _ => {}
        }
        self.written
            .entry(namespace.to_owned())
            .or_default()
            .insert(key.to_owned(), row);
    }

    /// Notes that an id stands in the chain.
    pub fn commit_id(&mut self, id: TransactionId, place: Version) {
        self.committed.insert(id, place);
    }

    fn get_base(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, StoreError> {
        let read = self.read.borrow();
        if let Some(found) = read.get(namespace).and_then(|keys| keys.get(key)) {
            return Ok(found.clone());
        }
        drop(read);
        let found = self.base.get(namespace, key)?;
        self.keep(namespace, key, found.clone());
        Ok(found)
    }

    /// Keeps what was read, and says whether there was room.
    fn keep(&self, namespace: &str, key: &str, found: Option<VersionedValue>) -> bool {
        let (rows, bytes) = self.kept.get();
        let length = found.as_ref().map_or(0, |found| found.value.len());
        let has_room = rows < MAX_KEPT && length <= MAX_KEPT_BYTES - bytes;
        if has_room {
            self.kept.set((rows + 1, bytes + length));
            let mut read = self.read.borrow_mut();
            let keys = read.entry(namespace.to_owned()).or_default();
            keys.insert(key.to_owned(), found);
        }
        has_room
    }

    fn is_known(&self, namespace: &str, key: &str) -> bool {
        let knows = |all: &Namespaces<_>| all.get(namespace).is_some_and(|it| it.contains_key(key));
        knows(&self.written) || knows(&self.read.borrow())
    }
}

impl StateView for Overlay<'_> {
    fn get(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, StoreError> {
        let keys = self.written.get(namespace);
        match keys.and_then(|keys| keys.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.get_base(namespace, key),
        }
    }

    fn expect(&self, keys: &BTreeSet<(&str, &str)>) {
        let unknown = keys.iter().copied();
        let unknown = unknown.filter(|(namespace, key)| !self.is_known(namespace, key));
        let unknown: Vec<_> = unknown.take(MAX_KEPT - self.kept.get().0).collect();
        for together in unknown.chunks(READ_TOGETHER) {
            let found = self.base.get_many(together);
            for ((namespace, key), found) in together.iter().zip(found) {
                // What cannot be read is an error for whoever asks for it.
                if let Ok(found) = found
                    && !self.keep(namespace, key, found)
                {
                    return;
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
struct Merged<'a, W: Iterator<Item = (&'a String, &'a Option<VersionedValue>)>> {
    base: Peekable<Rows<'a>>,
    written: Peekable<W>,
}

impl<'a, W: Iterator<Item = (&'a String, &'a Option<VersionedValue>)>> Iterator for Merged<'a, W> {
    type Item = Result<(String, VersionedValue), StoreError>;

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
            if let Some((key, Some(value))) = self.written.next() {
                return Some(Ok((key.clone(), value.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Changes = Vec<(String, Option<u8>)>;

    fn changes() -> impl Strategy<Value = Changes> {
        prop::collection::vec(("[a-d]{1,2}", any::<Option<u8>>()), 0..12)
    }

    fn rows(view: &dyn StateView, start: &str, end: &str) -> Vec<(String, VersionedValue)> {
        view.range("kv", start, end).map(Result::unwrap).collect()
    }

    fn row(block: u64, index: u32, value: u8) -> VersionedValue {
        VersionedValue {
            version: Version { block, index },
            value: vec![value],
            policy: None,
        }
    }

    fn make(all: &Changes, block: u64, mut write: impl FnMut(&str, Option<VersionedValue>)) {
        for ((key, value), index) in all.iter().zip(0..) {
            write(key, value.map(|byte| row(block, index, byte)));
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
            make(&below, 1, |key, row| base.write("kv", key, row));
            let mut expected = base.clone();
            make(&above, 2, |key, row| expected.write("kv", key, row));
            let mut overlay = Overlay::new(&base);
            let keys = below.iter().chain(&above).map(|(key, _)| ("kv", key.as_str()));
            let keys = keys.collect();
            if expected_at == 1 {
                overlay.expect(&keys);
            }
            make(&above, 2, |key, row| overlay.write("kv", key, row));
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
        overlay.write("kv", "kv", Some(row(9, 0, 9)));
        assert_eq!(version(&overlay), Some(1));
        overlay.write(CONTRACTS, "kv", Some(stored(2)));
        assert_eq!(version(&overlay), Some(2));
        overlay.write(CONTRACTS, "kv", None);
        assert_eq!(version(&overlay), None);
    }

    #[test]
    fn namespaces_do_not_see_each_other() {
        let mut base = MemoryState::default();
        base.write("kv", "a", Some(row(1, 0, 1)));
        let mut overlay = Overlay::new(&base);
        overlay.write("kw", "b", Some(row(2, 0, 2)));
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
