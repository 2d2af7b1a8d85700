//! The start from what was made durable: a crash takes nothing back.
//!
//! The slots are built again from the records, this replica's own votes with
//! them (Ed25519 is deterministic: they are the same to the byte), so nothing
//! it says now contradicts what it said before.

use std::collections::BTreeMap;

use super::Replica;
use super::listening::Listening;
use crate::certificate::PreparedCertificate;
use crate::log::{Added, Check, Held};
use crate::message::{Prepare, Proposed, Signed};
use crate::{Effect, Message, Position, Record, SequenceNumber};

impl Replica {
    pub(super) fn recover(&mut self, position: Position, records: Vec<Record>) {
        // In the order of their keys: Listening, then by sequence number with
        // PrePrepared before Prepared.
        let records: BTreeMap<_, _> = records.into_iter().map(|of| (of.key(), of)).collect();
        for record in records.values() {
            if let Record::Listening { until } = record {
                self.listening = Listening::of_record(*until);
            }
        }
        self.adopt(position);
        for record in records.into_values() {
            match record {
                Record::Listening { .. } => {}
                Record::PrePrepared(proposed) => self.recover_pre_prepared(proposed),
                Record::Prepared(certificate) => self.recover_prepared(certificate),
            }
        }
        for sequence in self.log.sequences() {
            if sequence > self.last_executed {
                self.resume(sequence);
            }
        }
        self.end_listening();
    }

    fn recover_pre_prepared(&mut self, proposed: Proposed) {
        let body = proposed.pre_prepare.body;
        assert_eq!(body.view, self.view, "records are of the view resumed");
        if body.sequence <= self.watermarks().low {
            return;
        }
        let signer = proposed.pre_prepare.signer;
        let held = Held {
            proposed,
            from: signer,
            check: Check::Asked,
            voted: true,
        };
        let own = (signer != self.id()).then(|| self.sign(held.prepare()));
        let slot = self.log.slot(body.sequence);
        assert!(slot.held.is_none(), "one record per view and sequence");
        slot.held = Some(held);
        if let Some(own) = own {
            assert_eq!(slot.prepares.add(own), Added::New, "prepared once");
        }
    }

    fn recover_prepared(&mut self, certificate: PreparedCertificate) {
        let body = certificate.pre_prepare.body;
        if body.sequence <= self.watermarks().low {
            return;
        }
        let held = self
            .log
            .held(body.sequence)
            .expect("what prepared was pre-prepared before");
        assert_eq!(held.statement(), body, "one digest per view and sequence");
        let prepare: Prepare = held.prepare();
        let own = self.sign(held.commit());
        let slot = self.log.slot(body.sequence);
        for (signer, signature) in &certificate.prepares {
            slot.prepares.add(Signed {
                body: prepare,
                signer: *signer,
                signature: *signature,
            });
        }
        assert_eq!(slot.commits.add(own), Added::New, "committed once");
        slot.prepared = Some(certificate);
    }

    /// Says again what was said of `sequence`, and has its batch, which is
    /// stored with the record, examined again before it is executed.
    fn resume(&mut self, sequence: SequenceNumber) {
        let Some(held) = self.log.held(sequence) else {
            return;
        };
        let statement = held.statement();
        let check = Effect::CheckBatch {
            view: statement.view,
            sequence,
            digest: statement.digest,
            batch: held.proposed.batch.clone(),
        };
        for message in self.own_statements(sequence) {
            self.emit(Effect::Broadcast(message));
        }
        self.emit(check);
        self.progress(sequence);
    }

    /// What this replica itself has said of `sequence`.
    fn own_statements(&self, sequence: SequenceNumber) -> Vec<Message> {
        let own_pre_prepare = self
            .log
            .held(sequence)
            .filter(|held| held.proposed.pre_prepare.signer == self.id())
            .map(|held| Message::PrePrepare(held.proposed.clone()));
        own_pre_prepare
            .into_iter()
            .chain(self.own_prepare(sequence))
            .chain(self.own_commit(sequence))
            .collect()
    }

    /// This replica's PREPARE for `sequence`, if it sent one.
    pub(super) fn own_prepare(&self, sequence: SequenceNumber) -> Option<Message> {
        let own = self.log.get(sequence)?.prepares.of(self.id())?;
        Some(Message::Prepare(own.clone()))
    }

    /// This replica's COMMIT for `sequence`, if it sent one.
    pub(super) fn own_commit(&self, sequence: SequenceNumber) -> Option<Message> {
        let own = self.log.get(sequence)?.commits.of(self.id())?;
        Some(Message::Commit(own.clone()))
    }
}
