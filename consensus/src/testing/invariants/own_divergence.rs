//! Own divergence: a replica to which a quorum contradicts its own outcome does
//! not carry on as if it were otherwise. Only this is asked of one whose state
//! was altered behind its back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Observation};
use crate::message::{Checkpoint, Message};
use crate::{CheckpointDigest, Effect, Input, ReplicaId, SequenceNumber};

#[derive(Default)]
pub(super) struct OwnDivergence {
    own: BTreeMap<ReplicaId, BTreeMap<SequenceNumber, CheckpointDigest>>,
    /// What a replica was just told that contradicts what it has executed.
    told: BTreeMap<ReplicaId, String>,
    /// Who has answered with a halt in this life.
    halted: BTreeSet<ReplicaId>,
}

impl OwnDivergence {
    fn contradiction(&self, node: ReplicaId, attested: Checkpoint) -> Option<String> {
        let Checkpoint { sequence, digest } = attested;
        let own = self.own.get(&node)?.get(&sequence)?;
        (*own != digest)
            .then(|| format!("{node} has {own} in {sequence}, and a quorum attests {digest}"))
    }
}

impl Invariant for OwnDivergence {
    fn name(&self) -> &'static str {
        "own_divergence"
    }

    fn is_for_diverged(&self) -> bool {
        true
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Starts { node, .. } => {
                self.halted.remove(node);
            }
            Observation::LosesDisk { node } => {
                self.own.remove(node);
            }
            Observation::Takes {
                node,
                input: Input::Executed { sequence, digest },
            } => {
                let own = self.own.entry(*node).or_default();
                own.insert(*sequence, *digest);
            }
            Observation::Takes {
                node,
                input: Input::Message { message, .. },
            } => {
                if let Message::CheckpointCertificate(certificate) = message.message()
                    && let Some(told) = self.contradiction(*node, certificate.checkpoint)
                {
                    self.told.insert(*node, told);
                }
            }
            Observation::Answers { node, effects } => {
                let halts = |effect: &Effect| matches!(effect, Effect::Halt { .. });
                if effects.iter().any(halts) {
                    self.halted.insert(*node);
                }
                if let Some(told) = self.told.remove(node)
                    && !self.halted.contains(node)
                {
                    return Err(format!("{told}, and it goes on"));
                }
            }
            Observation::Certifies { node, certificate } => {
                if let Some(told) = self.contradiction(*node, certificate.checkpoint) {
                    return Err(format!("{told}, which it keeps as its own"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
