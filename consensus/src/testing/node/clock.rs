//! The clock of a node, by which it gives batches their time and judges those
//! of others, and the rate of its timers.

use std::time::Duration;

use crate::testing::config::SimulationConfig;
use crate::testing::dice::Dice;
use crate::testing::world::World;
use crate::{Batch, ReplicaId};

/// A clock that is not quite right.
pub(crate) struct Clock {
    ahead_ms: i64,
    max_timestamp_ahead: Duration,
    /// How many thousandths of the time that it should a timer takes.
    timer_takes: u32,
}

impl Clock {
    pub(crate) fn drawn(
        config: &SimulationConfig,
        id: ReplicaId,
        dice: &mut Dice,
        timers: &mut Dice,
    ) -> Self {
        let faults = &config.faults;
        let skew = i64::try_from(faults.clock_skew.as_millis()).unwrap_or(i64::MAX / 2);
        let drawn = dice.between(0..=2 * skew.unsigned_abs());
        let ahead_ms = i64::try_from(drawn).unwrap_or(i64::MAX) - skew;
        let drift = u64::from(faults.timer_drift);
        let takes = timers.between(0..=2 * drift) + 1_000 - drift;
        Self {
            ahead_ms: faults.wrong_clocks.get(&id).copied().unwrap_or(ahead_ms),
            max_timestamp_ahead: config.max_timestamp_ahead,
            timer_takes: u32::try_from(takes).unwrap_or(1_000),
        }
    }

    /// What it shows.
    pub(super) fn now_ms(&self, world: &World) -> u64 {
        world.clock_ms().saturating_add_signed(self.ahead_ms)
    }

    /// How long it really takes until this time seems to be over.
    pub(super) fn real(&self, time: Duration) -> Duration {
        time.saturating_mul(self.timer_takes) / 1_000
    }

    /// A primary may not run ahead of this clock by more than agreed.
    pub(super) fn check(&self, batch: &Batch, world: &World) -> Result<(), String> {
        let ahead = u64::try_from(self.max_timestamp_ahead.as_millis()).unwrap_or(u64::MAX);
        let (time, now) = (batch.timestamp_ms, self.now_ms(world));
        if time <= now.saturating_add(ahead) || planted!(BelieveTimes) {
            return Ok(());
        }
        Err(format!(
            "its time {time} is more than {ahead} ms ahead of the clock, {now}"
        ))
    }
}
