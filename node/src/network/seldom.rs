//! A log line that a peer can provoke is written seldom.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How far apart lines about the same thing are.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one line through per pause, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Whether a line may be written now: how many were not since the last.
    pub(super) fn permit(&self) -> Option<u64> {
        self.permit_at(Instant::now())
    }

    fn permit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let waited = |last: Instant| now.saturating_duration_since(last) >= PAUSE;
        if !state.last.is_none_or(waited) {
            state.unsaid = state.unsaid.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_let_through_per_pause_and_tells_how_many_were_not() {
        let seldom = Seldom::default();
        let start = Instant::now();
        assert_eq!(seldom.permit_at(start), Some(0));
        assert_eq!(seldom.permit_at(start), None);
        assert_eq!(seldom.permit_at(start + PAUSE / 2), None);
        assert_eq!(seldom.permit_at(start + PAUSE), Some(2));
        assert_eq!(seldom.permit_at(start + PAUSE), None);
    }
}
