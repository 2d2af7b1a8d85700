//! What consensus must remember: opaque keys and values, and the transactions of
//! batches that have been voted for.
//!
//! The ledger keeps them because they share its disk, and does not look at them.
//! They are synced before the write returns: a vote may leave only after that. The
//! transactions of a batch that becomes a block are on disk by then, and are not
//! written again: the block refers to them.

use std::collections::BTreeMap;

use crypto::{Digest, encode};
use rocksdb::WriteBatch;

use super::bodies::Extent;
use super::witness::{Counter, seal};
use super::{
    Durable, Family, Store, StoreError, StoreView, batch_key, meta, number_key, parse_batch_key,
};

const WHAT: &str = "consensus records";

/// A record: its key and its value.
pub type RecordRow = (Vec<u8>, Vec<u8>);

/// The transactions of a batch that no block holds yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedBatch {
    /// The number of the block that the batch is to become.
    pub number: u64,
    /// The name it was recorded under.
    pub name: Digest,
    /// The bytes that were recorded.
    pub bodies: Vec<u8>,
}

#[derive(Debug)]
enum Operation {
    Put {
        key: Vec<u8>,
        value: Vec<u8>,
    },
    PutBodies {
        number: u64,
        name: Digest,
        bodies: Vec<u8>,
    },
    DeleteRange {
        start: Vec<u8>,
        end: Vec<u8>,
    },
}

impl Operation {
    /// How many bytes it puts into the database.
    fn length(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::PutBodies { .. } => 0,
            Self::DeleteRange { start, end } => start.len() + end.len(),
        }
    }
}

/// Changes to the records, applied together and in this order.
#[derive(Debug, Default)]
pub struct RecordWrites {
    operations: Vec<Operation>,
}

impl RecordWrites {
    /// Puts a record, in the place of one with the same key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.operations.push(Operation::Put { key, value });
    }

    /// Records the transactions of a batch that may become the block with this
    /// number: the canonical encoding of all of them, in their order. A name stands
    /// for the same transactions wherever it is used. They are kept until there is
    /// that block, and with it if it is of this batch; where there already is one,
    /// nothing is recorded.
    pub fn put_bodies(&mut self, number: u64, name: Digest, bodies: Vec<u8>) {
        self.operations.push(Operation::PutBodies {
            number,
            name,
            bodies,
        });
    }

    /// Deletes all records with keys in `start..end`.
    pub fn delete_range(&mut self, start: Vec<u8>, end: Vec<u8>) {
        self.operations.push(Operation::DeleteRange { start, end });
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}

/// What has been written, as far as the next write has to know it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// How many times records were.
    pub(super) record_writes: u64,
    /// The number of the newest block.
    pub(super) tip: u64,
    /// The batches that are recorded for blocks which are still to come, and where their
    /// transactions stand.
    pub(super) batches: BTreeMap<(u64, Digest), Extent>,
}

impl Written {
    /// The batches that are recorded for the block with this number.
    pub(super) fn recorded(&self, number: u64) -> impl Iterator<Item = (&Digest, &Extent)> {
        let of_number = (number, Digest([0; 32]))..=(number, Digest([u8::MAX; 32]));
        let batches = self.batches.range(of_number);
        batches.map(|((_, name), extent)| (name, extent))
    }

    /// Takes note of the newest block. What was recorded for it has gone into it, or
    /// away.
    pub(super) fn settle(&mut self, number: u64) {
        self.tip = number;
        self.batches.retain(|(of, _), _| *of > number);
    }
}

impl Store {
    /// Applies the changes as one write that is on disk when this returns.
    pub(crate) fn write_records(&self, writes: RecordWrites) -> Result<(), StoreError> {
        let family = self.family(Family::Records);
        let batch_family = self.family(Family::Batches);
        let mut written = self.lock_written();
        let length: usize = writes.operations.iter().map(Operation::length).sum();
        let around = 128 * (writes.operations.len() + 1);
        let mut batch = WriteBatch::with_capacity_bytes(length + around);
        let mut batches = BTreeMap::new();
        for operation in writes.operations {
            match operation {
                Operation::Put { key, value } => batch.put_cf(family, key, value),
                Operation::PutBodies { number, .. } if number <= written.tip => {}
                Operation::PutBodies {
                    number,
                    name,
                    bodies,
                } => {
                    let place = (number, name);
                    let known = written.batches.get(&place).or(batches.get(&place));
                    if let Some(known) = known {
                        known.expect_length(bodies.len());
                        continue;
                    }
                    let extent = self.append_bodies(WHAT, number, &bodies)?;
                    batch.put_cf(batch_family, batch_key(number, &name), encode(&extent));
                    batches.insert(place, extent);
                }
                Operation::DeleteRange { start, end } => batch.delete_range_cf(family, start, end),
            }
        }
        let next = written.record_writes.checked_add(1);
        let next = next.expect("nobody writes 2^64 times");
        batch.put_cf(self.family(Family::Meta), meta::RECORD_WRITES, seal(next));
        self.sync_bodies(WHAT)?;
        self.write(WHAT, batch, Durable::Now)?;
        written.record_writes = next;
        written.batches.extend(batches);
        self.note(Counter::RecordWrites, next)
    }

    /// Deletes what was recorded for blocks up to `through` that never came: where
    /// nothing is executed, nothing else does. It is not waited for.
    pub(crate) fn discard_bodies(&self, through: u64) -> Result<(), StoreError> {
        let mut written = self.lock_written();
        // A range that ends before it begins would be an error.
        if through <= written.tip {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        let after = |number: u64| number_key(number.saturating_add(1));
        let (start, end) = (after(written.tip), after(through));
        batch.delete_range_cf(self.family(Family::Batches), start, end);
        let needless = self.bodies.take_needless(written.tip, through);
        // No row may refer to a file that is gone.
        let durable = match needless[..] {
            [] => Durable::Later,
            _ => Durable::Now,
        };
        self.write(WHAT, batch, durable)?;
        written.batches.retain(|(number, _), _| *number > through);
        // A vote need not wait for this.
        drop(written);
        for file in needless {
            self.poison_unless(self.bodies.remove(file))?;
        }
        Ok(())
    }
}

impl StoreView<'_> {
    /// All records, by ascending key.
    pub(crate) fn records(&self) -> Result<Vec<RecordRow>, StoreError> {
        self.rows(Family::Records, &[], &[])
            .map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())))
            .collect()
    }

    /// Where the batches stand that are recorded for blocks after `tip`, by ascending
    /// number.
    pub(super) fn recorded_extents(
        &self,
        tip: u64,
    ) -> impl Iterator<Item = Result<((u64, Digest), Extent), StoreError>> {
        let start = number_key(tip.saturating_add(1));
        self.rows(Family::Batches, &start, &[]).map(|row| {
            let (key, extent) = row?;
            let Some((number, name)) = parse_batch_key(&key) else {
                return Err(self.bad_value(Family::Batches, &key, None, "not the key of a batch"));
            };
            let extent = self.parse(Family::Batches, &key, Some(number), &extent)?;
            Ok(((number, name), extent))
        })
    }

    /// The batches that are recorded for blocks after `tip`, by ascending number.
    pub(crate) fn recorded_batches(
        &self,
        tip: u64,
    ) -> impl Iterator<Item = Result<RecordedBatch, StoreError>> {
        self.recorded_extents(tip).map(|found| {
            let ((number, name), extent) = found?;
            let key = batch_key(number, &name);
            let bodies = self.bodies((Family::Batches, &key), number, &extent)?;
            Ok(RecordedBatch {
                number,
                name,
                bodies,
            })
        })
    }
}
