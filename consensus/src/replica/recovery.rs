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
use crate::message::{NewView, Prepare, Proposed, Signed, ViewChange};
use crate::{Batch, CheckpointCertificate, Effect, Message, Position, Record, SequenceNumber};

/// The records of a replica, sorted out.
#[derive(Default)]
struct Found {
    listening: Option<SequenceNumber>,
    stable: Option<CheckpointCertificate>,
    view_change: Option<Signed<ViewChange>>,
    new_view: Option<Signed<NewView>>,
    pre_prepared: Vec<Proposed>,
    prepared: Vec<PreparedCertificate>,
    voted_before: Vec<(SequenceNumber, Vec<Batch>)>,
}

impl Found {
    fn of(records: Vec<Record>) -> Self {
        let mut found = Self::default();
        // In the order of their keys, so that nothing depends on how they came.
        let records: BTreeMap<_, _> = records.into_iter().map(|of| (of.key(), of)).collect();
        for record in records.into_values() {
            match record {
                Record::Listening { until } => found.listening = Some(until),
                Record::Stable(certificate) => found.stable = Some(certificate),
                Record::ViewChange(vote) => found.view_change = Some(vote),
                Record::NewView(new_view) => found.new_view = Some(new_view),
                Record::PrePrepared(proposed) => found.pre_prepared.push(proposed),
                Record::Prepared(certificate) => found.prepared.push(certificate),
                Record::VotedBefore { sequence, batches } => {
                    found.voted_before.push((sequence, batches));
                }
            }
        }
        found
    }
}

impl Replica {
    pub(super) fn recover(&mut self, position: Position, records: Vec<Record>) {
        let mut found = Found::of(records);
        if let Some(until) = found.listening {
            self.listening = Listening::of_record(until);
        }
        self.adopt(with_stable(position, found.stable.take()));
        self.recover_view(&mut found);
        let low = self.watermarks().low;
        for (sequence, batches) in std::mem::take(&mut found.voted_before) {
            if sequence > low {
                self.log.slot(sequence).voted_before = batches;
            }
        }
        for proposed in std::mem::take(&mut found.pre_prepared) {
            #[cfg(feature = "planted-bugs")]
            if planted!(ForgetProposed) && self.is_only_proposed(&proposed, &found) {
                continue;
            }
            self.recover_pre_prepared(proposed);
        }
        for certificate in found.prepared {
            self.recover_prepared(certificate);
        }
        self.install(BTreeMap::new());
        for sequence in self.log.sequences() {
            if sequence > self.last_executed {
                self.resume(sequence);
            }
        }
        self.end_listening();
    }

    /// Whether this replica proposed that in the view resumed, and it did not prepare.
    #[cfg(feature = "planted-bugs")]
    fn is_only_proposed(&self, proposed: &Proposed, found: &Found) -> bool {
        let Signed { body, signer, .. } = &proposed.pre_prepare;
        let mut prepared = found.prepared.iter();
        self.is_active()
            && body.view == self.view
            && *signer == self.id()
            && !prepared.any(|of| of.pre_prepare.body.sequence == body.sequence)
    }

    /// The view it was in, or on its way to.
    fn recover_view(&mut self, found: &mut Found) {
        let entered = found.new_view.as_ref().map(|of| of.body.view);
        if let Some(new_view) = found.new_view.take() {
            self.resume_view(new_view);
        }
        let vote = found.view_change.take();
        if let Some(vote) = vote.filter(|vote| Some(vote.body.view) > entered) {
            self.resume_view_change(vote);
        }
    }

    /// A PRE-PREPARE of the view resumed has this replica's vote already; of one
    /// of an earlier view only the batch matters.
    fn recover_pre_prepared(&mut self, proposed: Proposed) {
        let body = proposed.pre_prepare.body;
        assert!(body.view <= self.view, "no vote before its view is entered");
        if body.sequence <= self.watermarks().low {
            return;
        }
        if body.view < self.view || !self.is_active() {
            self.log.slot(body.sequence).keep(proposed.batch);
            return;
        }
        let signer = proposed.pre_prepare.signer;
        let executed = body.sequence <= self.last_executed;
        let held = Held {
            proposed,
            from: signer,
            check: if executed {
                Check::Passed
            } else {
                Check::Waiting
            },
            voted: true,
            time: None,
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
        if body.sequence <= self.watermarks().low || planted!(ForgetPrepared) {
            return;
        }
        let active = self.is_active();
        let held = self
            .log
            .held(body.sequence)
            .filter(|held| held.statement() == body);
        let Some(held) = held.filter(|_| active) else {
            assert!(
                body.view < self.view || !active,
                "what prepared was pre-prepared"
            );
            let slot = self.log.slot(body.sequence);
            assert!(
                slot.can_produce(body.digest),
                "what prepared can be produced"
            );
            slot.prepared = Some(certificate);
            return;
        };
        let prepare: Prepare = held.prepare();
        let commit = held.commit();
        let own = self.sign(commit);
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
        for message in self.own_statements(sequence) {
            self.emit(Effect::Broadcast(message));
        }
        self.examine(sequence);
        self.progress(sequence);
    }

    /// What this replica itself has said of `sequence`.
    fn own_statements(&self, sequence: SequenceNumber) -> Vec<Message> {
        let own_pre_prepare = self
            .log
            .held(sequence)
            .filter(|held| held.voted && held.proposed.pre_prepare.signer == self.id())
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

/// The position with the certificate of the low watermark that the records
/// hold, if that is the newer one.
fn with_stable(mut position: Position, recorded: Option<CheckpointCertificate>) -> Position {
    let sequence = |of: &CheckpointCertificate| of.checkpoint.sequence;
    if recorded.as_ref().map(sequence) <= position.stable.as_ref().map(sequence) {
        return position;
    }
    let covered = recorded.as_ref().map(sequence).unwrap_or_default();
    assert!(
        covered <= position.last_executed,
        "what is stable here was executed here"
    );
    position
        .outcomes
        .retain(|(sequence, _)| *sequence > covered);
    position.stable = recorded;
    position
}
