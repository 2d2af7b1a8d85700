//! What holds after every step, whatever peers send.

use super::Replica;
use crate::certificate::strictly_ascending;
use crate::log::{Check, Slot};
use crate::{SequenceNumber, Watermarks};

impl Replica {
    /// Asserts what must hold between steps. Costs a walk over the log: for
    /// tests, and after every step of a debug build.
    ///
    /// # Panics
    ///
    /// When an invariant is broken.
    pub fn check_invariants(&self) {
        let Watermarks { low, high } = self.watermarks();
        let executed = self.last_executed;
        assert!(low <= executed, "the low watermark is executed");
        assert!(executed <= self.execution_asked, "executed when asked");
        assert_eq!(
            self.stable.as_ref().map(|of| of.checkpoint.sequence),
            Some(low).filter(|low| *low > SequenceNumber::GENESIS),
            "the low watermark has its certificate"
        );
        assert!(
            self.catch_up.attested().is_none_or(|of| of > executed),
            "what is executed needs no catching up"
        );
        for (sequence, slot) in self.log.iter() {
            assert!(sequence > low, "slots are above the low watermark");
            let own_record = slot.held.as_ref().is_some_and(|held| held.voted);
            assert!(sequence <= high || own_record, "the log is bounded");
            self.check_slot(sequence, slot);
        }
        for (sequence, entry) in self.checkpoints.iter() {
            assert!(
                sequence <= high.max(executed) && sequence > low.saturating_sub(high.0 - low.0),
                "attestations are within their range"
            );
            if let (true, Some(certificate)) = (entry.certified, &entry.certificate) {
                assert!(sequence <= executed, "certified when executed");
                let attested = Some(certificate.checkpoint.digest);
                assert_eq!(entry.outcome, attested, "certified as executed");
                assert!(strictly_ascending(&certificate.signatures), "a signer once");
            }
        }
    }

    fn check_slot(&self, sequence: SequenceNumber, slot: &Slot) {
        let quorum = self.config.replicas.quorum();
        if let Some(held) = &slot.held {
            let statement = held.statement();
            assert_eq!(statement.sequence, sequence, "a slot holds its own");
            assert_eq!(statement.view, self.view, "a slot is of the current view");
            assert!(
                !held.voted || held.check != Check::Waiting,
                "no vote before the examination"
            );
        }
        if let Some(certificate) = &slot.prepared {
            let held = slot.held.as_ref().expect("what prepared is held");
            assert!(held.voted, "what prepared was voted for");
            assert_eq!(held.statement(), certificate.pre_prepare.body);
            assert!(strictly_ascending(&certificate.prepares), "a signer once");
            let needed = self.prepares_needed();
            assert_eq!(certificate.prepares.len(), needed, "a quorum's PREPAREs");
            assert!(slot.commits.of(self.id()).is_some(), "its COMMIT is kept");
        } else {
            assert!(slot.commits.of(self.id()).is_none(), "no COMMIT before");
        }
        let to_execute = sequence > self.last_executed && sequence <= self.execution_asked;
        assert!(
            !to_execute || slot.committed_local(quorum),
            "{sequence} is executed because it is committed"
        );
    }
}
