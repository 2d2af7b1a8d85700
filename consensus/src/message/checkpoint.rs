//! CHECKPOINT: a replica attests what executing a sequence number led to (paper, 4.3).

use crypto::Domain;
use crypto::codec::{Decode, Encode};

use super::Body;
use crate::{CheckpointDigest, SequenceNumber};

/// The sender has executed and made durable everything up to `sequence`, and
/// the outcome has this digest. It names no view: correct replicas may commit
/// the same batch in different views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Checkpoint {
    /// The last sequence number executed.
    pub sequence: SequenceNumber,
    /// The outcome: the hash of that block.
    pub digest: CheckpointDigest,
}

impl Body for Checkpoint {
    const DOMAIN: Domain = Domain::Checkpoint;
}
