//! Quorums of signatures over one statement.
//!
//! A certificate keeps the statement once and a signature per signer in
//! strictly ascending order: the same replica cannot be counted twice, and
//! two encodings of one certificate do not exist.

use std::hash::{Hash, Hasher};

use crypto::Signature;
use crypto::codec::{Decode, Encode};

use crate::ReplicaId;
use crate::message::{Checkpoint, PrePrepare, Signed};

/// That a batch *prepared*: the primary's PRE-PREPARE and matching PREPAREs of
/// a quorum less one of other replicas (an element of `P`; paper, 4.2 and 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PreparedCertificate {
    /// The primary's statement, which fixes view, sequence and digest.
    pub pre_prepare: Signed<PrePrepare>,
    /// Who signed the same PREPARE, in strictly ascending order, the primary not among them.
    pub prepares: Vec<(ReplicaId, Signature)>,
}

/// That a quorum attests one outcome: the checkpoint is *stable* (paper, 4.3).
/// It is also the certificate of a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CheckpointCertificate {
    /// The statement.
    pub checkpoint: Checkpoint,
    /// Who signed it, in strictly ascending order.
    pub signatures: Vec<(ReplicaId, Signature)>,
}

// Certificates of one statement prove the same, whoever signed: they hash alike.

impl Hash for PreparedCertificate {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.pre_prepare.hash(hasher);
    }
}

impl Hash for CheckpointCertificate {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.checkpoint.hash(hasher);
    }
}

/// Whether the signers are in strictly ascending order, hence distinct.
#[must_use]
pub(crate) fn strictly_ascending(signatures: &[(ReplicaId, Signature)]) -> bool {
    signatures.windows(2).all(|pair| pair[0].0 < pair[1].0)
}
