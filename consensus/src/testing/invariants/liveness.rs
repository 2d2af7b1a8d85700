//! Liveness: within so many status intervals after healing, everything that
//! was submitted is executed on every node and every client has its receipt.

use std::time::Duration;

use super::{Invariant, Observation};

/// How many status intervals that may take.
const STATUS_INTERVALS: u32 = 60;

pub(super) struct Liveness {
    limit: Duration,
}

impl Liveness {
    pub(super) fn new(status_interval: Duration) -> Self {
        Self {
            limit: status_interval.saturating_mul(STATUS_INTERVALS),
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
                "{STATUS_INTERVALS} status intervals after healing, {unfinished}"
            )),
            _ => Ok(()),
        }
    }
}
