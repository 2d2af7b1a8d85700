//! How long batches take, phase by phase, for the metrics. Nothing is decided by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use consensus::SequenceNumber;

use crate::metrics::{Metrics, Phase};

/// Which phase each batch under way is in, and since when. They are as many as the
/// replica's window has room for.
pub(super) struct Phases {
    under_way: BTreeMap<SequenceNumber, (Phase, Instant)>,
    metrics: Arc<Metrics>,
}

impl Phases {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            under_way: BTreeMap::new(),
            metrics,
        }
    }

    /// A batch was made of what waits since then.
    pub(super) fn taken(&self, oldest: Instant) {
        self.metrics.took(Phase::Pool, oldest.elapsed());
    }

    /// This replica votes for a batch; in a new view, perhaps again.
    pub(super) fn ordering(&mut self, sequence: SequenceNumber) {
        let begun = (Phase::Order, Instant::now());
        self.under_way.entry(sequence).or_insert(begun);
    }

    /// It is committed.
    pub(super) fn executing(&mut self, sequence: SequenceNumber) {
        self.next(sequence, Phase::Order, Phase::Execute);
    }

    /// It is a block.
    pub(super) fn executed(&mut self, sequence: SequenceNumber) {
        self.next(sequence, Phase::Execute, Phase::Attest);
    }

    fn next(&mut self, sequence: SequenceNumber, from: Phase, to: Phase) {
        if let Some((phase, since)) = self.under_way.get_mut(&sequence)
            && *phase == from
        {
            self.metrics.took(from, since.elapsed());
            (*phase, *since) = (to, Instant::now());
        }
    }

    /// A quorum attests this block, and with it all before it.
    pub(super) fn attested(&mut self, through: SequenceNumber) {
        let rest = self.under_way.split_off(&through.next());
        for (phase, since) in std::mem::replace(&mut self.under_way, rest).into_values() {
            if phase == Phase::Attest {
                self.metrics.took(phase, since.elapsed());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(metrics: &Metrics, phase: &str) -> u64 {
        let text = metrics.encoded();
        let name = format!("logothete_phase_seconds_count{{phase=\"{phase}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    #[test]
    fn a_batch_passes_its_phases_once_and_in_their_order() {
        let metrics = Arc::new(Metrics::default());
        let mut phases = Phases::new(metrics.clone());
        let [first, second, fetched] = [1, 2, 3].map(SequenceNumber);
        for _ in 0..2 {
            phases.ordering(first);
            phases.executing(first);
            phases.executed(first);
        }
        phases.ordering(second);
        // What was fetched as a block was not ordered here.
        phases.executed(fetched);
        assert_eq!(counted(&metrics, "order"), 1);
        assert_eq!(counted(&metrics, "execute"), 1);
        assert_eq!(counted(&metrics, "attest"), 0);
        phases.attested(second);
        assert_eq!(counted(&metrics, "attest"), 1, "only what was executed");
        assert!(phases.under_way.is_empty());
    }
}
