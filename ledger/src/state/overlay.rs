//! A state with further writes over it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::sync::Arc;

use crypto::PublicKey;

use super::memory::{Namespaces, apply, entries, found, namespace_of};
use super::{CONTRACTS, MEMBERS, Rows, StateView};
use crate::lookup::Lookup;
use crate::members::{Member, SystemRow, contract_row, member_row};
use crate::policy::ContractDefinition;
use crate::proposal::TransactionId;
use crate::row::{LongValue, RowWrite, StateRow};
use crate::rwset::Version;
use crate::store::StoreError;

/// How many rows an overlay keeps of what it has read.
const MAX_KEPT: usize = 8192;

/// How many rows it reads together: few enough that even with the longest policies they
/// are no burden.
const READ_TOGETHER: usize = 1024;

/// A state with further writes over it, as each transaction of a block leaves
/// it to the next.
pub struct Overlay<'a> {
    base: &'a dyn StateView,
    /// Rows that the base was asked for, as they are by now: a row is read when it is
    /// checked and again when it is written. Up to a bound.
    known: RefCell<BTreeMap<String, Lookup<String, Option<StateRow>>>>,
    /// How many rows these are.
    kept: Cell<usize>,
    /// What rows of the system say: every transaction asks for some, which are the
    /// same for most. Forgotten when one is written.
    contracts: RefCell<BTreeMap<String, (Arc<ContractDefinition>, Version)>>,
    members: RefCell<BTreeMap<PublicKey, (Arc<Member>, Version)>>,
    /// A row that is none stands for a key that was deleted.
    written: Namespaces<RowWrite>,
    committed: Lookup<TransactionId, Version>,
    /// Namespaces in which a key was given a policy of its own.
    guarded: BTreeSet<String>,
}

impl<'a> Overlay<'a> {
    /// `base` with nothing over it yet.
    #[must_use]
    pub fn new(base: &'a dyn StateView) -> Self {
        Self {
            base,
            known: RefCell::default(),
            kept: Cell::default(),
            contracts: RefCell::default(),
            members: RefCell::default(),
            written: BTreeMap::new(),
            committed: Lookup::default(),
            guarded: BTreeSet::new(),
        }
    }

    /// Takes up what a key holds from now on.
    pub(crate) fn apply(&mut self, namespace: &str, key: &str, write: &RowWrite) {
        match namespace {
            CONTRACTS => self.contracts.get_mut().clear(),
            MEMBERS => self.members.get_mut().clear(),
            _ => {}
        }
        let row = write.row.as_ref();
        if row.is_some_and(|row| row.policy.is_some()) {
            self.guarded.insert(namespace.to_owned());
        }
        let known = self.known.get_mut().get_mut(namespace);
        if let Some(row) = known.and_then(|keys| keys.get_mut(key)) {
            row.clone_from(&write.row);
        }
        apply(&mut self.written, namespace, key, write);
    }

    /// Notes that an id stands in the chain.
    pub fn commit_id(&mut self, id: TransactionId, place: Version) {
        self.committed.insert(id, place);
    }

    /// Keeps what was read of the base, as far as there is room.
    fn keep(&self, namespace: &str, key: &str, found: Option<StateRow>) {
        if self.kept.get() < MAX_KEPT {
            self.kept.update(|kept| kept + 1);
            let mut known = self.known.borrow_mut();
            namespace_of(&mut known, namespace).insert(key.to_owned(), found);
        }
    }

    /// Something of the row of a key, if that need not be read.
    fn at_hand<T>(
        &self,
        namespace: &str,
        key: &str,
        of: impl Fn(&Option<StateRow>) -> T,
    ) -> Option<T> {
        let known = self.known.borrow();
        if let Some(row) = known.get(namespace).and_then(|keys| keys.get(key)) {
            return Some(of(row));
        }
        let written = found(&self.written, namespace, key)?;
        Some(of(&written.row))
    }

    /// Something of the row of a key.
    fn of_row<T>(
        &self,
        namespace: &str,
        key: &str,
        of: impl Fn(&Option<StateRow>) -> T,
    ) -> Result<T, StoreError> {
        if let Some(at_hand) = self.at_hand(namespace, key, &of) {
            return Ok(at_hand);
        }
        let row = self.base.row(namespace, key)?;
        let answer = of(&row);
        self.keep(namespace, key, row);
        Ok(answer)
    }
}

impl StateView for Overlay<'_> {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        self.of_row(namespace, key, Clone::clone)
    }

    fn version(&self, namespace: &str, key: &str) -> Result<Option<Version>, StoreError> {
        self.of_row(namespace, key, |row| row.as_ref().map(|row| row.version))
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        let written = found(&self.written, namespace, key);
        match written.and_then(|written| written.long_value(long)) {
            Some(value) => Ok(value.to_vec()),
            None => self.base.long_value(namespace, key, long),
        }
    }

    fn is_guarded(&self, namespace: &str) -> bool {
        self.guarded.contains(namespace) || self.base.is_guarded(namespace)
    }

    fn expect(&self, keys: &[(&str, &str)]) {
        let mut asked = Lookup::default();
        let unknown = keys.iter().copied();
        let unknown = unknown.filter(|(namespace, key)| {
            let at_hand = self.at_hand(namespace, key, |_| ());
            at_hand.is_none() && asked.insert((*namespace, *key), ()).is_none()
        });
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
        let found = if self.written.contains_key(CONTRACTS) {
            contract_row(self, name)?
        } else {
            self.base.contract(name)?
        };
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
        let found = if self.written.contains_key(MEMBERS) {
            member_row(self, key)?
        } else {
            self.base.member(key)?
        };
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
struct Merged<'a, W: Iterator<Item = (&'a String, &'a RowWrite)>> {
    base: Peekable<Rows<'a>>,
    written: Peekable<W>,
}

impl<'a, W: Iterator<Item = (&'a String, &'a RowWrite)>> Iterator for Merged<'a, W> {
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
            let (key, written) = self.written.next()?;
            if let Some(row) = &written.row {
                return Some(Ok((key.clone(), row.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::row::{LONG_VALUE, VersionedValue};
    use crate::state::MemoryState;

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
            let keys: Vec<_> = keys.collect();
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
