//! How soon one batch follows another.
//!
//! A batch costs every replica votes, their verification, syncs and wake-ups,
//! however small it is: where there is much to do, few large batches leave more
//! of the processor to the transactions themselves. Where there is little, nobody
//! is to wait for company.

use std::time::{Duration, Instant};

/// What a batch is given to fill for every transaction of the one before: only
/// load beyond 250 transactions a second is given any time to come together.
const PER_TRANSACTION: Duration = Duration::from_millis(4);

/// How long a batch is given to fill at the longest, unless the timeout of requests
/// is less than eight times that.
const LONGEST: Duration = Duration::from_millis(250);

/// The last batch that this primary proposed.
#[derive(Clone, Copy, Debug)]
struct Proposed {
    at: Instant,
    transactions: usize,
    /// How long it took until it was executed.
    took: Option<Duration>,
}

/// How much time batches are given to fill.
#[derive(Debug)]
pub(super) struct Pacing {
    longest: Duration,
    last: Option<Proposed>,
}

impl Pacing {
    /// Nobody is to be suspected for what waits here.
    pub(super) fn new(request_timeout: Duration) -> Self {
        Self {
            longest: LONGEST.min(request_timeout / 8),
            last: None,
        }
    }

    /// A batch of so many transactions is proposed.
    pub(super) fn proposed(&mut self, transactions: usize, now: Instant) {
        self.last = Some(Proposed {
            at: now,
            transactions,
            took: None,
        });
    }

    /// All batches are executed.
    pub(super) fn executed(&mut self, now: Instant) {
        if let Some(last) = &mut self.last {
            let took = now.saturating_duration_since(last.at);
            last.took.get_or_insert(took);
        }
    }

    /// Until when the next batch fills, unless it is full before: for twice as long
    /// as the last one took until it was executed, but no longer than its load was
    /// worth.
    pub(super) fn fills_until(&self, now: Instant) -> Option<Instant> {
        let last = self.last?;
        let count = u32::try_from(last.transactions).unwrap_or(u32::MAX);
        let worth = PER_TRANSACTION.saturating_mul(count).min(self.longest);
        let pause = last.took.map_or(worth, |took| worth.min(2 * took));
        Some(last.at + pause).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is to be waited for after a batch of so many transactions that is
    /// executed after so many milliseconds, if it is.
    fn pause(transactions: usize, took: Option<u64>) -> u64 {
        let begun = Instant::now();
        let mut pacing = Pacing::new(Duration::from_secs(2));
        assert_eq!(
            pacing.fills_until(begun),
            None,
            "the first waits for nobody"
        );
        pacing.proposed(transactions, begun);
        if let Some(took) = took {
            let then = begun + Duration::from_millis(took);
            pacing.executed(then);
            // Again, while nothing is proposed: that is not its time.
            pacing.executed(then + Duration::from_secs(1));
        }
        let until = pacing.fills_until(begun).unwrap_or(begun);
        assert_eq!(pacing.fills_until(until), None, "no longer than that");
        u64::try_from((until - begun).as_millis()).unwrap()
    }

    #[test]
    fn a_batch_fills_for_twice_as_long_as_the_last_one_took_where_there_is_load() {
        assert_eq!(pause(200, Some(40)), 80);
        assert_eq!(pause(20, Some(60)), 80, "little load");
        assert_eq!(pause(1, Some(4)), 4, "an idle network");
        assert_eq!(pause(1000, Some(400)), 250, "nobody waits for longer");
        assert_eq!(pause(20, None), 80, "it is not executed yet");
        assert_eq!(pause(1000, None), 250);
    }
}
