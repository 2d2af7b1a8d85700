//! STATUS: where a replica stands and what it lacks (TOCS '02, 5.2).

use crypto::codec::{Decode, Encode};

use crate::{ReplicaId, SequenceNumber, View};

/// Where the sender stands. Whoever has what it lacks sends it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Status {
    /// The sender's view, or the one it is changing to.
    pub view: View,
    /// While it is changing to that view: whose VIEW-CHANGEs for it the sender
    /// has, its own among them, in ascending order. None once it is in the view.
    pub changing: Option<Vec<ReplicaId>>,
    /// Whether it suspects the primary of its view.
    pub suspects: bool,
    /// Whether it has lost its disk and does not vote.
    pub listening: bool,
    /// The last sequence number it has executed.
    pub last_executed: SequenceNumber,
    /// Its low watermark `h`.
    pub low: SequenceNumber,
    /// Whether it asks to be answered with the receiver's own status: true on
    /// the periodic message, false on the answer, so that two do not echo for ever.
    pub asks: bool,
    /// What it has of the sequence numbers in `(low, H]` that it has heard of and
    /// still needs something for, in ascending order, none twice. Of those not
    /// named it has everything up to `last_executed` and nothing above.
    pub slots: Vec<SlotStatus>,
    /// What it has executed and has no certificate of, in ascending order, none
    /// twice. Of everything else up to `last_executed` it needs no CHECKPOINT.
    pub uncertified: Vec<SequenceNumber>,
}

/// What the sender of a status has of one sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct SlotStatus {
    /// Which one.
    pub sequence: SequenceNumber,
    /// It has accepted a PRE-PREPARE.
    pub pre_prepared: bool,
    /// It has a prepared certificate and needs no more PREPAREs.
    pub prepared: bool,
    /// It has a commit certificate and needs no more COMMITs.
    pub committed: bool,
}
