//! What must hold, one property a file. Each watches what the nodes do from
//! outside, with its own bookkeeping: nothing here asks a replica's opinion.

mod agreement;
mod bounded;
mod certificates;
mod durability;
mod exactly_once;
mod held_in_full;
mod leaves_for_good;
mod liveness;
mod no_equivocation;
mod no_framing;
mod own_divergence;
mod persist_before_send;
mod quorum_backed;
mod silence_after_amnesia;
mod timely;
mod total_order;

use std::collections::BTreeSet;
use std::time::Duration;

use super::disk::Contents;
use super::ledger::{Block, Receipt};
use super::report::Violation;
use crate::message::{Message, PrePrepare};
use crate::{
    CheckpointCertificate, Config, Effect, Evidence, Input, Record, ReplicaId, RequestDigest,
    SequenceNumber, View,
};

/// Something that the properties are held against.
pub(crate) enum Observation<'a> {
    /// A process starts with this much executed.
    Starts {
        node: ReplicaId,
        tip: SequenceNumber,
    },
    /// A node finds an empty disk in place of its own.
    LosesDisk { node: ReplicaId },
    /// Something reaches a replica.
    Takes { node: ReplicaId, input: &'a Input },
    /// A replica answers with effects.
    Answers {
        node: ReplicaId,
        effects: &'a [Effect],
    },
    /// A record is written, not yet synced; so many of its requests are lacking.
    Writes {
        node: ReplicaId,
        record: &'a Record,
        missing: usize,
    },
    /// All effects are carried out, and so many records are kept.
    Settles { node: ReplicaId, records: usize },
    /// A message leaves a node, which then has this on its disk.
    Sends {
        node: ReplicaId,
        message: &'a Message,
        durable: &'a Contents,
    },
    /// A block is made durable.
    Stores {
        node: ReplicaId,
        block: &'a Block,
        /// The true time.
        now_ms: u64,
    },
    /// A certificate is kept.
    Certifies {
        node: ReplicaId,
        certificate: &'a CheckpointCertificate,
    },
    /// A client is shown a receipt.
    Shows {
        node: ReplicaId,
        receipt: &'a Receipt,
    },
    /// So long after healing this is still to be done.
    Waits {
        healed_for: Duration,
        unfinished: &'a str,
    },
    /// With nothing left to be done, so many packets were sent in that time.
    Idles { time: Duration, packets: u64 },
    /// A replica is shown to have contradicted itself.
    Accuses {
        node: ReplicaId,
        evidence: &'a Evidence,
    },
    /// The simulation ends with this on the disks, whatever happens to the processes.
    Ends {
        nodes: &'a [(ReplicaId, &'a Contents)],
    },
}

impl Observation<'_> {
    /// Whose doing it is, if it is a single node's.
    pub(crate) fn node(&self) -> Option<ReplicaId> {
        match self {
            Self::Starts { node, .. }
            | Self::LosesDisk { node }
            | Self::Takes { node, .. }
            | Self::Answers { node, .. }
            | Self::Writes { node, .. }
            | Self::Settles { node, .. }
            | Self::Sends { node, .. }
            | Self::Stores { node, .. }
            | Self::Certifies { node, .. }
            | Self::Shows { node, .. }
            | Self::Accuses { node, .. } => Some(*node),
            Self::Waits { .. } | Self::Idles { .. } | Self::Ends { .. } => None,
        }
    }
}

/// A property.
trait Invariant {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether it is asked also of a replica whose state was altered.
    fn is_for_diverged(&self) -> bool {
        false
    }

    /// Holds it against what happens; says how it is broken.
    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String>;
}

/// Every property.
pub(crate) struct Invariants(Vec<Box<dyn Invariant>>);

impl Invariants {
    /// The properties of a network with these parameters, faulty replicas and
    /// clients' requests, and clocks that let a batch be so far ahead of the true time.
    pub(crate) fn new(
        config: &Config,
        byzantine: &BTreeSet<ReplicaId>,
        requests: BTreeSet<RequestDigest>,
        timely_within: Duration,
    ) -> Self {
        Self(vec![
            Box::new(persist_before_send::PersistBeforeSend),
            Box::new(no_equivocation::NoEquivocation::default()),
            Box::new(leaves_for_good::LeavesForGood::default()),
            Box::new(no_framing::NoFraming::new(config, byzantine)),
            Box::new(silence_after_amnesia::SilenceAfterAmnesia::default()),
            Box::new(quorum_backed::QuorumBacked::new(config.replicas.clone())),
            Box::new(total_order::TotalOrder::default()),
            Box::new(agreement::Agreement::default()),
            Box::new(own_divergence::OwnDivergence::default()),
            Box::new(liveness::Liveness::new(config, requests.len())),
            Box::new(durability::Durability::new(config, byzantine)),
            Box::new(exactly_once::ExactlyOnce::new(requests)),
            Box::new(held_in_full::HeldInFull),
            Box::new(certificates::Certificates::new(config)),
            Box::new(timely::Timely::new(config, timely_within)),
            Box::new(bounded::Bounded::new(config, byzantine)),
        ])
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|of| of.name()).collect()
    }

    pub(crate) fn observe(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        self.hold(seen, false)
    }

    /// What a replica does whose state was altered.
    pub(crate) fn observe_diverged(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        self.hold(seen, true)
    }

    fn hold(&mut self, seen: &Observation<'_>, diverged: bool) -> Result<(), Violation> {
        let invariants = self.0.iter_mut();
        for invariant in invariants.filter(|of| !diverged || of.is_for_diverged()) {
            invariant.observe(seen).map_err(|message| Violation {
                invariant: invariant.name(),
                message,
            })?;
        }
        Ok(())
    }
}

/// The kinds of votes by which batches are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    PrePrepare,
    Prepare,
    Commit,
}

/// A vote of the normal case: who says what about which place.
#[derive(Clone, Copy, Debug)]
struct Vote {
    signer: ReplicaId,
    kind: Kind,
    /// View, sequence number and digest, whatever the kind.
    place: PrePrepare,
}

/// The vote of the normal case in a message, if it is one.
fn vote_of(message: &Message) -> Option<Vote> {
    let (signer, kind, view, sequence, digest) = match message {
        Message::PrePrepare(proposed) => {
            let signed = &proposed.pre_prepare;
            let body = signed.body;
            let (view, sequence) = (body.view, body.sequence);
            (signed.signer, Kind::PrePrepare, view, sequence, body.digest)
        }
        Message::Prepare(signed) => {
            let body = signed.body;
            let (view, sequence) = (body.view, body.sequence);
            (signed.signer, Kind::Prepare, view, sequence, body.digest)
        }
        Message::Commit(signed) => {
            let body = signed.body;
            let (view, sequence) = (body.view, body.sequence);
            (signed.signer, Kind::Commit, view, sequence, body.digest)
        }
        _ => return None,
    };
    let place = PrePrepare {
        view,
        sequence,
        digest,
    };
    Some(Vote {
        signer,
        kind,
        place,
    })
}

/// A place as a key.
fn key_of(place: &PrePrepare) -> (View, SequenceNumber, crate::BatchDigest) {
    (place.view, place.sequence, place.digest)
}
