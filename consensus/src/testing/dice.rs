//! Chance, out of one seed.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The only source of chance in a simulation.
pub(crate) struct Dice(ChaCha8Rng);

/// What has chance of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Apart {
    /// Who is paused when.
    Pauses = 1,
    /// How fast whose timers run.
    Timers = 2,
    /// Who meets which twin.
    Twins = 3,
    /// Whose state is altered when.
    Alterations = 4,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Chance of its own: what is drawn from it shifts nothing else.
    pub(crate) fn apart(seed: u64, what: Apart) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(what as u64);
        Self(rng)
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // Drawn in any case: a fault switched off shifts nothing else.
        self.unit() < probability
    }

    /// A number in `[0, most)`.
    pub(crate) fn share(&mut self, most: f64) -> f64 {
        self.unit() * most
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// An index below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    pub(crate) fn time(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let micros = |time: &Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.between(micros(range.start())..=micros(range.end())))
    }

    /// A time between so many microseconds.
    pub(crate) fn micros(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_micros(self.between(range))
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}
