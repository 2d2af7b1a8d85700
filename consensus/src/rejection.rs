//! Why a message was refused. A refusal is the sender's fault or bad luck,
//! never the receiver's: it is counted and the replica goes on.

use crypto::codec::Encode;

use crate::{BatchDigest, ReplicaId, SequenceNumber, View, Watermarks};

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Encode, thiserror::Error)]
pub enum Rejection {
    /// No replica of the set has this number.
    #[error("signer {0} is not in the replica set")]
    UnknownReplica(ReplicaId),
    /// A signature does not hold.
    #[error("the signature on the {message} of replica {signer} does not hold")]
    BadSignature {
        /// Which message.
        message: &'static str,
        /// Whose signature it was to be.
        signer: ReplicaId,
    },
    /// Signers repeat, are out of order, or are fewer than a quorum.
    #[error("a certificate needs {needed} distinct signers in ascending order, found {found}")]
    BadCertificate {
        /// How many a quorum has.
        needed: usize,
        /// How many signatures came.
        found: usize,
    },
    /// The batch is not the one that the PRE-PREPARE names.
    #[error("the batch hashes to {found}, the PRE-PREPARE names {named}")]
    WrongBatchDigest {
        /// What was signed.
        named: BatchDigest,
        /// What came.
        found: BatchDigest,
    },
    /// More requests than a batch may hold.
    #[error("a batch holds at most {limit} requests, found {found}")]
    BatchTooLarge {
        /// The agreed limit.
        limit: usize,
        /// What came.
        found: usize,
    },
    /// The same request twice in one batch.
    #[error("the batch names a request twice")]
    RepeatedRequest,
    /// A PRE-PREPARE by somebody else than the primary, or a PREPARE by the primary.
    #[error("replica {signer} may not send {message} in {view}: its primary is {primary}")]
    WrongRole {
        /// Which message.
        message: &'static str,
        /// Who sent it.
        signer: ReplicaId,
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// A vote in another view than the receiver's.
    #[error("the message is of {found}, this replica is in {current}")]
    OtherView {
        /// The receiver's view.
        current: View,
        /// The message's view.
        found: View,
    },
    /// A sequence number outside `(h, H]`.
    #[error("{sequence} is outside the watermarks ({}, {}]", watermarks.low, watermarks.high)]
    OutsideWatermarks {
        /// The message's sequence number.
        sequence: SequenceNumber,
        /// The receiver's window.
        watermarks: Watermarks,
    },
    /// The batch's time is not later than that of the batch before it.
    #[error("batch {sequence} is of {found} ms, not later than its predecessor's {previous} ms")]
    TimestampNotLater {
        /// The sequence number.
        sequence: SequenceNumber,
        /// The predecessor's time.
        previous: u64,
        /// The batch's time.
        found: u64,
    },
    /// The node found the batch unsound, for instance too far ahead of its clock.
    #[error("the batch of {sequence} was refused: {reason}")]
    UnsoundBatch {
        /// The sequence number.
        sequence: SequenceNumber,
        /// Why, in words.
        reason: String,
    },
    /// The batch is not what the NEW-VIEW gave the
    /// sequence number, or it lies below what the view began with.
    #[error("{found} at {sequence} is not what the NEW-VIEW of {view} begins with")]
    NotReproposed {
        /// The view.
        view: View,
        /// The sequence number.
        sequence: SequenceNumber,
        /// What came.
        found: BatchDigest,
    },
    /// A VIEW-CHANGE or NEW-VIEW that no correct replica could have made.
    #[error("replica {signer} sent an unsound {message} for {view}: {reason}")]
    UnsoundViewChange {
        /// Which message.
        message: &'static str,
        /// Who sent it.
        signer: ReplicaId,
        /// The view it is for.
        view: View,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two statements that do not contradict each other.
    #[error("the two statements do not contradict each other, or are not of one replica")]
    NoContradiction,
    /// A status that names too many sequence numbers, or repeats one, or names
    /// them out of order or on the wrong side of what it has executed.
    #[error("a malformed status of {named} sequence numbers")]
    MalformedStatus {
        /// How many sequence numbers it names.
        named: usize,
    },
}

impl Rejection {
    /// The reason's name, one of a fixed set: for counting.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownReplica(_) => "unknown_replica",
            Self::BadSignature { .. } => "bad_signature",
            Self::BadCertificate { .. } => "bad_certificate",
            Self::WrongBatchDigest { .. } => "wrong_batch_digest",
            Self::BatchTooLarge { .. } => "batch_too_large",
            Self::RepeatedRequest => "repeated_request",
            Self::WrongRole { .. } => "wrong_role",
            Self::OtherView { .. } => "other_view",
            Self::OutsideWatermarks { .. } => "outside_watermarks",
            Self::TimestampNotLater { .. } => "timestamp_not_later",
            Self::UnsoundBatch { .. } => "unsound_batch",
            Self::NotReproposed { .. } => "not_reproposed",
            Self::UnsoundViewChange { .. } => "unsound_view_change",
            Self::NoContradiction => "no_contradiction",
            Self::MalformedStatus { .. } => "malformed_status",
        }
    }
}
