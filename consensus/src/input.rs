//! Everything that can happen to a replica.

use crypto::codec::{Decode, Encode};

use crate::verify::Verified;
use crate::{
    BatchDigest, CheckpointCertificate, CheckpointDigest, Record, ReplicaId, RequestDigest,
    SequenceNumber, Timer, View,
};

/// Something that happens to a replica.
#[derive(Clone, Debug, Encode, Decode)]
#[bincode(decode_context = "crate::Verifier")]
pub enum Input {
    /// A message came from the peer `from`, and verification let it pass.
    Message {
        /// The peer at the other end of the connection. For votes it is not
        /// who matters: that is the signer.
        from: ReplicaId,
        /// The message.
        message: Verified,
    },
    /// At the primary, with [`room`](crate::Replica::room): order these requests next.
    Propose {
        /// The primary's clock. The batch is given a later time if the batch
        /// before it has this one or a later one.
        timestamp_ms: u64,
        /// The requests, which this node holds in full and durably from the
        /// moment the `Persist` for them is done.
        requests: Vec<RequestDigest>,
    },
    /// The answer to [`Effect::CheckBatch`](crate::Effect::CheckBatch).
    BatchChecked {
        /// As asked.
        view: View,
        /// As asked.
        sequence: SequenceNumber,
        /// As asked.
        digest: BatchDigest,
        /// Sound, or why not.
        verdict: Result<(), String>,
    },
    /// The answer to [`Effect::Execute`](crate::Effect::Execute): it is durable.
    Executed {
        /// Which one.
        sequence: SequenceNumber,
        /// The outcome.
        digest: CheckpointDigest,
    },
    /// The answer to [`Effect::CatchUp`](crate::Effect::CatchUp), whether or
    /// not it led all the way: everything up to here is executed and durable.
    /// What was asked by `Execute` before and lies up to here is done with it;
    /// what lies beyond is still to be answered by `Executed`.
    CaughtUp(Position),
    /// A connection to this peer stands anew.
    Connected(ReplicaId),
    /// The connection to this peer is gone.
    Disconnected(ReplicaId),
    /// Whether a request that this node holds and that is in no block, or the
    /// attestation of the [first block without
    /// one](crate::Replica::first_unattested), has been waited for longer than
    /// [`request_timeout`](crate::Replica::request_timeout), since it came or since [`Effect::ViewEntered`](crate::Effect::ViewEntered),
    /// whichever is later. Given when it changes.
    Overdue(bool),
    /// A timer set by [`Effect::SetTimer`](crate::Effect::SetTimer) has run down.
    TimerFired(Timer),
}

/// How far a replica has executed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Position {
    /// The last sequence number executed; 0 when none was.
    pub last_executed: SequenceNumber,
    /// The time of that batch; 0 when none was.
    pub timestamp_ms: u64,
    /// The newest certificate there is for anything up to `last_executed`.
    pub stable: Option<CheckpointCertificate>,
    /// The outcomes of everything executed above `stable`, in ascending order
    /// without a gap, up to `last_executed`.
    pub outcomes: Vec<(SequenceNumber, CheckpointDigest)>,
}

/// What a replica starts from.
#[derive(Clone, Debug, Encode, Decode)]
pub enum Start {
    /// A new replica of a new network, or one that finds everything it ever
    /// made durable.
    Recovered {
        /// How far it has executed.
        position: Position,
        /// Its records above the low watermark, in any order.
        records: Vec<Record>,
    },
    /// A replica that has lost its disk, and with it what it had voted. It
    /// listens, executes and catches up, and votes again once a checkpoint is
    /// stable that lies beyond anything it may have voted for. Its next start
    /// is `Recovered`: that it listens is among its records from the first
    /// effect on. With `n = 1` there is nobody to learn from: it listens for ever.
    Amnesiac,
}
