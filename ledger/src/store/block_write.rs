//! The one write that a block is: everything it changes, or nothing.

use crypto::codec::Encode;
use crypto::{Digest, NetworkId, encode, encoded_length};
use rocksdb::WriteBatch;

use super::bodies::Span;
use super::families::{FORMAT, HistoryValue, history_key};
use super::records::Written;
use super::witness::{Counter, seal};
use super::{
    BlockRow, Durable, Family, HistoryRow, IndexRow, Location, Store, StoreError, TipRow,
    batch_key, meta, number_key, state_key,
};
use crate::block::{Block, BlockCertificate};
use crate::digest::StateAccumulator;
use crate::proposal::TransactionId;
use crate::row::{RowValue, RowWrite};
use crate::rwset::{Version, index_of};

const WHAT: &str = "a block";

/// One write to one key, in the order of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) version: Version,
    /// The transaction that writes; none for what genesis writes.
    pub(crate) transaction_id: Option<TransactionId>,
    /// What the key holds afterwards.
    pub(crate) write: RowWrite,
}

impl StateChange {
    /// The key under which the history keeps this change.
    pub(crate) fn history_key(&self) -> Vec<u8> {
        history_key(&self.namespace, &self.key, self.version)
    }

    /// Where the transaction stands, of those of the block, that is read for the long value
    /// which is written here; none where the history keeps that itself.
    fn holder(&self, spans: &[Span]) -> Option<Span> {
        let (value, _) = self.write.long.as_ref().zip(self.transaction_id)?;
        let span = spans[index_of(self.version.index)];
        span.holds(value).then_some(span)
    }

    /// What the history keeps of this change, by a block whose transactions stand there.
    pub(crate) fn history_row(&self, spans: &[Span]) -> HistoryRow {
        let RowWrite { row, long } = &self.write;
        let value = match row.as_ref().map(|row| &row.value) {
            None => HistoryValue::Deleted,
            Some(RowValue::Short(value)) => HistoryValue::Here(value.as_slice().into()),
            Some(RowValue::Long(of)) => match (long, self.holder(spans)) {
                (None, _) => HistoryValue::Earlier(*of),
                (Some(_), Some(span)) => HistoryValue::InTransaction(span, of.hash),
                (Some(value), None) => HistoryValue::Here(value.clone()),
            },
        };
        HistoryRow {
            transaction_id: self.transaction_id,
            value,
            policy: row.as_ref().and_then(|row| row.policy.clone()),
        }
    }
}

/// A transaction that stands in the chain for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexedTransaction {
    pub(crate) id: TransactionId,
    pub(crate) location: Location,
}

/// Everything that a block changes on disk.
pub(crate) struct BlockWrite<'a> {
    pub(crate) block: &'a Block,
    pub(crate) hash: Digest,
    /// The name under which its transactions may have been recorded.
    pub(crate) batch: Digest,
    /// The transactions whose ids stand in the chain for the first time.
    pub(crate) indexed: &'a [IndexedTransaction],
    /// The same by creator and by contract.
    pub(crate) index: &'a [IndexRow],
    pub(crate) changes: &'a [StateChange],
    /// The state after the block.
    pub(crate) accumulator: &'a StateAccumulator,
}

/// Rows in the order of their keys, in which the database puts one where it has put the
/// one before it, and need not look for its place among all. Of one key, as they come.
fn in_order_of<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

struct Batch<'a> {
    store: &'a Store,
    operations: WriteBatch,
}

impl BlockWrite<'_> {
    /// About how many bytes are written: a write that grew would be copied again and again.
    fn length(&self, spans: &[Span]) -> usize {
        /// A row of ids, of the state or of the history, but for names and long values;
        /// and what there is once.
        const ROW: usize = 128;
        const ONCE: usize = 4096;
        let of_change = |change: &StateChange| {
            let kept = change.write.long.as_ref();
            let kept = kept.filter(|_| change.holder(spans).is_none());
            let long = kept.map_or(0, |long| long.len());
            2 * (change.namespace.len() + change.key.len() + ROW) + long
        };
        let changes: usize = self.changes.iter().map(of_change).sum();
        ONCE + ROW * self.indexed.len() + changes
    }
}

impl Batch<'_> {
    fn put<T: Encode>(&mut self, family: Family, key: &[u8], value: &T) {
        self.put_bytes(family, key, &encode(value));
    }

    fn put_bytes(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.operations
            .put_cf(self.store.family(family), key, value);
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        self.operations.delete_cf(self.store.family(family), key);
    }

    /// What the block leaves beside itself.
    fn effects(&mut self, write: &BlockWrite<'_>, spans: &[Span]) {
        let number = write.block.header.number;
        self.put(Family::Hashes, write.hash.as_bytes(), &number);
        for indexed in in_order_of(write.indexed, |indexed| indexed.id) {
            let id_key = indexed.id.0.as_bytes();
            self.put(Family::Transactions, id_key, &indexed.location);
        }
        for (key, positions) in write.index {
            self.put(Family::Index, key, positions);
        }
        for change in in_order_of(write.changes, |change| (&change.namespace, &change.key)) {
            self.change(change, spans);
        }
        let tip = TipRow {
            number,
            hash: write.hash,
        };
        self.put(Family::Meta, meta::TIP, &tip);
        let guarded = self.store.guarded.note(write.changes);
        self.put(Family::Meta, meta::GUARDED, &guarded);
        let accumulator = write.accumulator.to_bytes();
        self.put_bytes(Family::Meta, meta::ACCUMULATOR, &accumulator);
    }

    /// The block itself: its transactions are written only where they are not on disk
    /// yet. What was recorded for its number is so no more.
    fn itself(&mut self, write: &BlockWrite<'_>, written: &Written) -> Result<(), StoreError> {
        let header = &write.block.header;
        let mut recorded = None;
        for (name, extent) in written.recorded(header.number) {
            if *name == write.batch {
                extent.expect_length(encoded_length(&write.block.transactions));
                recorded = Some(*extent);
            }
            self.delete(Family::Batches, &batch_key(header.number, name));
        }
        let bodies = if let Some(extent) = recorded {
            extent
        } else {
            let bodies = encode(&write.block.transactions);
            // A block that came from others does not say what its batch is called.
            let mut known = written.recorded(header.number);
            match known.find(|(_, extent)| extent.is_of(&bodies)) {
                Some((_, extent)) => *extent,
                None => self.store.append_bodies(WHAT, header.number, &bodies)?,
            }
        };
        let row = BlockRow {
            header: header.clone(),
            bodies,
            verdicts: write.block.verdicts.clone(),
        };
        self.put(Family::Blocks, &number_key(header.number), &row);
        Ok(())
    }

    fn change(&mut self, change: &StateChange, spans: &[Span]) {
        let key = state_key(&change.namespace, &change.key);
        match &change.write.row {
            None => self.delete(Family::State, &key),
            Some(row) => self.put(Family::State, &key, row),
        }
        self.put(
            Family::History,
            &change.history_key(),
            &change.history_row(spans),
        );
    }
}

impl Store {
    /// Nothing yet, with room for so many bytes.
    fn batch(&self, room: usize) -> Batch<'_> {
        Batch {
            store: self,
            operations: WriteBatch::with_capacity_bytes(room),
        }
    }

    /// Writes block 0 and what the store says of itself.
    pub(crate) fn write_genesis(
        &self,
        network: &NetworkId,
        write: &BlockWrite<'_>,
    ) -> Result<(), StoreError> {
        let spans = Span::of_all(&write.block.transactions);
        let mut batch = self.batch(write.length(&spans));
        batch.put(Family::Meta, meta::FORMAT, &FORMAT);
        batch.put(Family::Meta, meta::NETWORK, network);
        batch.put_bytes(Family::Meta, meta::RECORD_WRITES, &seal(0));
        batch.effects(write, &spans);
        batch.itself(write, &Written::default())?;
        self.sync_bodies(WHAT)?;
        self.write(WHAT, batch.operations, Durable::Now)
    }

    /// Writes a block; it is on disk when this returns.
    pub(crate) fn write_block(&self, write: &BlockWrite<'_>) -> Result<(), StoreError> {
        let number = write.block.header.number;
        let spans = Span::of_all(&write.block.transactions);
        let mut batch = self.batch(write.length(&spans));
        batch.effects(write, &spans);
        let mut written = self.lock_written();
        batch.itself(write, &written)?;
        self.sync_bodies(WHAT)?;
        self.write(WHAT, batch.operations, Durable::Now)?;
        written.settle(number);
        self.note(Counter::Blocks, number)
    }

    /// Writes the certificate of a block, which can be had again from others
    /// and is therefore not waited for.
    pub(crate) fn write_certificate(
        &self,
        number: u64,
        certificate: &BlockCertificate,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch(0);
        batch.put(Family::Certificates, &number_key(number), certificate);
        self.write("a certificate", batch.operations, Durable::Later)
    }
}
