//! What a contract sees of the world, and what is written down of its doings.

use std::collections::BTreeMap;

use crate::identity::{Identity, OrgId};
use crate::members;
use crate::names::{
    MAX_EVENTS, MAX_KEY_BYTES, MAX_KEYS, MAX_RANGE_BYTES, MAX_RANGE_ROWS, MAX_RANGES,
    MAX_VALUE_BYTES, is_call_name,
};
use crate::policy::EndorsementPolicy;
use crate::proposal::TransactionId;
use crate::row::StateRow;
use crate::rwset::{Event, KeyPolicy, RangeRead, Read, ReadWriteSet, Version, Write, WriteValue};
use crate::state::StateView;

use super::ContractError;

/// The world as one call of a contract sees it. As in Fabric, reads give the
/// committed state: a call does not see its own writes.
pub struct Context<'a> {
    view: &'a dyn StateView,
    namespace: &'a str,
    creator: &'a Identity,
    transaction_id: TransactionId,
    reads: BTreeMap<String, Option<Version>>,
    ranges: BTreeMap<(String, String), Vec<(String, Version)>>,
    range_rows: usize,
    range_bytes: usize,
    writes: BTreeMap<String, Option<Vec<u8>>>,
    policies: BTreeMap<String, Option<EndorsementPolicy>>,
    events: Vec<Event>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        view: &'a dyn StateView,
        namespace: &'a str,
        creator: &'a Identity,
        transaction_id: TransactionId,
    ) -> Self {
        Self {
            view,
            namespace,
            creator,
            transaction_id,
            reads: BTreeMap::new(),
            ranges: BTreeMap::new(),
            range_rows: 0,
            range_bytes: 0,
            writes: BTreeMap::new(),
            policies: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// Who calls.
    #[must_use]
    pub fn creator(&self) -> &Identity {
        self.creator
    }

    /// The transaction that the call may become.
    #[must_use]
    pub fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When there cannot be such a key, or too many were read.
    pub fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, ContractError> {
        let row = self.row(key)?;
        let found = row.map(|row| self.view.with_value(self.namespace, key, row));
        Ok(found.transpose()?.map(|found| found.value))
    }

    /// The row of a key, written down as read.
    fn row(&mut self, key: &str) -> Result<Option<StateRow>, ContractError> {
        check_key(key)?;
        let row = self.view.row(self.namespace, key)?;
        if !self.reads.contains_key(key) {
            at_most("keys read", self.reads.len() + 1, MAX_KEYS)?;
            let version = row.as_ref().map(|row| row.version);
            self.reads.insert(key.to_owned(), version);
        }
        Ok(row)
    }

    /// The rows with keys in `start..end`, ascending; an empty `end` means to
    /// the end.
    ///
    /// # Errors
    ///
    /// When the ranges that were read hold more than a transaction may read.
    pub fn range(
        &mut self,
        start: &str,
        end: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, ContractError> {
        at_most("bytes of a key", start.len().max(end.len()), MAX_KEY_BYTES)?;
        // Such a range can never hold anything, so there is nothing to write down.
        if !end.is_empty() && start >= end {
            return Ok(Vec::new());
        }
        let (mut rows, mut versions) = (Vec::new(), Vec::new());
        for row in self.view.range(self.namespace, start, end) {
            let (key, row) = row?;
            self.range_rows += 1;
            self.range_bytes += row.length_under(&key);
            at_most("rows of ranges", self.range_rows, MAX_RANGE_ROWS)?;
            at_most("bytes of ranges", self.range_bytes, MAX_RANGE_BYTES)?;
            let found = self.view.with_value(self.namespace, &key, row)?;
            versions.push((key.clone(), found.version));
            rows.push((key, found.value));
        }
        let name = (start.to_owned(), end.to_owned());
        if !self.ranges.contains_key(&name) {
            at_most("ranges read", self.ranges.len() + 1, MAX_RANGES)?;
            self.ranges.insert(name, versions);
        }
        Ok(rows)
    }

    /// Writes a key. Of several writes to a key the last one stands.
    ///
    /// # Errors
    ///
    /// When there cannot be such a key or value, or too many are written.
    pub fn put(&mut self, key: &str, value: Vec<u8>) -> Result<(), ContractError> {
        at_most("bytes of a value", value.len(), MAX_VALUE_BYTES)?;
        self.write(key, Some(value))
    }

    /// Deletes a key, whether there is one or not.
    ///
    /// # Errors
    ///
    /// When there cannot be such a key, or too many are written.
    pub fn delete(&mut self, key: &str) -> Result<(), ContractError> {
        self.write(key, None)
    }

    fn write(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), ContractError> {
        check_key(key)?;
        if !self.writes.contains_key(key) {
            at_most("keys written", self.writes.len() + 1, MAX_KEYS)?;
        }
        self.writes.insert(key.to_owned(), value);
        Ok(())
    }

    /// Says who must endorse what is done to a key from now on, instead of whom
    /// the contract's policy asks for; none leaves it to that again. The key must
    /// exist, or be written by this call; the policy goes when the key is deleted.
    ///
    /// # Errors
    ///
    /// When there is no such key, or too many have their policies set.
    pub fn set_policy(
        &mut self,
        key: &str,
        policy: Option<EndorsementPolicy>,
    ) -> Result<(), ContractError> {
        let written = self.writes.get(key).is_some_and(Option::is_some);
        if !written && self.row(key)?.is_none() {
            let key = key.to_owned();
            return Err(ContractError::NothingToGuard { key });
        }
        if !self.policies.contains_key(key) {
            at_most("policies set", self.policies.len() + 1, MAX_KEYS)?;
        }
        self.policies.insert(key.to_owned(), policy);
        Ok(())
    }

    /// The policy that this text is, of organisations that there are.
    ///
    /// # Errors
    ///
    /// When it is none, or names others.
    pub fn policy(&self, text: &str) -> Result<EndorsementPolicy, ContractError> {
        let organisations = self.organisations()?;
        let bad = |reason| ContractError::BadPolicy { reason };
        let policy = EndorsementPolicy::parse(text, &organisations);
        let policy = policy.map_err(|error| bad(error.to_string()))?;
        for principal in policy.principals() {
            let organisation = &principal.organisation;
            if !organisations.contains(organisation) {
                return Err(bad(format!("there is no organisation {organisation}")));
            }
        }
        Ok(policy)
    }

    /// The organisations of the network. Genesis says once and for all which they
    /// are, so that to have looked is not a read that could be overtaken.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub fn organisations(&self) -> Result<Vec<OrgId>, ContractError> {
        Ok(members::organisations(self.view)?)
    }

    /// Announces something, should the transaction take effect.
    ///
    /// # Errors
    ///
    /// When there cannot be such an event, or there are too many.
    pub fn event(&mut self, name: &str, payload: Vec<u8>) -> Result<(), ContractError> {
        if !is_call_name(name) {
            return Err(ContractError::BadEventName {
                name: name.to_owned(),
            });
        }
        at_most("bytes of an event", payload.len(), MAX_VALUE_BYTES)?;
        at_most("events", self.events.len() + 1, MAX_EVENTS)?;
        self.events.push(Event {
            name: name.to_owned(),
            payload,
        });
        Ok(())
    }

    /// What the call, which had these arguments, has done.
    pub(crate) fn finish(self, args: &[String]) -> (ReadWriteSet, Vec<Event>) {
        let reads = self.reads.into_iter();
        let ranges = self.ranges.into_iter();
        let writes = self.writes.into_iter();
        let mut free = (0..=u8::MAX).zip(args).collect();
        let policies = self.policies.into_iter();
        let rwset = ReadWriteSet {
            reads: reads.map(|(key, version)| Read { key, version }).collect(),
            ranges: ranges
                .map(|((start, end), rows)| RangeRead {
                    start,
                    end,
                    result: RangeRead::digest(&rows),
                })
                .collect(),
            writes: writes
                .map(|(key, value)| Write {
                    key,
                    value: value.map(|value| WriteValue::of(value, &mut free)),
                })
                .collect(),
            policies: policies
                .map(|(key, policy)| KeyPolicy { key, policy })
                .collect(),
        };
        (rwset, self.events)
    }
}

fn check_key(key: &str) -> Result<(), ContractError> {
    if key.is_empty() {
        return Err(ContractError::EmptyKey);
    }
    at_most("bytes of a key", key.len(), MAX_KEY_BYTES)
}

pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), ContractError> {
    if found > limit {
        return Err(ContractError::TooMuch { what, found, limit });
    }
    Ok(())
}
