//! Receipts: what became of a transaction, provable to anyone who holds the
//! genesis document and nothing else.
//!
//! A receipt proves the verdict, whichever it was: that a transaction was
//! refused can be shown to others as well as that it took effect.

use crypto::codec::{Decode, Encode};
use crypto::merkle::{InclusionProof, ProofError};
use crypto::{CodecError, NetworkId, decode, encode};
use serde::{Deserialize, Serialize};

use crate::block::{Attesters, BlockCertificate, BlockHeader, CertificateError, TransactionResult};
use crate::endorsement::Response;
use crate::proposal::TransactionId;
use crate::transaction::{Locator, TransactionHash};
use crate::validation::{Reason, ValidationCode};

/// Larger than any receipt: the largest transaction that a genesis document can
/// allow, and the signatures of as many attesters as there may be.
const MAX_RECEIPT_BYTES: usize = 5 * 1024 * 1024;

/// The proof of a transaction's place and verdict.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The transaction's id.
    pub transaction_id: TransactionId,
    /// Hash of all its bytes.
    pub transaction_hash: TransactionHash,
    /// The verdict on it.
    pub code: ValidationCode,
    /// What shows that the verdict is right, where there is more to show.
    pub reason: Option<Reason>,
    /// Its answer and events, if it took effect.
    pub response: Option<Response>,
    /// The way from the transaction's result to the header's results root.
    pub proof: InclusionProof,
    /// The header of its block.
    pub header: BlockHeader,
    /// The quorum that attests the block.
    pub certificate: BlockCertificate,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// The block is not attested.
    #[error("block {block} is not attested: {source}")]
    Certificate {
        /// The block the receipt names.
        block: u64,
        /// What is wrong with its certificate.
        source: CertificateError,
    },
    /// The result does not stand in the block.
    #[error("the result does not stand in block {block}: {source}")]
    NotInBlock {
        /// The block the receipt names.
        block: u64,
        /// Where the proof fails.
        source: ProofError,
    },
}

impl Receipt {
    /// Checks the receipt against the network's attesters.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`] when any part of it does not hold.
    pub fn verify(&self, network: &NetworkId, attesters: &Attesters) -> Result<(), ReceiptError> {
        let block = self.header.number;
        let result = TransactionResult {
            index: self.proof.index,
            count: self.proof.size,
            transaction_id: self.transaction_id,
            transaction_hash: self.transaction_hash,
            code: self.code,
            outcome: TransactionResult::outcome(self.reason.as_ref(), self.response.as_ref()),
        };
        self.proof
            .verify(&result.leaf(), &self.header.results_root)
            .map_err(|source| ReceiptError::NotInBlock { block, source })?;
        attesters
            .verify(
                &self.certificate,
                network,
                self.header.sequence,
                &self.header.hash(),
            )
            .map_err(|source| ReceiptError::Certificate { block, source })
    }

    /// Whether it is this transaction's. An id's is that of the first transaction
    /// with it: of one that came again it says only that it did.
    #[must_use]
    pub fn is_of(&self, locator: Locator) -> bool {
        match locator {
            Locator::Id(id) => {
                self.transaction_id == id && self.code != ValidationCode::DuplicateTransaction
            }
            Locator::Place(place) => {
                self.header.number == place.block && self.proof.index == u64::from(place.index)
            }
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The receipt whose canonical bytes these are; believed only once verified.
    ///
    /// # Errors
    ///
    /// When these are not the canonical bytes of a receipt.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_RECEIPT_BYTES)
    }
}
