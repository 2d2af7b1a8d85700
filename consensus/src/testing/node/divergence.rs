//! A state that is altered behind the node's back, and the end of a node that
//! finds itself wrong.

use super::Node;
use crate::testing::report::Violation;
use crate::testing::trace::Happening;
use crate::testing::world::World;
use crate::{CheckpointDigest, ReplicaId, SequenceNumber};

/// An outcome that a quorum contradicts.
pub(crate) struct Divergence {
    pub(crate) sequence: SequenceNumber,
    pub(crate) own: CheckpointDigest,
    pub(crate) attested: CheckpointDigest,
}

impl Node {
    /// Something in the state is not any more what was written: whatever is
    /// executed from now on has another outcome than elsewhere.
    pub(crate) fn alter_state(&mut self, world: &mut World) {
        self.disk.alter_state();
        self.note(world, Happening::IsAltered);
        let id: ReplicaId = self.id();
        world.byzantine.insert(id);
        world.altered.insert(id);
        world.summary.states_altered += 1;
    }

    /// A correct node never finds itself wrong; one whose state was altered stops.
    pub(super) fn halt(
        &mut self,
        diverged: &Divergence,
        world: &mut World,
    ) -> Result<(), Violation> {
        let id = self.id();
        if world.altered.contains(&id) {
            let sequence = diverged.sequence;
            self.note(world, Happening::Halts { sequence });
            self.live = None;
            self.piled_up = None;
            self.halted = true;
            world.summary.halts += 1;
            return Ok(());
        }
        if world.byzantine.contains(&id) {
            return Ok(());
        }
        let Divergence {
            sequence,
            own,
            attested,
        } = diverged;
        let message =
            format!("{id} halts: its outcome of {sequence} is {own}, a quorum attests {attested}");
        Err(Violation {
            invariant: "agreement",
            message,
        })
    }

    /// Whether it has found itself wrong, and runs no more.
    pub(crate) fn has_halted(&self) -> bool {
        self.halted
    }
}
