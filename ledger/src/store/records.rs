//! What consensus must remember: opaque keys and values.
//!
//! The ledger keeps them because they share its disk and its log, and does not
//! look at them. They are synced before the write returns: a vote may leave
//! only after that.

use rocksdb::WriteBatch;

use super::witness::{Counter, seal};
use super::{Durable, Family, Store, StoreError, StoreView, UNBROKEN, meta};

const WHAT: &str = "consensus records";

/// A record: its key and its value.
pub type RecordRow = (Vec<u8>, Vec<u8>);

#[derive(Debug)]
enum Operation {
    Put { key: Vec<u8>, value: Vec<u8> },
    DeleteRange { start: Vec<u8>, end: Vec<u8> },
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

impl Store {
    /// Applies the changes as one write that is on disk when this returns.
    pub(crate) fn write_records(&self, writes: RecordWrites) -> Result<(), StoreError> {
        let family = self.family(Family::Records);
        let mut batch = WriteBatch::default();
        for operation in writes.operations {
            match operation {
                Operation::Put { key, value } => batch.put_cf(family, key, value),
                Operation::DeleteRange { start, end } => batch.delete_range_cf(family, start, end),
            }
        }
        let mut count = self.record_writes.lock().expect(UNBROKEN);
        let next = count.checked_add(1).expect("nobody writes 2^64 times");
        batch.put_cf(self.family(Family::Meta), meta::RECORD_WRITES, seal(next));
        self.write(WHAT, batch, Durable::Now)?;
        *count = next;
        self.note(Counter::RecordWrites, next)
    }
}

impl StoreView<'_> {
    /// All records, by ascending key.
    pub(crate) fn records(&self) -> Result<Vec<RecordRow>, StoreError> {
        self.rows(Family::Records, &[], &[])
            .map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())))
            .collect()
    }
}
