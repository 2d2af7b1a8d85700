//! What is told at the end. The names of the JSON keys are a promise.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cost::{PHASES, Usage};
use super::latency::Percentiles;
use super::load::Done;

/// What a run did and cost.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    committed: u64,
    invalid: u64,
    /// For want of room; only with a rate, for otherwise clients wait for it.
    refused: u64,
    failed: u64,
    seconds: f64,
    per_second: f64,
    /// End to end, from when it was due to a quorum's word.
    latency_ms: Percentiles,
    endorse_ms: Percentiles,
    order_ms: Percentiles,
    /// Means, as the nodes measure them: of proposals that came together, of the
    /// oldest transaction of a batch, and of batches.
    phases_ms: BTreeMap<&'static str, f64>,
    endorsements_per_transaction: f64,
    /// Of all nodes together.
    cpu_us_per_transaction: f64,
    /// What their signatures alone take.
    floor_us_per_transaction: f64,
    ratio_to_floor: f64,
    /// Of all nodes together.
    disk_bytes_per_transaction: f64,
    wire_bytes_per_transaction: f64,
    /// Of all nodes together.
    syncs_per_second: f64,
    peak_rss_mib_per_node: f64,
    view_changes: u64,
    /// The first failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
impl Report {
    /// `floor` says what so many endorsements cost at least.
    pub(super) fn new(done: Done, spent: Usage, floor: impl FnOnce(f64) -> f64) -> Self {
        let ordered = done.ordered() as f64;
        let each = |total: u64| total as f64 / ordered.max(1.0);
        let endorsements = each(done.endorsements);
        let (cpu, floor) = (each(spent.cpu_micros), floor(endorsements));
        Self {
            committed: done.committed,
            invalid: done.invalid,
            refused: done.refused,
            failed: done.failed,
            seconds: done.seconds,
            per_second: ordered / done.seconds.max(1e-9),
            latency_ms: done.total.percentiles(),
            endorse_ms: done.endorse.percentiles(),
            order_ms: done.order.percentiles(),
            phases_ms: PHASES
                .into_iter()
                .zip(spent.phases)
                .map(|(phase, (seconds, times))| (phase, 1e3 * seconds / times.max(1.0)))
                .collect(),
            endorsements_per_transaction: endorsements,
            cpu_us_per_transaction: cpu,
            floor_us_per_transaction: floor,
            ratio_to_floor: cpu / floor,
            disk_bytes_per_transaction: each(spent.disk_bytes),
            wire_bytes_per_transaction: each(spent.wire_bytes),
            syncs_per_second: spent.syncs as f64 / done.seconds.max(1e-9),
            peak_rss_mib_per_node: spent.peak_rss as f64 / 1_048_576.0,
            view_changes: spent.view,
            failure: done.failure,
        }
    }

    fn phases(&self) -> String {
        let told = PHASES.map(|phase| format!("{phase} {:.1}", self.phases_ms[phase]));
        format!("  in nodes   {} ms in the mean", told.join("  "))
    }

    pub(super) fn text(&self) -> String {
        let Self {
            committed,
            invalid,
            refused,
            failed,
            seconds,
            per_second,
            ..
        } = self;
        let mut lines = vec![
            format!(
                "{committed} valid, {invalid} invalid, {refused} refused, {failed} failed in {seconds:.1} s"
            ),
            format!("throughput   {per_second:.0} per second"),
            format!("latency      {}", self.latency_ms),
            format!("  endorse    {}", self.endorse_ms),
            format!("  order      {}", self.order_ms),
            self.phases(),
            format!(
                "processor    {:.0} us per transaction, all nodes together",
                self.cpu_us_per_transaction
            ),
            format!(
                "  signatures {:.0} us at least: {:.2} times that",
                self.floor_us_per_transaction, self.ratio_to_floor
            ),
            format!(
                "disk         {:.0} bytes per transaction, all nodes together",
                self.disk_bytes_per_transaction
            ),
            format!(
                "             {:.0} writes a second waited for, all nodes together",
                self.syncs_per_second
            ),
            format!(
                "network      {:.0} bytes per transaction between nodes",
                self.wire_bytes_per_transaction
            ),
            format!(
                "memory       {:.0} MiB at most per node",
                self.peak_rss_mib_per_node
            ),
            format!("view changes {}", self.view_changes),
        ];
        lines.extend(self.failure.iter().map(|it| format!("first failure {it}")));
        lines.join("\n")
    }
}
