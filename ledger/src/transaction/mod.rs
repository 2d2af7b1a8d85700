//! What is ordered: a proposal, its endorsed effects, and the creator's
//! signature over all of it.
//!
//! Bytes become an [`UncheckedTransaction`] when their form is right, and a
//! [`CheckedTransaction`] when every signature in them holds. Both depend on
//! the bytes alone, so that nodes at different heights agree. What deliberately
//! does not live here is everything that depends on the state, whether the
//! creator is a member included: that is decided when the transaction is
//! executed (`validation`).

mod checked;
pub(crate) mod form;
mod locator;
mod refusal;

use std::fmt;
use std::str::FromStr;

use crypto::codec::{Decode, Encode};
use crypto::digest::ParseDigestError;
use crypto::merkle::leaf_hash;
use crypto::{
    Digest, Domain, MAX_SIGNED_AT_ONCE, PublicKey, SharedSignature, SharedVerifier, SigningKey,
    encode,
};
use serde::{Deserialize, Serialize};

pub use checked::{
    CheckedTransaction, UncheckedTransaction, check_each, check_together, check_transactions,
};
pub use locator::{Locator, ParseLocatorError};
pub use refusal::{Refusal, Signer};

use crate::endorsement::{EndorsedAction, Endorsement, ProposalResponse, Response};
use crate::names::MAX_ENDORSEMENTS;
use crate::proposal::Proposal;
use crate::rwset::ReadWriteSet;

/// What the network has agreed on about transactions. Beside this there are
/// bounds that hold in every network ([`crate::names`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest transaction in bytes.
    pub max_transaction_bytes: usize,
    /// How many replicas there are, each of which may endorse it.
    pub replicas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_transaction_bytes: 256 * 1024,
            replicas: 4,
        }
    }
}

impl Limits {
    /// How many bytes the signatures of a transaction have that each of so many
    /// replicas has endorsed, and its creator signed, at once with as much else as may be.
    #[must_use]
    pub fn signature_bytes(replicas: usize) -> usize {
        /// Of the longest: the signature itself, and of its proof position, size and
        /// number of hashes, and these.
        const SIGNATURE: usize = 64 + 3 * 8 + MAX_SIGNED_AT_ONCE.ilog2() as usize * 32;
        const { assert!(MAX_SIGNED_AT_ONCE.is_power_of_two()) }
        // How many endorsements there are, the key and the signature of each, and the
        // signature of the creator.
        8 + replicas.min(MAX_ENDORSEMENTS) * (32 + SIGNATURE) + SIGNATURE
    }
}

/// The hash of all bytes of a transaction. Batches name transactions by it: a
/// client can make several variants under one id, and nodes that hold
/// different ones must notice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TransactionHash(pub Digest);

impl TransactionHash {
    /// The hash of the transaction with these canonical bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Domain::Transaction.hash(bytes))
    }
}

impl fmt::Display for TransactionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TransactionHash {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A transaction as it travels and is stored, believed only once checked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transaction {
    /// The call.
    pub proposal: Proposal,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
    /// Who endorses effects and answer, by ascending key.
    pub endorsements: Vec<Endorsement>,
    /// The creator's signature on everything before it.
    pub signature: SharedSignature,
}

impl Transaction {
    /// Puts a transaction together of a proposal and what was endorsed of it,
    /// and signs it; `key` must be the creator's. Endorsements are put in order,
    /// and repeated ones left out.
    ///
    /// # Panics
    ///
    /// When `key` is not the creator's.
    #[must_use]
    pub fn assemble(
        proposal: Proposal,
        action: EndorsedAction,
        endorsements: Vec<Endorsement>,
        key: &SigningKey,
    ) -> Self {
        UnsignedTransaction::assemble(proposal, action, endorsements).sign(key)
    }

    /// Puts a transaction together from what endorsers answered to `proposal`, as
    /// [`UnsignedTransaction::from_responses`] does, and signs it.
    ///
    /// # Errors
    ///
    /// [`AssembleError`] when the answers do not make a transaction.
    ///
    /// # Panics
    ///
    /// When `key` is not the creator's.
    pub fn from_responses(
        proposal: Proposal,
        responses: Vec<ProposalResponse>,
        key: &SigningKey,
    ) -> Result<Self, AssembleError> {
        let verifier = SharedVerifier::default();
        let unsigned = UnsignedTransaction::from_responses(proposal, responses, &verifier)?;
        Ok(unsigned.sign(key))
    }
}

/// A transaction without its creator's signature, which is on the hash of the canonical
/// bytes of this, and of what else was signed with it: whoever gathers endorsements need not have the key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UnsignedTransaction {
    /// The call.
    pub proposal: Proposal,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
    /// Who endorses effects and answer, by ascending key.
    pub endorsements: Vec<Endorsement>,
}

impl UnsignedTransaction {
    fn assemble(
        proposal: Proposal,
        action: EndorsedAction,
        mut endorsements: Vec<Endorsement>,
    ) -> Self {
        endorsements.sort_by_key(|each| each.endorser);
        endorsements.dedup_by_key(|each| each.endorser);
        Self {
            proposal,
            contract_version: action.contract_version,
            rwset: action.rwset,
            response: action.response,
            endorsements,
        }
    }

    /// Puts a transaction together from what endorsers answered to `proposal`,
    /// each of which is checked: one that lies must not spoil the transaction.
    /// Whoever puts many together does so with one `verifier`.
    ///
    /// # Errors
    ///
    /// [`AssembleError`] when the answers do not make a transaction.
    pub fn from_responses(
        proposal: Proposal,
        mut responses: Vec<ProposalResponse>,
        verifier: &SharedVerifier,
    ) -> Result<Self, AssembleError> {
        let first = responses.first().ok_or(AssembleError::NoResponse)?;
        let (one, id) = (first.endorsement.endorser, proposal.id());
        let mut endorsements = Vec::with_capacity(responses.len());
        for answer in &responses {
            let endorser = answer.endorsement.endorser;
            if answer.transaction_id != id {
                return Err(AssembleError::OtherProposal { endorser });
            }
            answer
                .verify_with(verifier, &proposal.network)
                .map_err(|_| AssembleError::BadSignature { endorser })?;
            if !answer.agrees_with(first) {
                let other = endorser;
                return Err(AssembleError::Disagreement { one, other });
            }
            endorsements.push(answer.endorsement.clone());
        }
        let action = responses.swap_remove(0).into_action();
        Ok(Self::assemble(proposal, action, endorsements))
    }

    /// Its leaf among those that their creator signs at once: the hash of these bytes
    /// is the entry.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        leaf_of_hash(&Domain::Transaction.hash(&encode(self)))
    }

    /// Signs it.
    ///
    /// # Panics
    ///
    /// When `key` is not the creator's.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Transaction {
        assert_eq!(self.proposal.creator, key.public(), "the creator signs");
        let (network, domain) = (self.proposal.network, Domain::Transaction);
        let signature = SharedSignature::of_one(self.leaf(), domain, &network, key);
        self.signed(signature)
    }

    /// The transaction with this signature, which must be its creator's on its leaf.
    #[must_use]
    pub fn signed(self, signature: SharedSignature) -> Transaction {
        Transaction {
            proposal: self.proposal,
            contract_version: self.contract_version,
            rwset: self.rwset,
            response: self.response,
            endorsements: self.endorsements,
            signature,
        }
    }
}

fn leaf_of_hash(unsigned: &Digest) -> Digest {
    leaf_hash(unsigned.as_bytes())
}

/// Why endorsers' answers do not make a transaction.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AssembleError {
    /// Nobody has answered.
    #[error("no endorser has answered")]
    NoResponse,
    /// An answer to something else.
    #[error("endorser {endorser} has answered another proposal")]
    OtherProposal {
        /// Who answered.
        endorser: PublicKey,
    },
    /// An answer whose signature does not hold.
    #[error("the signature of endorser {endorser} does not hold")]
    BadSignature {
        /// Who answered.
        endorser: PublicKey,
    },
    /// Endorsers that see different effects, as when one of them is behind.
    #[error("endorsers {one} and {other} do not agree on what the proposal does: propose again")]
    Disagreement {
        /// The first to answer.
        one: PublicKey,
        /// The first to answer otherwise.
        other: PublicKey,
    },
}
