//! Agreement: at every sequence number all nodes have the same outcome.

use std::collections::BTreeMap;

use super::{Invariant, Observation};
use crate::{CheckpointDigest, ReplicaId, SequenceNumber};

#[derive(Default)]
pub(super) struct Agreement {
    outcomes: BTreeMap<SequenceNumber, (CheckpointDigest, ReplicaId)>,
}

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let (node, sequence, outcome) = match seen {
            Observation::Stores { node, block, .. } => (*node, block.sequence, block.outcome),
            Observation::Certifies { node, certificate } => {
                let attested = &certificate.checkpoint;
                (*node, attested.sequence, attested.digest)
            }
            _ => return Ok(()),
        };
        let (first, by) = *self.outcomes.entry(sequence).or_insert((outcome, node));
        if first == outcome {
            Ok(())
        } else {
            Err(format!(
                "{sequence} led to {first} at {by} and to {outcome} at {node}"
            ))
        }
    }
}
