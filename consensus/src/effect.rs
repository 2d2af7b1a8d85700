//! Everything a replica asks of the world.

use std::time::Duration;

use crate::message::Message;
use crate::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Record, Rejection, ReplicaId,
    SequenceNumber, View,
};

/// Something a replica asks of the world. The order of effects is a contract:
/// nothing is sent before the [`Effect::Persist`]s that stand before it are on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable before any later effect.
    Persist(Record),
    /// Send to every other replica.
    Broadcast(Message),
    /// Send to one replica.
    Send {
        /// Whom.
        to: ReplicaId,
        /// What.
        message: Message,
    },
    /// Say by [`Input::BatchChecked`](crate::Input::BatchChecked) whether this
    /// batch may be voted for: every request held in full and well-signed (fetch
    /// what is missing; say nothing until it is there), the time not too far ahead.
    CheckBatch {
        /// The view it is proposed in.
        view: View,
        /// Its sequence number.
        sequence: SequenceNumber,
        /// Its digest.
        digest: BatchDigest,
        /// The batch.
        batch: Batch,
    },
    /// Execute this batch, make the outcome durable and answer with
    /// [`Input::Executed`](crate::Input::Executed). Asked in order, without a
    /// gap, each once.
    Execute {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// The batch.
        batch: Batch,
    },
    /// A quorum attests this outcome of what was executed here: keep it.
    Certified(CheckpointCertificate),
    /// Records of sequence numbers up to here are no longer needed.
    Truncate {
        /// The new low watermark.
        through: SequenceNumber,
    },
    /// Fetch, verify and execute what the others have executed, at least to
    /// here if it can be had, and answer with
    /// [`Input::CaughtUp`](crate::Input::CaughtUp). Until then nothing else is
    /// asked to be executed.
    CatchUp {
        /// A sequence number that a quorum attests.
        through: SequenceNumber,
    },
    /// Give [`Input::TimerFired`](crate::Input::TimerFired) after this long. A
    /// timer of equal name that still runs is replaced.
    SetTimer {
        /// Which.
        timer: Timer,
        /// How long from now.
        after: Duration,
    },
    /// A message was refused. Count it against the peer that sent it, unless
    /// the reason is that its *signer* contradicts itself: then whoever hands it
    /// on may be honest.
    Reject {
        /// The peer at the other end of the connection.
        from: ReplicaId,
        /// Why.
        reason: Rejection,
    },
    /// A quorum attests another outcome than this replica's own: its state is
    /// wrong. Nothing more comes from it; the node stops.
    Halt {
        /// Where.
        sequence: SequenceNumber,
        /// What this replica computed.
        own: CheckpointDigest,
        /// What the quorum attests.
        attested: CheckpointDigest,
    },
}

/// The name of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Runs always; when it fires the replica tells the others where it stands.
    Status,
}
