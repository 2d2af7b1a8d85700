//! One certificate, in the words of consensus and in those of the ledger.

use consensus::message::Checkpoint;
use consensus::{CheckpointCertificate, CheckpointDigest, ReplicaId, SequenceNumber};
use crypto::Digest;
use ledger::BlockCertificate;

/// A stable checkpoint as the certificate of its block.
pub(crate) fn to_ledger(certificate: &CheckpointCertificate) -> BlockCertificate {
    BlockCertificate {
        signatures: certificate
            .signatures
            .iter()
            .map(|(signer, signature)| (signer.0, *signature))
            .collect(),
    }
}

/// The certificate of block `number` with hash `hash` as a stable checkpoint.
pub(crate) fn to_consensus(
    number: u64,
    hash: Digest,
    certificate: &BlockCertificate,
) -> CheckpointCertificate {
    CheckpointCertificate {
        checkpoint: Checkpoint {
            sequence: SequenceNumber(number),
            digest: CheckpointDigest(hash),
        },
        signatures: certificate
            .signatures
            .iter()
            .map(|(signer, signature)| (ReplicaId(*signer), *signature))
            .collect(),
    }
}
