//! Reading histories: what was written to a key, and long values, most of which stand in
//! the transactions that wrote them.

use crypto::{Digest, Domain};
use serde::Serialize;

use super::bodies::Span;
use super::families::{HistoryValue, history_key, history_prefix, history_version};
use super::read::{RawRow, after_prefix};
use super::{Family, HistoryRow, StoreError, StoreView};
use crate::policy::EndorsementPolicy;
use crate::proposal::TransactionId;
use crate::row::LongValue;
use crate::rwset::Version;
use crate::transaction::Transaction;

/// One write to a key, as its history tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// Where in the order it was written.
    pub version: Version,
    /// The transaction that wrote; none for what genesis wrote.
    pub transaction_id: Option<TransactionId>,
    /// The value written; none when the key was deleted.
    pub value: Option<Vec<u8>>,
    /// The key's own endorsement policy from then on.
    pub policy: Option<EndorsementPolicy>,
}

/// How much of a history to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPart {
    /// The first write that is wanted.
    pub from: Version,
    /// How many entries at most.
    pub max_entries: usize,
    /// After how many bytes to end; the entry that reaches them is the last.
    pub max_bytes: usize,
}

impl StoreView<'_> {
    /// What was written to a key, oldest first, as much as `part` asks for.
    pub(crate) fn history(
        &self,
        namespace: &str,
        name: &str,
        part: HistoryPart,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let prefix = history_prefix(namespace, name);
        let start = history_key(namespace, name, part.from);
        let rows = self.rows(Family::History, &start, &after_prefix(prefix.clone()));
        let (mut entries, mut length) = (Vec::new(), 0_usize);
        for row in rows.take(part.max_entries) {
            let (key, bytes) = row?;
            let entry = self.history_entry((namespace, name, &prefix), &key, &bytes)?;
            let told = entry.value.as_ref().map_or(0, Vec::len);
            length = length.saturating_add(bytes.len().max(told));
            entries.push(entry);
            if length >= part.max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    /// The last write to a key before this version.
    pub(crate) fn last_write(
        &self,
        namespace: &str,
        name: &str,
        before: Version,
    ) -> Result<Option<HistoryEntry>, StoreError> {
        let prefix = history_prefix(namespace, name);
        let end = history_key(namespace, name, before);
        let mut rows = self.rows_down(Family::History, &prefix, &end);
        let is_before = |row: &Result<RawRow, _>| !matches!(row, Ok((key, _)) if **key == *end);
        let Some((key, bytes)) = rows.find(is_before).transpose()? else {
            return Ok(None);
        };
        let entry = self.history_entry((namespace, name, &prefix), &key, &bytes);
        entry.map(Some)
    }

    fn history_entry(
        &self,
        (namespace, name, prefix): (&str, &str, &[u8]),
        key: &[u8],
        bytes: &[u8],
    ) -> Result<HistoryEntry, StoreError> {
        let Some(version) = history_version(prefix, key) else {
            return Err(self.bad_value(Family::History, key, None, "not a history key"));
        };
        let row: HistoryRow = self.parse(Family::History, key, Some(version.block), bytes)?;
        let value = match row.value {
            HistoryValue::Deleted => None,
            HistoryValue::Here(value) => Some(value.to_vec()),
            HistoryValue::InTransaction(span, hash) => {
                let written = (namespace, name, version);
                Some(self.value_in_transaction(written, span, &hash)?)
            }
            HistoryValue::Earlier(long) => Some(self.long_value(namespace, name, &long)?),
        };
        Ok(HistoryEntry {
            version,
            transaction_id: row.transaction_id,
            value,
            policy: row.policy,
        })
    }

    /// A long value of a key, from where it was written.
    pub(crate) fn long_value(
        &self,
        namespace: &str,
        name: &str,
        long: &LongValue,
    ) -> Result<Vec<u8>, StoreError> {
        const OTHER: &str = "not the value that has the hash in the row that refers to it";
        let (family, block) = (Family::History, Some(long.written.block));
        let key = history_key(namespace, name, long.written);
        let wrong = |what| self.bad_value(family, &key, block, what);
        let row: Option<HistoryRow> = self.value(family, &key, block)?;
        let value = match row.map(|row| row.value) {
            None => return Err(wrong("missing, though a row refers to it")),
            Some(HistoryValue::Here(value)) => value.to_vec(),
            Some(HistoryValue::InTransaction(span, hash)) => {
                self.value_in_transaction((namespace, name, long.written), span, &hash)?
            }
            Some(_) => return Err(wrong(OTHER)),
        };
        if !long.is(&value) {
            return Err(wrong(OTHER));
        }
        Ok(value)
    }

    /// The long value that the transaction of this version wrote to a key.
    fn value_in_transaction(
        &self,
        (namespace, name, version): (&str, &str, Version),
        span: Span,
        hash: &Digest,
    ) -> Result<Vec<u8>, StoreError> {
        let (family, block) = (Family::History, Some(version.block));
        let key = history_key(namespace, name, version);
        let wrong = |what: &str| self.bad_value(family, &key, block, what);
        let row = self.block_row(version.block)?;
        let row = row.ok_or_else(|| wrong("of a block that is not there"))?;
        let bytes = self.one_of_bodies((family, &key), version.block, &row.bodies, span)?;
        let transaction: Transaction = self.parse(family, &key, block, &bytes)?;
        let write = transaction.rwset.written(name);
        let value = write.and_then(|write| write.value.as_ref()?.bytes(&transaction.proposal.args));
        match value {
            Some(value) if Domain::Value.hash(value) == *hash => Ok(value.to_vec()),
            _ => Err(wrong("its transaction has another value for it")),
        }
    }
}
