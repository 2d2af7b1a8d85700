//! Members and contracts at hand: every proposal and every transaction asks for some, and
//! few blocks change any.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crypto::PublicKey;

use crate::members::{Member, SystemRow};
use crate::policy::ContractDefinition;
use crate::rwset::Version;
use crate::state::{CONTRACTS, MEMBERS};
use crate::store::{StateChange, StoreError};

/// What a row of the system says, or why that cannot be read.
type Found<T> = Result<SystemRow<T>, StoreError>;

/// What is known of rows of one kind, with the places where they were written.
type Rows<K, T> = BTreeMap<K, (Arc<T>, Version)>;

struct Known {
    members: Rows<PublicKey, Member>,
    contracts: Rows<String, ContractDefinition>,
    /// The block after which all of them are so.
    after: u64,
}

/// Members and contracts as they are after the newest block, as far as they were asked
/// for. There are as many as the state has, from which none ever goes.
pub(super) struct SystemRows {
    known: Mutex<Known>,
}

impl SystemRows {
    /// What is known when `after` is the newest block: nothing.
    pub(super) fn new(after: u64) -> Self {
        Self {
            known: Mutex::new(Known {
                members: BTreeMap::new(),
                contracts: BTreeMap::new(),
                after,
            }),
        }
    }

    /// The member with this key after block `tip`, read with `read` if it is not known.
    pub(super) fn member(
        &self,
        key: &PublicKey,
        tip: u64,
        read: impl FnOnce() -> Found<Member>,
    ) -> Found<Member> {
        self.row(|known| &mut known.members, key, tip, read)
    }

    /// The contract with this name after block `tip`, read with `read` if it is not known.
    pub(super) fn contract(
        &self,
        name: &str,
        tip: u64,
        read: impl FnOnce() -> Found<ContractDefinition>,
    ) -> Found<ContractDefinition> {
        self.row(|known| &mut known.contracts, name, tip, read)
    }

    fn row<K: Ord + Borrow<Q>, Q: Ord + ToOwned<Owned = K> + ?Sized, T>(
        &self,
        kind: impl Fn(&mut Known) -> &mut Rows<K, T>,
        key: &Q,
        tip: u64,
        read: impl FnOnce() -> Found<T>,
    ) -> Found<T> {
        {
            let mut known = self.lock();
            if known.after == tip
                && let Some(row) = kind(&mut known).get(key)
            {
                return Ok(Some(row.clone()));
            }
        }
        let found = read()?;
        // That something is not there is not kept: anybody may ask for anything.
        if let Some(row) = &found {
            let mut known = self.lock();
            if known.after == tip {
                kind(&mut known).insert(key.to_owned(), row.clone());
            }
        }
        Ok(found)
    }

    /// Takes note of a block that is on disk, with these changes.
    pub(super) fn committed(&self, number: u64, changes: &[StateChange]) {
        let mut known = self.lock();
        for change in changes {
            match change.namespace.as_str() {
                MEMBERS => known.members.clear(),
                CONTRACTS => known.contracts.clear(),
                _ => {}
            }
        }
        known.after = number;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        let known = self.known.lock();
        known.expect("nothing panics while the rows of the system are held")
    }
}

#[cfg(test)]
mod tests {
    use crypto::SigningKey;

    use super::*;
    use crate::identity::{Identity, Role};
    use crate::row::RowWrite;

    fn row(version: u32) -> (Arc<ContractDefinition>, Version) {
        let definition = ContractDefinition {
            name: "kv".to_owned(),
            version,
            policy: "org1".parse().unwrap(),
        };
        let block = version.into();
        (Arc::new(definition), Version { block, index: 0 })
    }

    fn change(namespace: &str) -> StateChange {
        StateChange {
            namespace: namespace.to_owned(),
            key: "kv".to_owned(),
            version: Version { block: 0, index: 0 },
            transaction_id: None,
            write: RowWrite::DELETED,
        }
    }

    /// What is at hand must be what the state of that block has, whoever asks.
    #[test]
    fn a_row_is_known_until_a_block_changes_it_and_to_nobody_of_another_block() {
        let rows = SystemRows::new(4);
        let get = |tip, read| {
            let found = rows.contract("kv", tip, || Ok(Some(row(read)))).unwrap();
            found.map(|(found, _)| found.version)
        };
        assert_eq!([get(4, 1), get(4, 2)], [Some(1), Some(1)]);
        assert_eq!(
            get(5, 3),
            Some(3),
            "of a block that is not taken note of yet"
        );
        assert_eq!(get(4, 4), Some(1));
        rows.committed(5, &[change("kv"), change(MEMBERS)]);
        assert_eq!(
            get(4, 5),
            Some(5),
            "of a block that is no longer the newest"
        );
        assert_eq!(get(5, 6), Some(1));
        rows.committed(6, &[change("kv"), change(CONTRACTS)]);
        assert_eq!([get(6, 7), get(6, 8)], [Some(7), Some(7)]);
    }

    #[test]
    fn members_are_known_until_a_block_changes_one() {
        let rows = SystemRows::new(1);
        let key = SigningKey::from_seed(&[1; 32]).public();
        let get = |tip, revoked| {
            let identity = Identity {
                name: "alice".to_owned(),
                organisation: "org1".parse().unwrap(),
                role: Role::Client,
                key,
            };
            let row = (
                Arc::new(Member { identity, revoked }),
                Version { block: 0, index: 0 },
            );
            let (found, _) = rows.member(&key, tip, || Ok(Some(row))).unwrap().unwrap();
            found.revoked
        };
        assert!(!get(1, false) && !get(1, true));
        rows.committed(2, &[change(CONTRACTS)]);
        assert!(!get(2, true));
        rows.committed(3, &[change(MEMBERS)]);
        assert!(get(3, true) && get(3, false));
    }

    #[test]
    fn what_is_not_there_may_come_and_what_cannot_be_read_is_read_again() {
        let rows = SystemRows::new(0);
        assert_eq!(rows.contract("kv", 0, || Ok(None)).unwrap(), None);
        let failing = || {
            Err(StoreError::BadRow {
                namespace: CONTRACTS,
                key: "kv".to_owned(),
                what: "bad".to_owned(),
            })
        };
        assert!(rows.contract("kv", 0, failing).is_err());
        let found = rows.contract("kv", 0, || Ok(Some(row(1)))).unwrap();
        assert_eq!(found, Some(row(1)));
    }
}
