//! A node's disk. Writes are durable once synced, and in their order: a crash
//! keeps some first part of what was not, and loses the rest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::ledger::{Block, Ledger, Request};
use crate::{CheckpointCertificate, Record, RecordKey, RequestDigest, SequenceNumber};

/// One write.
#[derive(Clone)]
pub(crate) enum Write {
    /// A replica's record, and with it the requests it names.
    Record {
        record: Record,
        requests: Vec<Request>,
    },
    /// The new low watermark: records up to it are no longer needed.
    Truncate(CheckpointCertificate),
    /// An executed batch.
    Block(Arc<Block>),
    /// The attestation of a block.
    Certificate(CheckpointCertificate),
}

/// How much was ever written: the writes up to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

/// A record as it is stored.
#[derive(Clone)]
struct StoredRecord {
    bytes: Vec<u8>,
    requests: Vec<Request>,
}

/// What a disk holds.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    records: BTreeMap<RecordKey, StoredRecord>,
    pub(crate) ledger: Ledger,
}

/// A disk.
#[derive(Default)]
pub(crate) struct Disk {
    durable: Contents,
    current: Contents,
    unsynced: VecDeque<Write>,
    written: u64,
    synced: u64,
}

impl Contents {
    fn apply(&mut self, write: Write) {
        match write {
            Write::Record { record, requests } => {
                let bytes = record.encode();
                let stored = StoredRecord { bytes, requests };
                self.records.insert(record.key(), stored);
            }
            Write::Truncate(certificate) => {
                let through = certificate.checkpoint.sequence;
                self.records.retain(|key, _| {
                    let sequence = sequence_of(key);
                    sequence == 0 || sequence > through.0
                });
                let stable = Record::Stable(certificate);
                let requests = Vec::new();
                self.apply(Write::Record {
                    record: stable,
                    requests,
                });
            }
            Write::Block(block) => self.ledger.append(block),
            Write::Certificate(certificate) => self.ledger.put_certificate(certificate),
        }
    }

    /// The records, read back from their bytes.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.records
            .values()
            .map(|stored| Record::decode(&stored.bytes).expect("a stored record is whole"))
            .collect()
    }

    pub(crate) fn record_count(&self) -> usize {
        self.records.len()
    }

    /// The record of this key.
    pub(crate) fn record(&self, key: &RecordKey) -> Option<Record> {
        let stored = self.records.get(key)?;
        Some(Record::decode(&stored.bytes).expect("a stored record is whole"))
    }

    /// The requests stored with the records.
    pub(crate) fn requests(&self) -> BTreeMap<RequestDigest, Request> {
        self.records
            .values()
            .flat_map(|stored| stored.requests.iter())
            .map(|request| (request.digest(), *request))
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.ledger.tip() == SequenceNumber::GENESIS
    }
}

fn sequence_of(key: &RecordKey) -> u64 {
    let (sequence, _) = key
        .split_first_chunk()
        .expect("a key begins with its sequence");
    u64::from_be_bytes(*sequence)
}

impl Disk {
    /// What the running process reads: everything written.
    pub(crate) fn current(&self) -> &Contents {
        &self.current
    }

    /// What a crash cannot take.
    pub(crate) fn durable(&self) -> &Contents {
        &self.durable
    }

    pub(crate) fn write(&mut self, write: Write) -> Mark {
        self.current.apply(write.clone());
        self.unsynced.push_back(write);
        self.written += 1;
        self.written()
    }

    pub(crate) fn written(&self) -> Mark {
        Mark(self.written)
    }

    pub(crate) fn synced(&self) -> Mark {
        Mark(self.synced)
    }

    /// Everything written up to `mark` is durable.
    pub(crate) fn sync(&mut self, mark: Mark) {
        while self.synced < mark.0 {
            let write = self
                .unsynced
                .pop_front()
                .expect("what is not synced is kept");
            self.durable.apply(write);
            self.synced += 1;
        }
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The process dies; the first `kept` of the unsynced writes had made it.
    pub(crate) fn crash(&mut self, kept: usize) {
        for write in self.unsynced.drain(..).take(kept) {
            self.durable.apply(write);
        }
        self.current = self.durable.clone();
        self.synced = self.written;
    }

    /// A bug: what was applied is not known any more.
    pub(crate) fn forget_applied(&mut self) {
        self.current.ledger.forget_applied();
        self.durable.ledger.forget_applied();
    }

    /// Something of the state is not what was written any more.
    pub(crate) fn alter_state(&mut self) {
        self.current.ledger.alter_state();
        self.durable.ledger.alter_state();
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn lose(&mut self) {
        *self = Self::default();
    }
}
