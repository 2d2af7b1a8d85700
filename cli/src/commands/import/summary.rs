//! What an import came to. These names are a promise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::send::Verdict;

#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) read: u64,
    pub(super) submitted: u64,
    pub(super) valid: u64,
    pub(super) invalid: BTreeMap<String, u64>,
    pub(super) already_committed: u64,
    pub(super) failed: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
}

impl Summary {
    /// Counts a line, and whether it was handed in now.
    pub(super) fn count(&mut self, submitted: bool, verdict: &Verdict) {
        self.read += 1;
        self.submitted += u64::from(submitted);
        match verdict {
            Verdict::Valid => self.valid += 1,
            Verdict::Invalid(code) => *self.invalid.entry(code.to_string()).or_default() += 1,
            Verdict::AlreadyCommitted => self.already_committed += 1,
            Verdict::Failed { .. } => self.failed += 1,
        }
    }

    pub(super) fn take_time(&mut self, elapsed: Duration) {
        self.seconds = elapsed.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "shown to people")]
        let valid = self.valid as f64;
        if self.seconds > 0.0 {
            self.per_second = valid / self.seconds;
        }
    }

    pub(super) fn text(&self) -> String {
        let invalid: u64 = self.invalid.values().sum();
        let mut text = format!(
            "{} lines: {} valid, {} committed before, {} invalid, {} failed; {:.1} s, {:.0} per second",
            self.read,
            self.valid,
            self.already_committed,
            invalid,
            self.failed,
            self.seconds,
            self.per_second
        );
        for (code, count) in &self.invalid {
            text = format!("{text}\n  {count} {code}");
        }
        text
    }
}
