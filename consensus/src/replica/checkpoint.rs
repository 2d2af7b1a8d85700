//! CHECKPOINTs, certificates, and the watermarks they move (paper, 4.3).
//!
//! Every executed sequence number is attested and certified, for a certificate
//! is what makes a block believable. At multiples of the checkpoint interval
//! the certificate also moves the low watermark.

use std::collections::BTreeMap;

use super::Replica;
use crate::log::Added;
use crate::message::{Checkpoint, Signed};
use crate::{
    CheckpointCertificate, CheckpointDigest, Effect, Evidence, Message, Rejection, ReplicaId,
    SequenceNumber, Watermarks,
};

impl Replica {
    /// The outcome of the next sequence number is durable: attests it. An
    /// outcome that catching up has overtaken is let go.
    pub(super) fn on_executed(&mut self, sequence: SequenceNumber, digest: CheckpointDigest) {
        assert!(
            sequence <= self.execution_asked,
            "{sequence} was to be executed"
        );
        if sequence <= self.last_executed {
            let known = self.checkpoints.get(sequence).and_then(|of| of.outcome);
            assert!(
                known.is_none_or(|known| known == digest),
                "{sequence} has one outcome"
            );
            return;
        }
        assert_eq!(
            sequence,
            self.last_executed.next(),
            "execution is in order and without a gap"
        );
        let time = self.executing.remove(&sequence);
        self.last_timestamp_ms = time.expect("what is executed was asked for");
        self.last_executed = sequence;
        self.catch_up.forget_through(sequence);
        self.attest(sequence, digest);
        self.advance_low();
    }

    /// Remembers this replica's own outcome and broadcasts its CHECKPOINT, or
    /// halts when a quorum attests another one.
    pub(super) fn attest(&mut self, sequence: SequenceNumber, digest: CheckpointDigest) {
        let body = Checkpoint { sequence, digest };
        let vote = self.sign(body);
        let entry = self.checkpoints.entry(sequence);
        assert!(
            entry.outcome.is_none_or(|known| known == digest),
            "{sequence} has one outcome"
        );
        entry.outcome = Some(digest);
        if let Some(certificate) = entry.certificate.clone() {
            self.take_certificate(certificate);
        }
        if self.checkpoints.add(vote.clone()) == Added::New {
            self.emit(Effect::Broadcast(Message::Checkpoint(vote)));
        }
        self.certify(body);
    }

    /// A CHECKPOINT counts when it is in the range that is watched, and the
    /// first of its signer for its sequence number.
    pub(super) fn on_checkpoint(&mut self, from: ReplicaId, vote: Signed<Checkpoint>) {
        let Checkpoint { sequence, .. } = vote.body;
        let signer = vote.signer;
        let watermarks = self.watermarks();
        if sequence > watermarks.high {
            self.reject(
                from,
                Rejection::OutsideWatermarks {
                    sequence,
                    watermarks,
                },
            );
            return;
        }
        if signer == self.id() || !self.watched().contain(sequence) {
            return;
        }
        let body = vote.body;
        match self.checkpoints.add(vote) {
            Added::New => {
                self.certify(body);
                self.advance_low();
            }
            Added::Known => {}
            Added::Conflicting(known, vote) => {
                self.tell(Evidence::Checkpoint(known, vote));
            }
        }
    }

    /// A certificate says at once what a quorum of CHECKPOINTs says together.
    pub(super) fn on_certificate(&mut self, certificate: CheckpointCertificate) {
        let Checkpoint { sequence, .. } = certificate.checkpoint;
        if sequence > self.watermarks().high {
            self.note_attested(sequence);
            return;
        }
        if !self.watched().contain(sequence) {
            return;
        }
        self.take_certificate(certificate);
        self.advance_low();
    }

    /// Where CHECKPOINTs are collected: `(h - log_window, H]`.
    fn watched(&self) -> Watermarks {
        let Watermarks { low, high } = self.watermarks();
        Watermarks {
            low: low.saturating_sub(self.config.log_window),
            high,
        }
    }

    /// How many CHECKPOINTs make a certificate.
    fn attesters_needed(&self) -> usize {
        self.config.replicas.quorum() - usize::from(planted!(CertificateOneTooSmall))
    }

    /// Makes a certificate of the CHECKPOINTs that agree with `body`, once they
    /// are a quorum's.
    fn certify(&mut self, body: Checkpoint) {
        let quorum = self.attesters_needed();
        let entry = self.checkpoints.entry(body.sequence);
        let mut signatures = entry.votes.signatures(&body);
        if signatures.len() >= quorum {
            signatures.truncate(quorum);
            self.take_certificate(CheckpointCertificate {
                checkpoint: body,
                signatures,
            });
        }
    }

    /// Puts a certificate and the own outcome together: hands the certificate
    /// out, once for each sequence number; or halts; or, when there is no own
    /// outcome, keeps it and learns that others are ahead.
    fn take_certificate(&mut self, certificate: CheckpointCertificate) {
        assert!(
            certificate.signatures.len() >= self.attesters_needed(),
            "a certificate is a quorum's"
        );
        let Checkpoint { sequence, digest } = certificate.checkpoint;
        let entry = self.checkpoints.entry(sequence);
        match entry.outcome {
            None => {
                entry.certificate.get_or_insert(certificate);
                self.note_attested(sequence);
            }
            Some(own) if own != digest && planted!(IgnoreOwnDivergence) => {}
            Some(own) if own != digest => {
                self.emit(Effect::Halt {
                    sequence,
                    own,
                    attested: digest,
                });
                self.halted = true;
            }
            Some(_) if entry.certified => {}
            Some(_) => {
                entry.certified = true;
                entry.certificate = Some(certificate.clone());
                self.emit(Effect::Certified(certificate));
            }
        }
    }

    /// Moves the low watermark to the newest certified multiple of the
    /// checkpoint interval that this replica has executed.
    pub(super) fn advance_low(&mut self) {
        let low = self.watermarks().low;
        let interval = self.config.checkpoint_interval;
        let newest = self
            .checkpoints
            .iter()
            .rev()
            .take_while(|(sequence, _)| *sequence > low)
            .find(|(sequence, entry)| sequence.0.is_multiple_of(interval) && entry.certified)
            .and_then(|(_, entry)| entry.certificate.clone());
        if let Some(certificate) = newest {
            self.move_low(certificate);
        }
    }

    /// The checkpoint of `certificate` is stable: what lies up to it is forgotten,
    /// and what a new view began with beyond the window may have come into it.
    pub(super) fn move_low(&mut self, certificate: CheckpointCertificate) {
        let through = certificate.checkpoint.sequence;
        assert!(
            through <= self.last_executed,
            "the low watermark follows what is executed here"
        );
        self.log.move_low(through);
        self.stable = Some(certificate.clone());
        self.checkpoints.discard(self.watched().low);
        if !planted!(KeepRecords) {
            self.emit(Effect::Truncate(certificate));
        }
        self.install(BTreeMap::new());
        self.end_listening();
    }
}
