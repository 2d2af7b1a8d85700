//! The world state: what each contract's keys hold, and since when.
//!
//! Whoever reads the state reads a [`StateView`]: of the disk ([`crate::Snapshot`]),
//! of memory ([`MemoryState`]), or of either with the writes of an unfinished
//! block over it ([`Overlay`]).

mod memory;
mod overlay;

use crypto::PublicKey;

use crate::members::{Member, SystemRow, contract_row, member_row};
use crate::policy::ContractDefinition;
use crate::proposal::TransactionId;
use crate::row::{LongValue, StateRow, VersionedValue};
use crate::rwset::Version;
use crate::store::StoreError;

pub use memory::MemoryState;
pub use overlay::Overlay;

/// The namespace of the members, of those who had a name, and of the numbers of admins:
/// [`crate::members`] has its keys.
pub const MEMBERS: &str = "_members";
/// The namespace of the contracts, name to [`crate::ContractDefinition`], and of the
/// votes about them.
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

    /// Where a key was written, if it is there.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn version(&self, namespace: &str, key: &str) -> Result<Option<Version>, StoreError> {
        Ok(self.row(namespace, key)?.map(|row| row.version))
    }

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
    /// where one ever had, and nobody looks at it for one where it may not.
    fn is_guarded(&self, _namespace: &str) -> bool {
        true
    }

    /// Says that the rows of these keys will be asked for, of some more than once. No
    /// answer depends on it.
    fn expect(&self, _keys: &[(&str, &str)]) {}

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
