//! Durability: what a receipt says, once it was shown to a client, is on the disks of
//! so many correct nodes that some quorum cannot do without them; it holds on every node in
//! the end and is contradicted by none before.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Observation};
use crate::testing::ledger::Receipt;
use crate::{CheckpointDigest, Config, ReplicaId, RequestDigest, SequenceNumber};

pub(super) struct Durability {
    /// On how many disks of correct nodes what is attested is at the least.
    disks_needed: usize,
    /// The disks that a block is on.
    disks: BTreeMap<(SequenceNumber, CheckpointDigest), BTreeSet<ReplicaId>>,
    shown: BTreeMap<RequestDigest, (SequenceNumber, CheckpointDigest)>,
    outcomes: BTreeMap<SequenceNumber, CheckpointDigest>,
}

impl Durability {
    pub(super) fn new(config: &Config, byzantine: &BTreeSet<ReplicaId>) -> Self {
        let faulty = config.replicas.f().max(byzantine.len());
        Self {
            disks_needed: config.replicas.quorum().saturating_sub(faulty),
            disks: BTreeMap::new(),
            shown: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    fn show(&mut self, receipt: &Receipt) -> Result<(), String> {
        let Receipt {
            request,
            sequence,
            outcome,
            certificate,
        } = receipt;
        let attested = certificate.checkpoint;
        if attested.sequence < *sequence {
            return Err(format!("a receipt for {request} is not attested"));
        }
        if attested.sequence == *sequence && attested.digest != *outcome {
            return Err(format!("a receipt for {request} is attested otherwise"));
        }
        let place = (attested.sequence, attested.digest);
        let (disks, needed) = (
            self.disks.get(&place).map_or(0, BTreeSet::len),
            self.disks_needed,
        );
        if disks < needed {
            return Err(format!(
                "a receipt for {request} rests on {disks} disks, {needed} are needed"
            ));
        }
        let now = (*sequence, *outcome);
        let first = *self.shown.entry(*request).or_insert(now);
        if first != now {
            return Err(format!(
                "two receipts place {request} at {} and at {sequence}",
                first.0
            ));
        }
        self.outcomes.insert(*sequence, *outcome);
        Ok(())
    }
}

impl Invariant for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Shows { node, receipt } => {
                let shown = self.show(receipt);
                return shown.map_err(|what| format!("{what} ({node})"));
            }
            Observation::Stores { node, block, .. } => {
                let sequence = block.sequence;
                let disks = self.disks.entry((sequence, block.outcome));
                disks.or_default().insert(*node);
                if let Some(shown) = self.outcomes.get(&sequence)
                    && *shown != block.outcome
                {
                    return Err(format!("{node} contradicts a receipt in {sequence}"));
                }
            }
            Observation::LosesDisk { node } => {
                for disks in self.disks.values_mut() {
                    disks.remove(node);
                }
            }
            Observation::Ends { nodes } => {
                for (node, contents) in *nodes {
                    for (request, (sequence, outcome)) in &self.shown {
                        let block = contents.ledger.block(*sequence);
                        let kept = block.is_some_and(|block| block.outcome == *outcome)
                            && contents.ledger.applied_at(request) == Some(*sequence);
                        if !kept {
                            return Err(format!(
                                "{node} does not know of {request} in {sequence}, for which a receipt was shown"
                            ));
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
