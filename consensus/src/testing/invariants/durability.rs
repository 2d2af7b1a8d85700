//! Durability: what a receipt says, once it was shown to a client, holds on
//! every node in the end and is contradicted by none before.

use std::collections::BTreeMap;

use super::{Invariant, Observation};
use crate::testing::ledger::Receipt;
use crate::{CheckpointDigest, RequestDigest, SequenceNumber};

#[derive(Default)]
pub(super) struct Durability {
    shown: BTreeMap<RequestDigest, (SequenceNumber, CheckpointDigest)>,
    outcomes: BTreeMap<SequenceNumber, CheckpointDigest>,
}

impl Durability {
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
                if let Some(shown) = self.outcomes.get(&sequence)
                    && *shown != block.outcome
                {
                    return Err(format!("{node} contradicts a receipt in {sequence}"));
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
