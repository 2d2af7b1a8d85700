//! Blocks, what their headers commit to, and the certificates that attest them.
//!
//! A header commits to the transactions (by their hashes), to the result of
//! each, to the whole state after the block, and to its predecessor. It names
//! neither who proposed the block nor in which attempt: correct nodes that
//! decide the same batch in different ways must make the same block.
//!
//! What deliberately does not live here: how a block comes about (`chain`) and
//! how its contents are re-executed (`verify`).

use std::collections::BTreeSet;
use std::sync::Arc;

use crypto::codec::{Decode, Encode};
use crypto::{
    Claim, Digest, Domain, NetworkId, PublicKey, Signature, encode, merkle, verify_batch,
};
use serde::{Deserialize, Serialize};

use crate::endorsement::Response;
use crate::proposal::TransactionId;
use crate::transaction::{Transaction, TransactionHash};
use crate::validation::{Reason, ValidationCode, Verdict};

/// What a block commits to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Position in the chain; block 0 is made by genesis.
    pub number: u64,
    /// Hash of the predecessor's header; zero for block 0.
    pub previous_hash: Digest,
    /// Merkle root over the transaction hashes.
    pub transactions_root: Digest,
    /// Merkle root over the [`TransactionResult`]s.
    pub results_root: Digest,
    /// Digest of the state after this block.
    pub state_digest: Digest,
    /// Milliseconds since 1970, strictly later than the predecessor's.
    pub timestamp_ms: u64,
    /// Place in the agreed order. One sequence is one block.
    pub sequence: u64,
}

impl BlockHeader {
    /// The block's hash: what certificates sign and successors name.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Domain::BlockHeader.hash(&encode(self))
    }
}

/// What became of one transaction: a leaf of the results tree.
///
/// A Merkle path alone does not bind the size of its tree (a first leaf of three
/// can pass for a first of four), so the leaf says where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionResult {
    /// Position in the block, from 0.
    pub index: u64,
    /// Number of transactions in the block.
    pub count: u64,
    /// The transaction's id.
    pub transaction_id: TransactionId,
    /// Hash of all its bytes.
    pub transaction_hash: TransactionHash,
    /// The verdict on it.
    pub code: ValidationCode,
    /// Hash of what there is to say beside that ([`TransactionResult::outcome`]).
    pub outcome: Digest,
}

impl TransactionResult {
    /// The hash of the reason, and of the answer of a transaction that took
    /// effect: what the others would have answered never happened.
    #[must_use]
    pub fn outcome(reason: Option<&Reason>, response: Option<&Response>) -> Digest {
        Domain::Outcome.hash(&encode(&(reason, response)))
    }

    /// What became of `transaction` at this place of a block of `count`.
    pub(crate) fn new(
        (index, count): (u64, u64),
        (id, hash): (TransactionId, TransactionHash),
        transaction: &Transaction,
        verdict: &Verdict,
    ) -> Self {
        let response = verdict.response_of(transaction);
        Self {
            index,
            count,
            transaction_id: id,
            transaction_hash: hash,
            code: verdict.code,
            outcome: Self::outcome(verdict.reason.as_ref(), response),
        }
    }

    /// The leaf that stands for this result.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&encode(self))
    }
}

/// The leaves of the results tree of a block.
#[must_use]
pub fn result_leaves(results: &[TransactionResult]) -> Vec<Digest> {
    results.iter().map(TransactionResult::leaf).collect()
}

/// The root that commits to the transactions of a block.
#[must_use]
pub fn transactions_root(results: &[TransactionResult]) -> Digest {
    let leaves: Vec<Digest> = results
        .iter()
        .map(|result| merkle::leaf_hash(result.transaction_hash.0.as_bytes()))
        .collect();
    merkle::root(&leaves)
}

/// A block: its header, the canonical bytes of its transactions, and a verdict on each.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// What the block commits to.
    pub header: BlockHeader,
    /// The transactions as they were ordered.
    pub transactions: Vec<Arc<[u8]>>,
    /// One verdict per transaction, in the same order.
    pub verdicts: Vec<Verdict>,
}

impl Block {
    /// The verdicts in one word each.
    pub fn codes(&self) -> impl Iterator<Item = ValidationCode> {
        self.verdicts.iter().map(|verdict| verdict.code)
    }
}

/// A block with its attestation, as it is served to others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoredBlock {
    /// The block.
    pub block: Block,
    /// Its certificate; absent while the attestations are still coming in.
    pub certificate: Option<BlockCertificate>,
}

/// Signatures of a quorum of attesters over one block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct BlockCertificate {
    /// Who signed and how, by ascending signer.
    pub signatures: Vec<(u32, Signature)>,
}

/// What an attester signs: that this block stands at this place of the order.
#[must_use]
pub fn attested_bytes(sequence: u64, block_hash: &Digest) -> Vec<u8> {
    encode(&(sequence, *block_hash))
}

/// Who may attest blocks, and how many of them it takes: plain data from genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attesters {
    keys: Vec<PublicKey>,
    quorum: usize,
}

/// Why a certificate does not attest a block.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Too few signatures to convince anyone.
    #[error("{found} signatures, and it takes {quorum}")]
    TooFew {
        /// Signatures in the certificate.
        found: usize,
        /// Signatures it takes.
        quorum: usize,
    },
    /// The same signer twice, or signers out of order.
    #[error("signer {signer} is repeated or out of order")]
    NotAscending {
        /// The signer that should not stand where it stands.
        signer: u32,
    },
    /// A signer that the genesis does not name.
    #[error("signer {signer} is not one of the {attesters} attesters")]
    UnknownSigner {
        /// The number that came.
        signer: u32,
        /// How many attesters there are.
        attesters: usize,
    },
    /// A signature that does not hold over this block.
    #[error("the signature of signer {signer} does not hold over this block")]
    BadSignature {
        /// Whose signature.
        signer: u32,
    },
}

/// A set of attesters that cannot attest anything.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected distinct keys of attesters and a quorum from one to all of them, found {keys} keys of which \
     {distinct} are distinct, and a quorum of {quorum}"
)]
pub struct AttestersError {
    /// The quorum that was asked for.
    pub quorum: usize,
    /// Keys given.
    pub keys: usize,
    /// How many of them are distinct.
    pub distinct: usize,
}

impl Attesters {
    /// `keys[i]` is the key of signer `i`; `quorum` of them attest a block.
    ///
    /// # Errors
    ///
    /// When a key stands there twice, or the quorum is zero or larger than the set.
    pub fn new(keys: Vec<PublicKey>, quorum: usize) -> Result<Self, AttestersError> {
        let distinct = keys.iter().collect::<BTreeSet<_>>().len();
        if distinct != keys.len() || quorum == 0 || quorum > keys.len() {
            return Err(AttestersError {
                quorum,
                keys: keys.len(),
                distinct,
            });
        }
        Ok(Self { keys, quorum })
    }

    /// The keys, by signer.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many signatures attest a block.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// Checks that `certificate` attests the block with hash `block_hash` at `sequence`.
    ///
    /// Every signature must hold, also those beyond the quorum: a certificate
    /// with one altered byte is not a certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] when it does not.
    pub fn verify(
        &self,
        certificate: &BlockCertificate,
        network: &NetworkId,
        sequence: u64,
        block_hash: &Digest,
    ) -> Result<(), CertificateError> {
        let signatures = &certificate.signatures;
        if signatures.len() < self.quorum {
            return Err(CertificateError::TooFew {
                found: signatures.len(),
                quorum: self.quorum,
            });
        }
        // Ascending signers within the set cannot be more than the set has,
        // which bounds the work before the first signature is looked at.
        if let Some(pair) = signatures.array_windows().find(|[(a, _), (b, _)]| a >= b) {
            return Err(CertificateError::NotAscending { signer: pair[1].0 });
        }
        let body = attested_bytes(sequence, block_hash);
        let claims = signatures
            .iter()
            .map(|(signer, signature)| {
                let key = self.key(*signer)?;
                Ok(Claim::new(
                    key,
                    signature,
                    Domain::Checkpoint,
                    network,
                    &body,
                ))
            })
            .collect::<Result<Vec<_>, _>>()?;
        match verify_batch(&claims).first() {
            None => Ok(()),
            Some(position) => Err(CertificateError::BadSignature {
                signer: signatures[*position].0,
            }),
        }
    }

    fn key(&self, signer: u32) -> Result<PublicKey, CertificateError> {
        usize::try_from(signer)
            .ok()
            .and_then(|at| self.keys.get(at))
            .copied()
            .ok_or(CertificateError::UnknownSigner {
                signer,
                attesters: self.keys.len(),
            })
    }
}
