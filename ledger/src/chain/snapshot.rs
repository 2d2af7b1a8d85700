//! The state between two blocks, for whoever executes contracts or validates.

use crypto::{Digest, PublicKey};

use super::{Ledger, LedgerError};
use crate::members::{Member, SystemRow, contract_row, member_row};
use crate::names::is_namespace;
use crate::policy::ContractDefinition;
use crate::proposal::TransactionId;
use crate::row::{LongValue, StateRow, VersionedValue};
use crate::rwset::Version;
use crate::state::{Rows, StateView};
use crate::store::{Location, RangePart, StatePage, StoreError, StoreView, TipRow};

/// The state after one block. Blocks that follow do not show in it.
pub struct Snapshot<'a> {
    view: StoreView<'a>,
    tip: TipRow,
    ledger: &'a Ledger,
}

impl Ledger {
    /// The state as of now.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, LedgerError> {
        let view = self.store.view();
        let tip = view.tip()?;
        Ok(Snapshot {
            view,
            tip,
            ledger: self,
        })
    }
}

impl Snapshot<'_> {
    /// The number of the block after which this is the state.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.tip.number
    }

    /// The hash of that block.
    #[must_use]
    pub fn block_hash(&self) -> Digest {
        self.tip.hash
    }

    /// The value of a key with the place of the write it comes from.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, LedgerError> {
        if !is_namespace(namespace) {
            return Ok(None);
        }
        Ok(self.get(namespace, key)?)
    }

    /// The rows of a range of a namespace, as many as `part` asks for.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn page(&self, namespace: &str, part: &RangePart) -> Result<StatePage, LedgerError> {
        if !is_namespace(namespace) {
            return Ok(StatePage {
                rows: Vec::new(),
                next: None,
            });
        }
        Ok(self.view.state_page(namespace, part)?)
    }
}

impl StateView for Snapshot<'_> {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        let read = || self.view.state(namespace, key);
        let rows = &self.ledger.rows;
        rows.row((namespace, key), self.tip.number, read)
    }

    fn rows(&self, keys: &[(&str, &str)]) -> Vec<Result<Option<StateRow>, StoreError>> {
        let (rows, tip) = (&self.ledger.rows, self.tip.number);
        rows.rows(keys, tip, |unknown| self.view.states(unknown).collect())
    }

    fn is_guarded(&self, namespace: &str) -> bool {
        self.view.is_guarded(namespace)
    }

    fn long_value(
        &self,
        namespace: &str,
        key: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        self.view.long_value(namespace, key, long)
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        Box::new(self.view.state_range(namespace, start, end))
    }

    fn contract(&self, name: &str) -> Result<SystemRow<ContractDefinition>, StoreError> {
        let read = || contract_row(self, name);
        self.ledger.system.contract(name, self.tip.number, read)
    }

    fn member(&self, key: &PublicKey) -> Result<SystemRow<Member>, StoreError> {
        let read = || member_row(self, key);
        self.ledger.system.member(key, self.tip.number, read)
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        if self.ledger.absent.contains(id, self.tip.number) {
            return Ok(None);
        }
        Ok(self.view.location(id)?.map(|location| location.place()))
    }

    fn places_of(&self, ids: &[TransactionId]) -> Vec<Result<Option<Version>, StoreError>> {
        let look = |ids: &[_]| self.view.locations(ids).collect();
        let absent = &self.ledger.absent;
        let found = absent.locate(ids, self.tip.number, look).into_iter();
        let place = |location: Option<Location>| location.map(|location| location.place());
        found.map(|found| found.map(place)).collect()
    }
}
