//! What holds after every step, whatever peers send.

use super::Replica;
use crate::certificate::strictly_ascending;
use crate::log::Slot;
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
        assert!(
            self.executing.keys().all(|sequence| *sequence > executed),
            "what is executed is not being executed"
        );
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
            assert!(sequence <= high, "the log is bounded");
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
        if let Some(held) = &slot.held {
            let statement = held.statement();
            assert_eq!(statement.sequence, sequence, "a slot holds its own");
            if self.is_active() {
                assert_eq!(statement.view, self.view, "a slot is of the current view");
            }
            let reproposed = slot.reproposed.as_ref().map(|of| of.body);
            assert!(
                reproposed.is_none_or(|of| of == statement),
                "what a view begins with is what is held"
            );
        }
        if let Some(certificate) = &slot.prepared {
            let body = certificate.pre_prepare.body;
            assert!(
                slot.can_produce(body.digest),
                "what prepared can be produced"
            );
            assert!(strictly_ascending(&certificate.prepares), "a signer once");
            let needed = self.prepares_needed();
            assert_eq!(certificate.prepares.len(), needed, "a quorum's PREPAREs");
        }
        let own_commit = slot.commits.of(self.id());
        let prepared = slot.prepared_in(own_commit.map_or(self.view, |of| of.body.view));
        assert_eq!(
            own_commit.map(|of| of.body.digest),
            prepared.map(|of| of.pre_prepare.body.digest),
            "a COMMIT follows from preparation, and from nothing else"
        );
    }
}
