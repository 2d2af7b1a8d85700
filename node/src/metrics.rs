//! What the node counts about itself, in the form that Prometheus reads.
//!
//! Labels take their values from fixed sets only: nothing that a peer or a
//! client chooses can make the registry grow.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ledger::{TransactionResult, ValidationCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::network::{Class, Counters};

/// A validation code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

/// A replica and why what it sent was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectionLabel {
    peer: u32,
    reason: String,
}

/// A replica and the kind of message by which it contradicted itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ContradictionLabel {
    replica: u32,
    message: String,
}

/// Frames of one class, and what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FrameLabel {
    class: String,
    fate: String,
}

/// A replica and a class of its frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RestLabel {
    peer: u32,
    class: String,
}

/// What became of something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FateLabel {
    fate: &'static str,
}

/// Why something was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

/// A phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

/// A part of the way from a proposal to a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Proposals that came together, from their coming to their answers.
    Endorse,
    /// From the coming of a batch's oldest transaction to the batch, at the primary.
    Pool,
    /// From this replica's vote for a batch to the quorum's.
    Order,
    /// From there to the block on disk.
    Execute,
    /// From there to the quorum's certificate.
    Attest,
}

/// The node's counters.
pub struct Metrics {
    registry: Mutex<Registry>,
    blocks: Counter,
    transactions: Family<CodeLabel, Counter>,
    rejections: Family<RejectionLabel, Counter>,
    contradictions: Family<ContradictionLabel, Counter>,
    rests: Family<RestLabel, Counter>,
    refusals: Family<ReasonLabel, Counter>,
    height: Gauge<u64, AtomicU64>,
    certified: Gauge<u64, AtomicU64>,
    view: Gauge<u64, AtomicU64>,
    pool: Gauge<u64, AtomicU64>,
    syncs: Gauge<u64, AtomicU64>,
    frames: Family<FrameLabel, Gauge<u64, AtomicU64>>,
    frame_bytes: Family<FrameLabel, Gauge<u64, AtomicU64>>,
    links_refused: Family<ReasonLabel, Gauge<u64, AtomicU64>>,
    requests: Family<FateLabel, Gauge<u64, AtomicU64>>,
    phases: Family<PhaseLabel, Histogram>,
}

/// What is measured only when somebody looks.
pub(crate) struct Measured<'a> {
    pub(crate) height: u64,
    pub(crate) certified: u64,
    pub(crate) view: u64,
    pub(crate) pool: usize,
    pub(crate) syncs: u64,
    pub(crate) network: &'a Counters,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("logothete");
        let metrics = Self {
            blocks: Counter::default(),
            transactions: Family::default(),
            rejections: Family::default(),
            contradictions: Family::default(),
            rests: Family::default(),
            refusals: Family::default(),
            height: Gauge::default(),
            certified: Gauge::default(),
            view: Gauge::default(),
            pool: Gauge::default(),
            syncs: Gauge::default(),
            frames: Family::default(),
            frame_bytes: Family::default(),
            links_refused: Family::default(),
            requests: Family::default(),
            phases: Family::new_with_constructor(|| {
                // From a quarter of a millisecond to eight seconds.
                Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
            }),
            registry: Mutex::new(Registry::default()),
        };
        metrics.register_counters(&mut registry);
        metrics.register_measured(&mut registry);
        metrics.register_phases(&mut registry);
        Self {
            registry: Mutex::new(registry),
            ..metrics
        }
    }
}

impl Metrics {
    fn register_counters(&self, registry: &mut Registry) {
        registry.register("blocks", "Blocks committed", self.blocks.clone());
        registry.register(
            "transactions",
            "Transactions committed, by what became of them",
            self.transactions.clone(),
        );
        registry.register(
            "rejections",
            "Messages of replicas that were refused",
            self.rejections.clone(),
        );
        registry.register(
            "contradictions",
            "Proofs that a replica contradicted itself",
            self.contradictions.clone(),
        );
        registry.register(
            "rests",
            "Pauses in listening to a replica that had used up its share of work",
            self.rests.clone(),
        );
        registry.register(
            "refusals",
            "What clients sent and was not taken",
            self.refusals.clone(),
        );
    }

    fn register_phases(&self, registry: &mut Registry) {
        registry.register(
            "phase_seconds",
            "How long batches took in each phase, and proposals to be endorsed",
            self.phases.clone(),
        );
    }

    /// What is set only when somebody looks.
    fn register_measured(&self, registry: &mut Registry) {
        registry.register("height", "The newest block", self.height.clone());
        registry.register(
            "certified",
            "The highest block with a certificate",
            self.certified.clone(),
        );
        registry.register("view", "The view", self.view.clone());
        registry.register(
            "pool",
            "Transactions that wait for their block",
            self.pool.clone(),
        );
        registry.register(
            "syncs",
            "Writes that were waited for until they were on disk, since the start",
            self.syncs.clone(),
        );
        registry.register(
            "frame_bytes",
            "Bytes of frames between replicas since the start, before encryption",
            self.frame_bytes.clone(),
        );
        registry.register(
            "frames",
            "Frames between replicas since the start, by what became of them",
            self.frames.clone(),
        );
        registry.register(
            "links_refused",
            "Connections and streams that were refused or closed since the start",
            self.links_refused.clone(),
        );
        registry.register(
            "requests",
            "Requests of replicas for blocks and transactions since the start, by what became of them",
            self.requests.clone(),
        );
    }

    /// A block was committed.
    pub(crate) fn committed(&self, results: &[TransactionResult]) {
        self.blocks.inc();
        for codes in results.chunk_by(|a, b| a.code == b.code) {
            let code: ValidationCode = codes[0].code;
            let label = CodeLabel {
                code: code.to_string(),
            };
            let alike = self.transactions.get_or_create(&label);
            alike.inc_by(codes.len() as u64);
        }
    }

    /// Something has passed this phase.
    pub(crate) fn took(&self, phase: Phase, time: Duration) {
        let phase = match phase {
            Phase::Endorse => "endorse",
            Phase::Pool => "pool",
            Phase::Order => "order",
            Phase::Execute => "execute",
            Phase::Attest => "attest",
        };
        let histogram = self.phases.get_or_create(&PhaseLabel { phase });
        histogram.observe(time.as_secs_f64());
    }

    /// A replica's message was refused.
    pub(crate) fn rejected(&self, peer: u32, reason: &consensus::Rejection) {
        tracing::debug!(peer, %reason, "refused a message");
        self.count_rejection(peer, reason.name());
    }

    /// A replica was shown to have contradicted itself.
    pub(crate) fn contradicted(&self, evidence: &consensus::Evidence) {
        let label = ContradictionLabel {
            replica: evidence.signer().0,
            message: evidence.message().to_owned(),
        };
        self.contradictions.get_or_create(&label).inc();
    }

    /// A replica sent more view changes than are looked at.
    pub(crate) fn too_many(&self, peer: u32) {
        self.count_rejection(peer, "too_many");
    }

    /// Nothing is taken of a replica for a while.
    pub(crate) fn rests(&self, peer: u32, class: Class) {
        let class = class.to_string();
        self.rests.get_or_create(&RestLabel { peer, class }).inc();
    }

    /// A replica sent a transaction that no correct one sends on.
    pub(crate) fn bad_transaction(&self, peer: u32) {
        self.count_rejection(peer, "bad_transaction");
    }

    /// A replica sent bytes that are no message.
    pub(crate) fn undecodable(&self, peer: u32) {
        self.count_rejection(peer, "undecodable");
    }

    fn count_rejection(&self, peer: u32, reason: &'static str) {
        let reason = reason.to_owned();
        let label = RejectionLabel { peer, reason };
        self.rejections.get_or_create(&label).inc();
    }

    /// A client's call was not taken, for the reason with this code, one of this node's.
    pub(crate) fn refused(&self, code: &str) {
        let reason = code.to_owned();
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Everything counted, in the text form of Prometheus.
    pub(crate) fn encode(&self, measured: &Measured<'_>) -> String {
        self.height.set(measured.height);
        self.certified.set(measured.certified);
        self.view.set(measured.view);
        self.pool.set(measured.pool as u64);
        self.syncs.set(measured.syncs);
        self.measure(measured.network);
        self.encoded()
    }

    /// Takes over what the network counts.
    fn measure(&self, network: &Counters) {
        for class in Class::ALL {
            let frames = network.frames(class);
            let label = |fate: &str| FrameLabel {
                class: format!("{class:?}").to_lowercase(),
                fate: fate.to_owned(),
            };
            let set = |of: &Family<_, Gauge<u64, AtomicU64>>, fate, count| {
                of.get_or_create(&label(fate)).set(count);
            };
            set(&self.frames, "sent", frames.sent);
            set(&self.frames, "received", frames.received);
            set(&self.frames, "dropped", frames.dropped);
            set(&self.frame_bytes, "sent", frames.sent_bytes);
            set(&self.frame_bytes, "received", frames.received_bytes);
        }
        let links = [
            ("stranger", network.strangers_refused()),
            ("too_many", network.connections_over_limit()),
            ("handshake", network.handshakes_failed()),
            ("other_network_or_version", network.hellos_refused()),
            ("framing", network.broken_streams()),
        ];
        for (reason, count) in links {
            let reason = reason.to_owned();
            let label = ReasonLabel { reason };
            self.links_refused.get_or_create(&label).set(count);
        }
        let requests = [
            ("served", network.requests_served()),
            ("refused", network.requests_refused()),
        ];
        for (fate, count) in requests {
            self.requests.get_or_create(&FateLabel { fate }).set(count);
        }
    }

    /// The same, of what needs no measuring.
    pub(crate) fn encoded(&self) -> String {
        let mut text = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .expect("writing into a string does not fail");
        text
    }
}
