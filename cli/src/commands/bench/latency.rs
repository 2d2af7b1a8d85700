//! How long things take: every one is kept, none is averaged away.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Durations, each to the microsecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<u32>);

/// What is told of many durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p95, p99, max } = self;
        write!(
            f,
            "p50 {p50:.1}  p95 {p95:.1}  p99 {p99:.1}  max {max:.1} ms"
        )
    }
}

impl Latencies {
    pub(super) fn add(&mut self, duration: Duration) {
        self.0
            .push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(super) fn percentiles(mut self) -> Percentiles {
        self.0.sort_unstable();
        Percentiles {
            p50: self.at(50),
            p95: self.at(95),
            p99: self.at(99),
            max: self.at(100),
        }
    }

    /// The smallest duration that so many of a hundred do not exceed.
    fn at(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        let micros = self.0.get(rank - 1).copied().unwrap_or(0);
        f64::from(micros) / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.clone().percentiles(), Percentiles::default());
        for ms in (1..=200).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        let expected = Percentiles {
            p50: 100.0,
            p95: 190.0,
            p99: 198.0,
            max: 200.0,
        };
        assert_eq!(latencies.percentiles(), expected);
    }
}
