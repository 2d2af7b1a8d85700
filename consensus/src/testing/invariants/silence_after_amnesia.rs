//! Silence after amnesia: a replica that has lost its disk orders nothing at a
//! sequence number that it may have voted for before, and leaves for no view until all
//! of that is stable: it cannot say what had prepared.

use std::collections::BTreeMap;

use super::{Invariant, Observation, vote_of};
use crate::message::Message;
use crate::{ReplicaId, SequenceNumber};

#[derive(Default)]
pub(super) struct SilenceAfterAmnesia {
    /// The highest sequence number each has voted for.
    voted: BTreeMap<ReplicaId, SequenceNumber>,
    /// The same at the time its disk was lost.
    forgotten: BTreeMap<ReplicaId, SequenceNumber>,
}

impl Invariant for SilenceAfterAmnesia {
    fn name(&self) -> &'static str {
        "silence_after_amnesia"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::LosesDisk { node } => {
                let voted = self.voted.get(node).copied().unwrap_or_default();
                self.forgotten.insert(*node, voted);
            }
            Observation::Sends { node, message, .. } => {
                if let Message::ViewChange(vote) = message
                    && vote.signer == *node
                    && let Some(forgotten) = self.forgotten.get(node)
                {
                    let stable = vote.body.stable.as_ref();
                    let stable =
                        stable.map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
                    if stable < *forgotten {
                        let view = vote.body.view;
                        return Err(format!(
                            "{node} leaves for {view} from {stable}, and before it lost its disk it had voted up to {forgotten}"
                        ));
                    }
                }
                let Some(vote) = vote_of(message).filter(|vote| vote.signer == *node) else {
                    return Ok(());
                };
                let sequence = vote.place.sequence;
                if let Some(forgotten) = self.forgotten.get(node)
                    && sequence <= *forgotten
                {
                    let name = message.name();
                    return Err(format!(
                        "{node} sends {name} of {sequence}, and before it lost its disk it had voted up to {forgotten}"
                    ));
                }
                let voted = self.voted.entry(*node).or_default();
                *voted = (*voted).max(sequence);
            }
            _ => {}
        }
        Ok(())
    }
}
