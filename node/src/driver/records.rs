//! How the replica's records lie in the ledger's store, and how they are found again.
//!
//! ```text
//! 'r' ‖ record key (9 bytes)                       -> the record
//! 'e' ‖ replica (4, big-endian) ‖ message name       -> a piece of evidence
//! ```
//!
//! A vote says "I hold this batch in full", so the transactions of a batch are
//! written with the record that permits the vote: after a crash of every node at
//! once, a batch that may have committed can still be executed. They lie where those of
//! the ledger's blocks do, and the ledger finds them under the digest of the batch.

use std::sync::Arc;

use consensus::{BatchDigest, CheckpointCertificate, Evidence, Record, SequenceNumber};
use ledger::{Ledger, Limits, RecordWrites};

use super::DriverError;
use crate::list;
use crate::request::Request;

const RECORD: u8 = b'r';
const EVIDENCE: u8 = b'e';

/// What is to be written before the next message leaves.
#[derive(Default)]
pub(super) struct PendingRecords {
    writes: RecordWrites,
    /// Whether something is among the writes that a message waits for. A mere
    /// truncation can wait for company.
    urgent: bool,
    /// The newest low watermark, which makes the records up to it needless. It
    /// is written with the next record.
    stable: Option<CheckpointCertificate>,
}

impl PendingRecords {
    /// Adds a record.
    pub(super) fn put(&mut self, record: &Record) {
        self.urgent = true;
        self.writes.put(record_key(&record.key()), record.encode());
    }

    /// Adds the transactions of a batch, to be written with its record.
    pub(super) fn put_bodies<R: Request>(
        &mut self,
        sequence: SequenceNumber,
        batch: BatchDigest,
        bodies: &[Arc<R>],
    ) {
        let list = list::encode(bodies.iter().map(|body| body.bytes()));
        self.writes.put_bodies(sequence.0, batch.0, list);
    }

    /// Adds proof against a replica.
    pub(super) fn put_evidence(&mut self, evidence: &Evidence) {
        self.urgent = true;
        self.writes.put(evidence_key(evidence), evidence.encode());
    }

    /// What belongs to sequence numbers up to that of this certificate is no
    /// longer needed: the certificate is kept in its place.
    pub(super) fn truncate(&mut self, certificate: CheckpointCertificate) {
        self.stable = Some(certificate);
    }

    /// A replica that woke up without its records and without the certificate
    /// that makes them needless would not know that it had voted: both change in
    /// one write.
    fn write_stable(&mut self, certificate: CheckpointCertificate) {
        let through = certificate.checkpoint.sequence;
        let record = Record::Stable(certificate);
        self.writes.put(record_key(&record.key()), record.encode());
        let key = |sequence: u64| record_key(&sequence.to_be_bytes());
        // Sequence 0 holds what is never forgotten.
        self.writes.delete_range(key(1), key(through.next().0));
    }

    /// Takes what must be on disk before the next message leaves.
    pub(super) fn take_urgent(&mut self) -> Option<RecordWrites> {
        if !self.urgent {
            return None;
        }
        if let Some(certificate) = self.stable.take() {
            self.write_stable(certificate);
        }
        self.urgent = false;
        Some(std::mem::take(&mut self.writes))
    }
}

fn record_key(key: &[u8]) -> Vec<u8> {
    [&[RECORD][..], key].concat()
}

fn evidence_key(evidence: &Evidence) -> Vec<u8> {
    let replica = evidence.signer().0.to_be_bytes();
    [&[EVIDENCE][..], &replica, evidence.message().as_bytes()].concat()
}

/// What a replica left when it stopped.
pub(super) struct Found<R> {
    /// Its records.
    pub(super) records: Vec<Record>,
    /// The transactions of those of its batches that no block has, checked anew: the
    /// disk is not believed more than a peer.
    pub(super) bodies: Vec<Arc<R>>,
    /// What it could prove against others.
    pub(super) evidence: Vec<Evidence>,
}

/// Reads everything the replica left.
pub(super) fn read<R: Request>(
    store: &Ledger,
    network: &crypto::NetworkId,
    limits: &Limits,
) -> Result<Found<R>, DriverError> {
    let mut records = Vec::new();
    let mut bodies = Vec::new();
    let mut evidence = Vec::new();
    for entry in store.read_records()? {
        let (key, value) = entry;
        match key.first() {
            Some(&RECORD) => {
                let record = Record::decode(&value).map_err(|error| DriverError::BadRecord {
                    key: hex::encode(&key),
                    reason: error.to_string(),
                })?;
                if key[1..] != record.key() {
                    return Err(DriverError::BadRecord {
                        key: hex::encode(&key),
                        reason: "it lies under the key of another record".to_owned(),
                    });
                }
                records.push(record);
            }
            Some(&EVIDENCE) => {
                let found = Evidence::decode(&value).map_err(|error| DriverError::BadRecord {
                    key: hex::encode(&key),
                    reason: error.to_string(),
                })?;
                evidence.push(found);
            }
            _ => {
                return Err(DriverError::BadRecord {
                    key: hex::encode(&key),
                    reason: "no record has such a key".to_owned(),
                });
            }
        }
    }
    for recorded in store.recorded_batches()? {
        let list = list::decode(&recorded.bodies.into());
        bodies.extend(list.map_err(|error| DriverError::BadBody(error.to_string()))?);
    }
    let bodies = R::read_back(&bodies, network, limits).map_err(DriverError::BadBody)?;
    let bodies = bodies.into_iter().map(Arc::new).collect();
    Ok(Found {
        records,
        bodies,
        evidence,
    })
}

#[cfg(test)]
mod tests {
    use consensus::message::{Checkpoint, PrePrepare, Proposed, Signed};
    use consensus::{Batch, CheckpointDigest, ReplicaId, View};
    use crypto::SigningKey;
    use ledger::CheckedTransaction;

    use super::*;
    use crate::testing::{genesis, transaction};

    fn pre_prepared(sequence: u64, nonce: u8) -> (Record, Vec<Arc<CheckedTransaction>>) {
        let bodies = vec![transaction(nonce, 0)];
        let requests = bodies
            .iter()
            .map(|body| consensus::RequestDigest(body.hash().0));
        let batch = Batch {
            timestamp_ms: 1,
            requests: requests.collect(),
        };
        let body = PrePrepare {
            view: View(0),
            sequence: SequenceNumber(sequence),
            digest: batch.digest(),
        };
        let key = SigningKey::from_seed(&[0; 32]);
        let pre_prepare = Signed::sign(body, ReplicaId(0), &key, &genesis().network_id());
        (Record::PrePrepared(Proposed { pre_prepare, batch }), bodies)
    }

    fn digest(record: &Record) -> BatchDigest {
        let Record::PrePrepared(proposed) = record else {
            panic!("a record of a batch")
        };
        proposed.batch.digest()
    }

    fn put(pending: &mut PendingRecords, sequence: u64) -> Record {
        let (record, bodies) = pre_prepared(sequence, u8::try_from(sequence).unwrap());
        pending.put(&record);
        pending.put_bodies(SequenceNumber(sequence), digest(&record), &bodies);
        record
    }

    /// The rule that keeps a replica from forgetting its votes in a crash.
    #[test]
    fn records_go_in_one_write_with_the_certificate_that_makes_them_needless() {
        let genesis = genesis();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), &genesis.ledger_genesis()).unwrap();
        let mut pending = PendingRecords::default();
        let records = [put(&mut pending, 1), put(&mut pending, 2)];
        let found = || {
            read::<CheckedTransaction>(&ledger, &genesis.network_id(), &genesis.limits()).unwrap()
        };
        let write = |pending: &mut PendingRecords| {
            let writes = pending.take_urgent();
            ledger.write_records(writes.unwrap()).unwrap();
        };
        write(&mut pending);
        assert_eq!(found().records, records);
        assert_eq!(found().bodies.len(), 2);

        let checkpoint = Checkpoint {
            sequence: SequenceNumber(1),
            digest: CheckpointDigest(crypto::Digest::ZERO),
        };
        let stable = CheckpointCertificate {
            checkpoint,
            signatures: Vec::new(),
        };
        pending.truncate(stable.clone());
        assert!(pending.take_urgent().is_none(), "nobody waits for it");
        assert_eq!(found().records, records, "nothing goes before its time");
        let third = put(&mut pending, 3);
        write(&mut pending);
        let [_, second] = records;
        assert_eq!(found().records, [Record::Stable(stable), second, third]);
        assert_eq!(
            found().bodies.len(),
            3,
            "the ledger keeps them until it has blocks"
        );
    }

    /// The disk is not believed more than a peer.
    #[test]
    fn bodies_that_are_not_what_was_written_are_an_error() {
        let genesis = genesis();
        let (record, bodies) = pre_prepared(1, 1);
        let name = digest(&record).0;
        let sound = list::encode(bodies.iter().map(|body| &body.bytes()[..]));
        // The last byte of the signature: its place in a tree of one comes after it.
        let mut altered = sound.clone();
        let signature_end = altered.len() - 3 * 8;
        altered[signature_end - 1] ^= 1;
        for (row, refused) in [
            (sound.clone(), false),
            (altered, true),
            (sound[..sound.len() - 1].to_vec(), true),
            ([&sound[..], b"more"].concat(), true),
            (bodies[0].bytes().to_vec(), true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let ledger = Ledger::open(folder.path(), &genesis.ledger_genesis()).unwrap();
            let mut writes = RecordWrites::default();
            writes.put_bodies(1, name, row);
            ledger.write_records(writes).unwrap();
            let found =
                read::<CheckedTransaction>(&ledger, &genesis.network_id(), &genesis.limits());
            assert_eq!(matches!(found, Err(DriverError::BadBody(_))), refused);
        }
    }
}
