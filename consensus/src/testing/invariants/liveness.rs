//! Liveness: within so many status intervals after healing, everything that
//! was submitted is executed on every node and every client has its receipt.

use std::time::Duration;

use super::{Invariant, Observation};
use crate::Config;

/// How many status intervals that may take, besides one for each request: with
/// one in flight and one in a batch, each takes its own way through the network.
const STATUS_INTERVALS: u32 = 60;

pub(super) struct Liveness {
    intervals: u32,
    limit: Duration,
}

impl Liveness {
    pub(super) fn new(config: &Config, requests: usize) -> Self {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let intervals = STATUS_INTERVALS.saturating_add(requests);
        Self {
            intervals,
            limit: config.status_interval.saturating_mul(intervals),
        }
    }
}

impl Invariant for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Waits {
                healed_for,
                unfinished,
            } if *healed_for > self.limit => Err(format!(
                "{} status intervals after healing, {unfinished}",
                self.intervals
            )),
            _ => Ok(()),
        }
    }
}
