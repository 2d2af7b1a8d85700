//! Planted bugs, for the tests of the simulator alone.

use super::Replica;
use crate::{Effect, PlantedBug};

impl Replica {
    /// From now on this replica has a bug.
    pub fn plant(&mut self, bug: PlantedBug) {
        self.planted = Some(bug);
    }

    /// `needed`, or one less.
    pub(super) fn distort_prepares(&self, needed: usize) -> usize {
        match self.planted {
            Some(PlantedBug::PrepareQuorumOneTooSmall) => needed.saturating_sub(1),
            _ => needed,
        }
    }

    /// Gives the effects of a step an order that breaks their contract.
    pub(super) fn distort_effects(&mut self) {
        match self.planted {
            Some(PlantedBug::VoteBeforePersist) => self
                .effects
                .sort_by_key(|effect| matches!(effect, Effect::Persist(_))),
            Some(PlantedBug::ExecuteOutOfOrder) => {
                let executes = |effect: &Effect| matches!(effect, Effect::Execute { .. });
                let first = self.effects.iter().position(executes);
                let last = self.effects.iter().rposition(executes);
                if let (Some(first), Some(last)) = (first, last) {
                    self.effects.swap(first, last);
                }
            }
            _ => {}
        }
    }
}
