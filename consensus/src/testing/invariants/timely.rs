//! Timely: whatever primaries say, no batch is executed that is of a time
//! further ahead than every correct replica's clock allows.

use std::time::Duration;

use super::{Invariant, Observation};
use crate::Config;

pub(super) struct Timely {
    ahead_ms: u64,
}

impl Timely {
    pub(super) fn new(config: &Config, within: Duration) -> Self {
        let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        Self {
            // Of batches that a new view takes over each may be a moment later.
            ahead_ms: within.saturating_add(config.log_window),
        }
    }
}

impl Invariant for Timely {
    fn name(&self) -> &'static str {
        "timely"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Stores {
            node,
            block,
            now_ms,
        } = seen
        else {
            return Ok(());
        };
        let (sequence, time) = (block.sequence, block.timestamp_ms);
        if time <= now_ms.saturating_add(self.ahead_ms) {
            return Ok(());
        }
        Err(format!(
            "{node} stores {sequence} of {time} ms at {now_ms} ms, {} ms ahead are allowed",
            self.ahead_ms
        ))
    }
}
