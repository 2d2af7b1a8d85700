//! Liveness: within so many status intervals and timeouts after healing, everything that
//! was submitted is executed on every node and every client has its receipt.

use std::time::Duration;

use super::{Invariant, Observation};
use crate::Config;

/// How many status intervals that may take, besides one for each request: with
/// one in flight and one in a batch, each takes its own way through the network.
const STATUS_INTERVALS: u32 = 60;

/// How many times the longest timeout may pass besides, for each faulty replica
/// and once more: for a view that has failed when the network heals, and for
/// those of faulty primaries.
const TIMEOUTS: u32 = 4;

pub(super) struct Liveness {
    limit: Duration,
}

impl Liveness {
    pub(super) fn new(config: &Config, requests: usize) -> Self {
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let intervals = STATUS_INTERVALS.saturating_add(requests);
        let faulty = u32::try_from(config.replicas.f()).unwrap_or(u32::MAX);
        let timeouts = TIMEOUTS.saturating_mul(faulty.saturating_add(1));
        Self {
            limit: config
                .status_interval
                .saturating_mul(intervals)
                .saturating_add(config.request_timeout_cap.saturating_mul(timeouts)),
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
            } if *healed_for > self.limit => {
                Err(format!("{:?} after healing, {unfinished}", self.limit))
            }
            _ => Ok(()),
        }
    }
}
