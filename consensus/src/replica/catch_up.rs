//! Catching up: what a quorum attests and this replica cannot get at by the
//! protocol any more, it has fetched and executed outside of it.
//!
//! Not here: fetching, verifying and executing. The world does that.

use super::Replica;
use crate::{Effect, Position, SequenceNumber};

/// What is known of how far behind this replica is.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct CatchUp {
    /// The highest sequence number that a quorum attests and that is not
    /// executed here.
    attested: Option<SequenceNumber>,
    /// How far the catching up that runs is to lead.
    running: Option<SequenceNumber>,
    /// The last sequence number executed when the last status tick found this
    /// replica behind.
    stuck_at: Option<SequenceNumber>,
}

impl CatchUp {
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The highest sequence number that a quorum attests, as far as it matters.
    pub(super) fn attested(&self) -> Option<SequenceNumber> {
        self.attested
    }

    /// Everything up to `executed` is executed here.
    pub(super) fn forget_through(&mut self, executed: SequenceNumber) {
        self.attested = self.attested.filter(|attested| *attested > executed);
    }
}

impl Replica {
    /// A quorum attests `sequence`. Beyond the high watermark nothing but
    /// catching up leads there; within it, the messages may just be slow. What
    /// is no news changes nothing, so that nobody can keep this replica busy by
    /// saying it again.
    pub(super) fn note_attested(&mut self, sequence: SequenceNumber) {
        if sequence <= self.last_executed || Some(sequence) <= self.catch_up.attested {
            return;
        }
        self.catch_up.attested = Some(sequence);
        if sequence > self.watermarks().high {
            self.begin_catch_up();
        }
    }

    /// At a status tick: a replica that was behind at the last one too, and has
    /// executed nothing since although it asked for what it lacks, catches up.
    pub(super) fn catch_up_if_stuck(&mut self) {
        let high = self.watermarks().high;
        let Some(attested) = self
            .catch_up
            .attested
            .filter(|attested| *attested > self.execution_asked)
        else {
            self.catch_up.stuck_at = None;
            return;
        };
        let stuck = self.catch_up.stuck_at.replace(self.last_executed) == Some(self.last_executed);
        if stuck || attested > high {
            self.begin_catch_up();
        }
    }

    fn begin_catch_up(&mut self) {
        if let (Some(through), None) = (self.catch_up.attested, self.catch_up.running) {
            self.catch_up.running = Some(through);
            self.emit(Effect::CatchUp { through });
        }
    }

    /// The world has caught up as far as it could. When that is not far enough,
    /// the next status tick tries again.
    pub(super) fn on_caught_up(&mut self, position: Position) {
        assert!(
            self.catch_up.running.take().is_some(),
            "catching up answers a question"
        );
        if position.last_executed > self.last_executed {
            self.adopt(position);
        }
        self.catch_up.stuck_at = Some(self.last_executed);
        if planted!(ForgetWhatIsUnderWay) {
            drop(self.log.begin_view());
        }
        self.examine(self.last_executed.next());
        self.execute_ready();
    }

    /// Takes over a position ahead of this replica's own.
    pub(super) fn adopt(&mut self, position: Position) {
        assert_contiguous(&position);
        self.last_executed = position.last_executed;
        self.last_timestamp_ms = position.timestamp_ms;
        if !planted!(ExecuteAgainAfterCatchUp) {
            self.execution_asked = self.execution_asked.max(position.last_executed);
        }
        self.executing = self.executing.split_off(&position.last_executed.next());
        self.hold_times_again();
        self.catch_up.forget_through(position.last_executed);
        if let Some(stable) = position.stable
            && stable.checkpoint.sequence > self.watermarks().low
        {
            self.move_low(stable);
        }
        for (sequence, digest) in position.outcomes {
            if sequence > self.watermarks().low {
                self.attest(sequence, digest);
            }
        }
        self.advance_low();
    }
}

/// Asserts that a position is what its documentation says.
fn assert_contiguous(position: &Position) {
    let stable = position.stable.as_ref();
    let mut expected = stable.map_or(SequenceNumber::GENESIS, |stable| stable.checkpoint.sequence);
    for (sequence, _) in &position.outcomes {
        expected = expected.next();
        assert_eq!(*sequence, expected, "outcomes are without a gap");
    }
    assert_eq!(
        expected, position.last_executed,
        "outcomes lead from the stable checkpoint to the last one executed"
    );
}
