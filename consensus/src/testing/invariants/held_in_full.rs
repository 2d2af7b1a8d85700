//! Held in full: a replica stands by a batch only when its node holds every
//! request of it, so that it can execute what it votes for, also after a crash.

use super::{Invariant, Observation};
use crate::Record;

pub(super) struct HeldInFull;

impl Invariant for HeldInFull {
    fn name(&self) -> &'static str {
        "held_in_full"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        if let Observation::Writes {
            node,
            record: Record::PrePrepared(proposed),
            missing,
        } = seen
            && *missing > 0
        {
            let sequence = proposed.pre_prepare.body.sequence;
            return Err(format!(
                "{node} stands by {sequence} and lacks {missing} of its requests"
            ));
        }
        Ok(())
    }
}
