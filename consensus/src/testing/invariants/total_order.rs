//! Total order: every replica asks for the sequence numbers one after the
//! other, each once and none left out, and that is how they are stored; every
//! batch is of a later time than the one before it.

use std::collections::BTreeMap;

use super::{Invariant, Observation};
use crate::{Effect, Input, ReplicaId, SequenceNumber};

#[derive(Default)]
pub(super) struct TotalOrder {
    nodes: BTreeMap<ReplicaId, Progress>,
}

#[derive(Default)]
struct Progress {
    asked: SequenceNumber,
    catching_up: bool,
    stored: SequenceNumber,
    timestamp_ms: u64,
}

impl Progress {
    fn asks(&mut self, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Execute { sequence, .. } if self.catching_up => {
                Err(format!("asks for {sequence} while it catches up"))
            }
            Effect::Execute { sequence, .. } if *sequence != self.asked.next() => Err(format!(
                "asks for the execution of {sequence} after {}",
                self.asked
            )),
            Effect::Execute { sequence, .. } => {
                self.asked = *sequence;
                Ok(())
            }
            Effect::CatchUp { through } if self.catching_up => {
                Err(format!("is to catch up to {through} while it does"))
            }
            Effect::CatchUp { .. } => {
                self.catching_up = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Invariant for TotalOrder {
    fn name(&self) -> &'static str {
        "total_order"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Starts { node, tip } => {
                let progress = self.nodes.entry(*node).or_default();
                progress.asked = *tip;
                progress.catching_up = false;
            }
            Observation::LosesDisk { node } => {
                self.nodes.remove(node);
            }
            Observation::Takes {
                node,
                input: Input::CaughtUp(position),
            } => {
                let progress = self.nodes.entry(*node).or_default();
                progress.asked = progress.asked.max(position.last_executed);
                progress.catching_up = false;
            }
            Observation::Answers { node, effects } => {
                let progress = self.nodes.entry(*node).or_default();
                for effect in *effects {
                    let asked = progress.asks(effect);
                    asked.map_err(|what| format!("{node} {what}"))?;
                }
            }
            Observation::Stores { node, block, .. } => {
                let progress = self.nodes.entry(*node).or_default();
                let (sequence, stored) = (block.sequence, progress.stored);
                if sequence != stored.next() {
                    return Err(format!("{node} stores {sequence} after {stored}"));
                }
                let (time, previous) = (block.timestamp_ms, progress.timestamp_ms);
                if time <= previous {
                    return Err(format!("{sequence} is of {time} ms after {previous} ms"));
                }
                progress.stored = sequence;
                progress.timestamp_ms = time;
            }
            _ => {}
        }
        Ok(())
    }
}
