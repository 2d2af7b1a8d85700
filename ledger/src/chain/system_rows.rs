//! The state as the committer sees it, who alone changes it: the rows of the system,
//! which every transaction asks for and few change, are at hand, and what is known not
//! to be in the chain is not looked for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::absent::AbsentIds;
use crate::proposal::TransactionId;
use crate::row::{LongValue, StateRow};
use crate::rwset::Version;
use crate::state::{CONTRACTS, MEMBERS, Rows, StateView};
use crate::store::{StateChange, StoreError};

/// Rows of the system as they are after the newest block, as far as they were
/// asked for. There are as many as members and contracts, and rows never go.
#[derive(Default)]
pub(super) struct SystemRows {
    members: RefCell<BTreeMap<String, StateRow>>,
    contracts: RefCell<BTreeMap<String, StateRow>>,
}

impl SystemRows {
    fn of(&self, namespace: &str) -> Option<&RefCell<BTreeMap<String, StateRow>>> {
        match namespace {
            MEMBERS => Some(&self.members),
            CONTRACTS => Some(&self.contracts),
            _ => None,
        }
    }

    /// Forgets what a block has changed.
    pub(super) fn forget(&self, changes: &[StateChange]) {
        for change in changes {
            if let Some(rows) = self.of(&change.namespace) {
                rows.borrow_mut().remove(&change.key);
            }
        }
    }
}

/// The state after the newest block, seen by the committer.
pub(super) struct Committing<'a> {
    pub(super) state: &'a dyn StateView,
    pub(super) rows: &'a SystemRows,
    pub(super) absent: &'a AbsentIds,
    /// The number of that block.
    pub(super) tip: u64,
}

impl StateView for Committing<'_> {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        let Some(rows) = self.rows.of(namespace) else {
            return self.state.row(namespace, key);
        };
        if let Some(row) = rows.borrow().get(key) {
            return Ok(Some(row.clone()));
        }
        let found = self.state.row(namespace, key)?;
        if let Some(row) = &found {
            rows.borrow_mut().insert(key.to_owned(), row.clone());
        }
        Ok(found)
    }

    fn rows(&self, keys: &[(&str, &str)]) -> Vec<Result<Option<StateRow>, StoreError>> {
        self.state.rows(keys)
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        self.state.long_value(namespace, key, long)
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        self.state.range(namespace, start, end)
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        if self.absent.contains(id, self.tip) {
            return Ok(None);
        }
        self.state.place_of(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::VersionedValue;
    use crate::state::MemoryState;

    fn row(block: u64) -> VersionedValue {
        VersionedValue {
            version: Version { block, index: 0 },
            value: vec![1],
            policy: None,
        }
    }

    /// What is kept at hand must be what is on disk, whenever it is asked for.
    #[test]
    fn a_row_is_kept_until_a_block_changes_it() {
        let rows = SystemRows::default();
        let mut state = MemoryState::default();
        let get = |state: &MemoryState, namespace, key| {
            let committing = Committing {
                state,
                rows: &rows,
                absent: &AbsentIds::new(0),
                tip: 0,
            };
            committing.get(namespace, key).unwrap()
        };
        // That something is not there is not kept: it may come.
        assert_eq!(get(&state, MEMBERS, "a"), None);
        state.write(MEMBERS, "a", Some(row(1)));
        state.write("kv", "a", Some(row(1)));
        for namespace in [MEMBERS, "kv"] {
            assert_eq!(get(&state, namespace, "a"), Some(row(1)));
        }
        assert_eq!(get(&state, CONTRACTS, "a"), None);
        for namespace in [MEMBERS, "kv"] {
            state.write(namespace, "a", Some(row(2)));
        }
        assert_eq!(get(&state, "kv", "a"), Some(row(2)));
        rows.forget(&[StateChange {
            namespace: MEMBERS.to_owned(),
            key: "a".to_owned(),
            version: Version { block: 2, index: 0 },
            transaction_id: None,
            write: Some(row(2)).into(),
        }]);
        assert_eq!(get(&state, MEMBERS, "a"), Some(row(2)));
    }
}
