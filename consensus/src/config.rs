//! What all replicas of a network agree on before it starts.

use std::time::Duration;

use crypto::NetworkId;

use crate::{ReplicaId, ReplicaSet};

/// The parameters of one replica. All but `id` are the same on every replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which replica this is.
    pub id: ReplicaId,
    /// Who takes part.
    pub replicas: ReplicaSet,
    /// The network every signature is bound to.
    pub network: NetworkId,
    /// Every how many sequence numbers the low watermark moves. Every executed
    /// sequence is attested by a CHECKPOINT; those at a multiple of this make
    /// the log shorter.
    pub checkpoint_interval: u64,
    /// `L`: how many sequence numbers lie between the watermarks. At least
    /// twice the checkpoint interval, or the window could close for good.
    pub log_window: u64,
    /// How many sequence numbers the primary keeps in flight beyond the last
    /// one executed. At most `log_window`.
    pub max_in_flight: u64,
    /// How many requests a batch may name.
    pub max_batch_requests: usize,
    /// How often a replica tells the others where it stands.
    pub status_interval: Duration,
    /// How long a backup lets a request wait before it suspects the primary.
    pub request_timeout: Duration,
    /// Where the doubling of the timeout over failed views ends.
    pub request_timeout_cap: Duration,
}

impl Config {
    /// Asserts what genesis has checked for every replica alike.
    ///
    /// # Panics
    ///
    /// When a parameter is outside its documented bounds.
    pub(crate) fn assert_sound(&self) {
        assert!(
            self.replicas.key(self.id).is_some(),
            "replica {} is one of the set",
            self.id
        );
        assert!(self.checkpoint_interval >= 1, "checkpoints are taken");
        assert!(
            self.log_window >= self.checkpoint_interval.saturating_mul(2),
            "the window spans two checkpoints"
        );
        assert!(
            (1..=self.log_window).contains(&self.max_in_flight),
            "something is in flight, within the window"
        );
        assert!(self.max_batch_requests >= 1, "a batch may hold a request");
        assert!(
            !self.status_interval.is_zero(),
            "status is not sent without pause"
        );
        assert!(
            !self.request_timeout.is_zero() && self.request_timeout <= self.request_timeout_cap,
            "requests are given time, up to a cap"
        );
    }
}
