//! Leaves for good: a replica that has sent a VIEW-CHANGE votes in no earlier
//! view any more, over all lives of its node (paper, 4.4: it "stops accepting
//! messages" of the view).

use std::collections::BTreeMap;

use super::{Invariant, Observation, vote_of};
use crate::message::Message;
use crate::{ReplicaId, View};

#[derive(Default)]
pub(super) struct LeavesForGood {
    left_for: BTreeMap<ReplicaId, View>,
}

impl Invariant for LeavesForGood {
    fn name(&self) -> &'static str {
        "leaves_for_good"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            // What it has forgotten it cannot keep: see silence after amnesia.
            Observation::LosesDisk { node } => {
                self.left_for.remove(node);
            }
            Observation::Sends { node, message, .. } => {
                if let Message::ViewChange(vote) = message
                    && vote.signer == *node
                {
                    let left_for = self.left_for.entry(*node).or_default();
                    *left_for = (*left_for).max(vote.body.view);
                }
                let left_for = self.left_for.get(node).copied().unwrap_or_default();
                if let Some(vote) = vote_of(message).filter(|vote| vote.signer == *node)
                    && vote.place.view < left_for
                {
                    let (name, view) = (message.name(), vote.place.view);
                    return Err(format!(
                        "{node} sends {name} of {view} and had left for {left_for}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
