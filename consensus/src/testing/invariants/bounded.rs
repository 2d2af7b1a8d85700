//! Bounded: what a replica answers to one input, what it keeps on disk, and
//! what it says when there is nothing to do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Invariant, Observation};
use crate::{Config, ReplicaId};

pub(super) struct Bounded {
    window: usize,
    replicas: usize,
    status_interval: Duration,
    /// What the others say cannot be bounded.
    all_correct: bool,
}

impl Bounded {
    pub(super) fn new(config: &Config, byzantine: &BTreeSet<ReplicaId>) -> Self {
        Self {
            window: usize::try_from(config.log_window).unwrap_or(usize::MAX),
            replicas: config.replicas.n(),
            status_interval: config.status_interval,
            all_correct: byzantine.is_empty(),
        }
    }

    /// Per sequence number of the window: a record and a message of both votes,
    /// the batch of another view, an examination, an execution, an attestation,
    /// what is sent again; and a few besides.
    fn effects(&self) -> usize {
        16 + 10 * self.window
    }

    /// A PRE-PREPARE, a certificate and another batch per sequence number of the
    /// window; whether it listens, the stable checkpoint, a VIEW-CHANGE, a NEW-VIEW.
    fn records(&self) -> usize {
        4 + 3 * self.window
    }

    /// A status of everybody to everybody in every interval, and at most as
    /// many CHECKPOINTs: of what was attested by a quorum of which some have
    /// forgotten that in a crash, the others still ask each other. And as many
    /// again where one has left for a view that the others see no reason for.
    fn packets(&self, time: Duration) -> u64 {
        let intervals = time.as_nanos() / self.status_interval.as_nanos() + 1;
        let pairs = 3 * (self.replicas * (self.replicas - 1)) as u64;
        u64::try_from(intervals).map_or(u64::MAX, |of| of.saturating_mul(pairs))
    }
}

impl Invariant for Bounded {
    fn name(&self) -> &'static str {
        "bounded"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Answers { node, effects } if effects.len() > self.effects() => {
                Err(format!(
                    "{node} answers one input with {} effects, {} are enough",
                    effects.len(),
                    self.effects()
                ))
            }
            Observation::Settles { node, records } if *records > self.records() => Err(format!(
                "{node} keeps {records} records, {} are enough",
                self.records()
            )),
            Observation::Idles { time, packets }
                if self.all_correct && *packets > self.packets(*time) =>
            {
                Err(format!(
                    "{packets} packets in {time:?} with nothing to do, {} are enough",
                    self.packets(*time)
                ))
            }
            _ => Ok(()),
        }
    }
}
