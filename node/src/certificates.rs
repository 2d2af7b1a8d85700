//! One certificate, in the words of consensus and in those of the ledger.

use consensus::message::Checkpoint;
use consensus::{CheckpointCertificate, CheckpointDigest, ReplicaId, SequenceNumber};
use crypto::{Digest, Domain, NetworkId, Signature, SigningKey};
use ledger::{BlockCertificate, attested_bytes};

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

/// This replica's word for a block that it has executed and holds on disk: what
/// it said by its CHECKPOINT and may say again at any time, for it follows from
/// the chain alone.
pub(crate) fn attest(
    number: u64,
    hash: &Digest,
    network: &NetworkId,
    key: &SigningKey,
) -> Signature {
    key.sign(Domain::Checkpoint, network, &attested_bytes(number, hash))
}
