//! How much work of this node each peer may cause, so that one of them cannot
//! use it up.
//!
//! Whoever has used up its allowance is not listened to for a while. Nothing of
//! it is thrown away: it waits in its own queue, then in its own connection, and
//! at last with the peer itself. Allowances are far beyond what a correct replica
//! causes, however much it has to say or to catch up with.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::network::PeerId;

/// What was not used lately is kept for so long: bursts are no flood.
const SAVED: Duration = Duration::from_secs(1);

/// How long a peer is not listened to at the longest, whatever it has done.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// The allowance of one peer, as the time until which it is used up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    used_up_until: Option<Instant>,
}

impl Allowance {
    /// Takes so many of `per_second` units. Returns until when nothing is left.
    pub(crate) fn charge(&mut self, units: u64, per_second: u64, now: Instant) -> Option<Instant> {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let saved = now.checked_sub(SAVED).unwrap_or(now);
        let begin = self.used_up_until.map_or(saved, |until| until.max(saved));
        let longest = now + LONGEST_REST;
        let until = begin
            .checked_add(cost)
            .map_or(longest, |it| it.min(longest));
        self.used_up_until = Some(until);
        self.rests_until(now)
    }

    /// Until when nothing is left, if nothing is.
    pub(crate) fn rests_until(self, now: Instant) -> Option<Instant> {
        self.used_up_until.filter(|until| *until > now)
    }
}

/// How often something was done in the current second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerSecond {
    since: Option<Instant>,
    taken: u32,
}

impl PerSecond {
    /// Counts once more. Whether that is within `most` in this second.
    pub(crate) fn admits(&mut self, most: u32, now: Instant) -> bool {
        let over = |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(over) {
            (self.since, self.taken) = (Some(now), 0);
        }
        self.taken = self.taken.saturating_add(1);
        self.taken <= most
    }
}

/// The allowances of all peers, of one kind of work.
#[derive(Debug)]
pub(crate) struct Allowances {
    per_second: u64,
    peers: HashMap<PeerId, Allowance>,
}

impl Allowances {
    /// Every peer has so many units of work in a second.
    pub(crate) fn new(per_second: u64) -> Self {
        Self {
            per_second,
            peers: HashMap::new(),
        }
    }

    /// Takes so many units of a peer's. Returns until when nothing is left.
    pub(crate) fn charge(&mut self, peer: PeerId, units: u64, now: Instant) -> Option<Instant> {
        let allowance = self.peers.entry(peer).or_default();
        allowance.charge(units, self.per_second, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back_and_is_saved_for_a_second() {
        let mut allowances = Allowances::new(100);
        let (peer, begin) = (PeerId(1), Instant::now());
        let ms = |ms| begin + Duration::from_millis(ms);
        assert_eq!(allowances.charge(peer, 100, begin), None, "saved");
        assert_eq!(allowances.charge(peer, 50, begin), Some(ms(500)));
        assert_eq!(allowances.charge(PeerId(2), 50, begin), None, "another's");
        assert_eq!(allowances.charge(peer, 10, ms(600)), None);
        let later = begin + Duration::from_hours(1);
        assert_eq!(allowances.charge(peer, 100, later), None);
        assert!(
            allowances.charge(peer, 1, later).is_some(),
            "no more is saved"
        );
    }

    #[test]
    fn nobody_rests_for_ever() {
        let mut allowance = Allowance::default();
        let now = Instant::now();
        let until = allowance.charge(u64::MAX, 1, now);
        assert_eq!(until, Some(now + LONGEST_REST));
        assert_eq!(allowance.rests_until(now + LONGEST_REST), None);
    }
}
