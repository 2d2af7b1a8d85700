//! What comes of a simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use crate::ReplicaId;
use crate::byzantine::Modes;

/// What happened in a simulation in which nothing went wrong that may not.
/// Summaries of several add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that were played.
    pub steps: u64,
    /// How much time passed for the nodes.
    pub virtual_time: Duration,
    /// Packets sent.
    pub messages_sent: u64,
    /// Packets lost.
    pub messages_lost: u64,
    /// Packets that arrived twice.
    pub messages_duplicated: u64,
    /// Messages of which a bit was flipped on the way.
    pub messages_corrupted: u64,
    /// Those of them that were not let in.
    pub messages_refused: u64,
    /// Messages that a replica refused, most of them for being early.
    pub rejections: u64,
    /// Batches refused for a time too far ahead.
    pub batches_refused: u64,
    /// Crashes, each with a restart.
    pub crashes: u64,
    /// Writes lost in crashes because they were not synced yet.
    pub writes_lost: u64,
    /// Disks lost.
    pub disks_lost: u64,
    /// Times that a replica which had lost its disk began to vote again.
    pub listened_out: u64,
    /// Times that links were cut.
    pub partitions: u64,
    /// Times that a replica was paused.
    pub pauses: u64,
    /// The highest view that a replica entered; of several, together.
    pub view_changes: u64,
    /// Replicas whose state was altered behind their back.
    pub states_altered: u64,
    /// Those of them that found themselves wrong, and stopped.
    pub halts: u64,
    /// Replicas that were twins.
    pub twins: u64,
    /// Messages of faulty replicas that were not what a correct one says.
    pub byzantine_actions: u64,
    /// Times that a replica was shown to have contradicted itself.
    pub contradictions: u64,
    /// Times that a replica asked to catch up.
    pub catch_ups: u64,
    /// Sequence numbers executed.
    pub blocks: u64,
    /// Blocks, on all nodes together, that have no certificate of their own
    /// but are attested by a later one.
    pub uncertified_blocks: u64,
    /// Requests submitted, every one of which was executed.
    pub requests: u64,
    /// Requests that were ordered again after their execution, and not applied again.
    pub duplicates: u64,
    /// Times that a client was shown a receipt.
    pub receipts: u64,
    /// How long after healing everything was done; of several the longest.
    pub recovery_time: Duration,
    /// Of all events in their order: equal for equal runs. Of several, combined.
    pub trace_hash: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.virtual_time = self.virtual_time.saturating_add(other.virtual_time);
        self.messages_sent += other.messages_sent;
        self.messages_lost += other.messages_lost;
        self.messages_duplicated += other.messages_duplicated;
        self.messages_corrupted += other.messages_corrupted;
        self.messages_refused += other.messages_refused;
        self.rejections += other.rejections;
        self.batches_refused += other.batches_refused;
        self.crashes += other.crashes;
        self.writes_lost += other.writes_lost;
        self.disks_lost += other.disks_lost;
        self.listened_out += other.listened_out;
        self.partitions += other.partitions;
        self.pauses += other.pauses;
        self.view_changes += other.view_changes;
        self.states_altered += other.states_altered;
        self.halts += other.halts;
        self.twins += other.twins;
        self.byzantine_actions += other.byzantine_actions;
        self.contradictions += other.contradictions;
        self.catch_ups += other.catch_ups;
        self.blocks += other.blocks;
        self.uncertified_blocks += other.uncertified_blocks;
        self.requests += other.requests;
        self.duplicates += other.duplicates;
        self.receipts += other.receipts;
        self.recovery_time = self.recovery_time.max(other.recovery_time);
        // In any order of adding the same.
        self.trace_hash = self.trace_hash.wrapping_add(other.trace_hash);
    }
}

/// Which invariant does not hold, and how.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) message: String,
}

/// A simulation in which an invariant broke.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Failure {
    /// The number of replicas it ran with.
    pub replicas: u32,
    /// The seed, with which it fails again.
    pub seed: u64,
    /// The invariant that broke.
    pub invariant: &'static str,
    /// How.
    pub message: String,
    /// Who was faulty, and how.
    pub byzantine: BTreeMap<ReplicaId, Modes>,
    /// Who was there twice.
    pub twins: BTreeSet<ReplicaId>,
    /// The last events before, a line each.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replicas,
            seed,
            invariant,
            message,
            byzantine,
            twins,
            trace,
        } = self;
        writeln!(
            f,
            "{invariant} is broken with {replicas} replicas and seed {seed}: {message}"
        )?;
        for (replica, modes) in byzantine {
            writeln!(f, "replica {replica} is faulty: {modes}")?;
        }
        for replica in twins {
            writeln!(f, "replica {replica} is there twice")?;
        }
        writeln!(f, "the last events:")?;
        f.write_str(trace)
    }
}
