//! Everything a replica asks of the world.

use std::time::Duration;

use crypto::codec::{Decode, Encode};

use crate::message::Message;
use crate::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Evidence, Record, Rejection,
    ReplicaId, SequenceNumber, View,
};

/// Something a replica asks of the world. The order of effects is a contract:
/// nothing is sent before the [`Effect::Persist`]s that stand before it are on disk.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
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
        /// Whether the primary proposes it afresh. One that a new view takes
        /// over was within everybody's time when it was proposed, which may be
        /// long ago: its time is not held against the clock again.
        fresh: bool,
    },
    /// Execute this batch, make the outcome durable and answer with
    /// [`Input::Executed`](crate::Input::Executed). Asked in order, without a
    /// gap, each once.
    Execute {
        /// Its sequence number.
        sequence: SequenceNumber,
        /// The time of its execution in milliseconds since the Unix epoch,
        /// later than that of the batch before: see [`Batch::timestamp_ms`].
        timestamp_ms: u64,
        /// The batch.
        batch: Batch,
    },
    /// A quorum attests this outcome of what was executed here: keep it.
    Certified(CheckpointCertificate),
    /// This checkpoint is the new low watermark: keep its certificate as
    /// [`Record::Stable`] and forget the records up to its sequence number, both
    /// in one write, and before any later record.
    Truncate(CheckpointCertificate),
    /// A view has begun: requests that are not in a batch of it wait again, and
    /// the time that they are given begins anew.
    ViewEntered(View),
    /// A replica has contradicted itself: keep the proof. It is emitted once per
    /// replica and kind of message.
    Contradiction(Evidence),
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
    /// A message was refused. Count it against the peer that sent it.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Timer {
    /// Runs always; when it fires the replica tells the others where it stands.
    Status,
    /// Runs while a quorum wants a view that has not begun (paper, 4.5.2).
    NewView,
    /// Runs in a view that has yet to prove itself; when it fires in a time of
    /// calm, timeouts that were doubled are halved.
    FallBack,
}
