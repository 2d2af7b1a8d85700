//! When a peer is dialled: at once, and after each failure a little later.
//!
//! Of two peers the one with the lower identity dials, so that they do not meet
//! twice; the other does too when nothing has come for long, because perhaps
//! only its direction works. Nothing here reads a clock.

use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use super::config::Limits;

/// A connection that held for so long was a success: what comes after it
/// begins with the shortest pause. One that is closed at once, as by a peer
/// that refuses this node, is a failure.
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The state of one peer.
#[derive(Debug)]
pub(super) struct Redial {
    min_delay: Duration,
    max_delay: Duration,
    /// How long to leave it to the other side; nothing for the side that dials.
    patience: Duration,
    failures: u32,
    due: Option<Instant>,
    connected_since: Option<Instant>,
}

impl Redial {
    /// A peer that was never connected, seen at `now`.
    pub(super) fn new(limits: &Limits, dials_first: bool, now: Instant) -> Self {
        let patience = if dials_first {
            Duration::ZERO
        } else {
            limits.patience
        };
        Self {
            min_delay: limits.min_redial_delay,
            max_delay: limits.max_redial_delay,
            patience,
            failures: 0,
            due: Some(now + patience),
            connected_since: None,
        }
    }

    /// When to dial next, unless a connection or an attempt exists.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// An attempt begins; its end is told by [`Redial::failed`] or
    /// [`Redial::connected`].
    pub(super) fn begin(&mut self) {
        self.due = None;
    }

    /// An attempt has failed. `jitter` is any number.
    pub(super) fn failed(&mut self, now: Instant, jitter: u64) {
        if self.connected_since.is_none() {
            self.due = Some(now + self.next_delay(jitter));
        }
    }

    /// There is a connection, whoever made it.
    pub(super) fn connected(&mut self, now: Instant) {
        self.due = None;
        self.connected_since.get_or_insert(now);
    }

    /// The last connection is gone.
    pub(super) fn disconnected(&mut self, now: Instant, jitter: u64) {
        let held = self
            .connected_since
            .take()
            .map(|since| now.saturating_duration_since(since));
        if held.is_some_and(|held| held >= PROVEN_AFTER) {
            self.failures = 0;
        }
        let delay = self.next_delay(jitter);
        self.due = Some(now + delay.max(self.patience));
    }

    /// Doubles from failure to failure; a quarter of it is left to chance, so
    /// that nodes that lost each other together do not return in step.
    fn next_delay(&mut self, jitter: u64) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        let full = self.min_delay.saturating_mul(doubled).min(self.max_delay);
        self.failures = self.failures.saturating_add(1);
        let share = u32::try_from(jitter % 257).unwrap_or(0);
        full.mul_f64(1.0 - f64::from(share) / 1024.0)
    }
}

/// Some number that differs from node to node and from call to call.
pub(super) fn jitter() -> u64 {
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    #[test]
    fn the_lower_side_dials_at_once_and_the_other_only_after_its_patience() {
        let now = Instant::now();
        assert_eq!(Redial::new(&limits(), true, now).due(), Some(now));
        let later = now + limits().patience;
        assert_eq!(Redial::new(&limits(), false, now).due(), Some(later));
    }

    #[test]
    fn pauses_double_from_the_shortest_to_the_longest() {
        let now = Instant::now();
        let mut redial = Redial::new(&limits(), true, now);
        let pauses: Vec<u128> = (0..8)
            .map(|_| {
                redial.begin();
                assert_eq!(redial.due(), None, "one attempt at a time");
                redial.failed(now, 0);
                (redial.due().unwrap() - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn chance_takes_at_most_a_quarter_of_a_pause() {
        let now = Instant::now();
        for jitter in 0..1000 {
            let mut redial = Redial::new(&limits(), true, now);
            redial.failed(now, jitter);
            let pause = redial.due().unwrap() - now;
            assert!(pause >= limits().min_redial_delay.mul_f64(0.75), "{jitter}");
            assert!(pause <= limits().min_redial_delay, "{jitter}");
        }
    }

    #[test]
    fn a_connection_that_is_closed_at_once_counts_as_a_failure() {
        let start = Instant::now();
        let mut redial = Redial::new(&limits(), true, start);
        for _ in 0..10 {
            redial.connected(start);
            assert_eq!(redial.due(), None);
            redial.disconnected(start, 0);
        }
        assert_eq!(redial.due(), Some(start + limits().max_redial_delay));
        redial.connected(start);
        let end = start + PROVEN_AFTER;
        redial.disconnected(end, 0);
        assert_eq!(redial.due(), Some(end + limits().min_redial_delay));
    }

    #[test]
    fn a_failed_attempt_beside_a_connection_brings_no_other() {
        let now = Instant::now();
        let mut redial = Redial::new(&limits(), false, now);
        redial.connected(now);
        redial.failed(now, 0);
        assert_eq!(redial.due(), None);
    }
}
