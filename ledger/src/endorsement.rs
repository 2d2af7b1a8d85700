//! What an endorser answers: what a proposal would do, under its signature.
//!
//! Signing costs an endorser more than anything else it does, and each signature
//! is checked by every node. What is endorsed at once is therefore signed at once:
//! the signature is over the root of a Merkle tree, and an endorsement shows that
//! its action stands in it.

use crypto::codec::{Decode, Encode};
use crypto::merkle::{self, ProofError};
use crypto::{
    Digest, Domain, NetworkId, PublicKey, SharedSignature, SharedVerifier, SignedRoot, SigningKey,
    encode,
};
use serde::{Deserialize, Serialize};

use crate::policy::EndorsementPolicy;
use crate::proposal::TransactionId;
use crate::rwset::{Event, ReadWriteSet};
use crate::transaction::{Refusal, Signer};

/// What a call returns to its caller and announces to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Response {
    /// What the function returned.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
    /// What it announces, in order, should the transaction take effect.
    pub events: Vec<Event>,
}

/// What an endorser endorses. All endorsers of a transaction endorse the same bytes:
/// effects or answers that differ cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EndorsedAction {
    /// The transaction the proposal leads to.
    pub transaction_id: TransactionId,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
}

impl EndorsedAction {
    /// Its leaf in the tree of what is endorsed at once: the canonical bytes are the entry.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&encode(self))
    }
}

/// That an endorser has signed an [`EndorsedAction`], among all that it endorsed at once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Endorsement {
    /// Who endorses.
    pub endorser: PublicKey,
    /// Its signature on the action.
    pub signature: SharedSignature,
}

impl Endorsement {
    /// Endorses the actions with these leaves, with as few signatures as may be.
    pub(crate) fn of_all(leaves: &[Digest], network: &NetworkId, key: &SigningKey) -> Vec<Self> {
        let signatures = SharedSignature::of_all(leaves, Domain::Endorsement, network, key);
        let endorser = key.public();
        let signatures = signatures.into_iter();
        signatures
            .map(|signature| Self {
                endorser,
                signature,
            })
            .collect()
    }

    /// What the endorser must have signed if this endorses the action with this leaf.
    pub(crate) fn signed_root(
        &self,
        network: &NetworkId,
        leaf: &Digest,
    ) -> Result<SignedRoot, ProofError> {
        let purpose = (Domain::Endorsement, network);
        self.signature.signed_root(self.endorser, purpose, leaf)
    }
}

/// An endorser's answer to a proposal, believed only once verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposalResponse {
    /// The transaction the proposal leads to.
    pub transaction_id: TransactionId,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
    /// That the endorser has signed all of that.
    pub endorsement: Endorsement,
    /// The policies of their own that keys among the effects have, each once:
    /// they tell a client whom else to ask, and are believed no further.
    pub key_policies: Vec<EndorsementPolicy>,
}

impl ProposalResponse {
    /// Endorses `action` alone with `key`.
    #[must_use]
    pub fn endorse(action: EndorsedAction, network: &NetworkId, key: &SigningKey) -> Self {
        let (endorser, domain) = (key.public(), Domain::Endorsement);
        let signature = SharedSignature::of_one(action.leaf(), domain, network, key);
        let endorsement = Endorsement {
            endorser,
            signature,
        };
        Self::new(action, endorsement, Vec::new())
    }

    pub(crate) fn new(
        action: EndorsedAction,
        endorsement: Endorsement,
        key_policies: Vec<EndorsementPolicy>,
    ) -> Self {
        Self {
            transaction_id: action.transaction_id,
            contract_version: action.contract_version,
            rwset: action.rwset,
            response: action.response,
            endorsement,
            key_policies,
        }
    }

    /// What is endorsed.
    #[must_use]
    pub fn action(&self) -> EndorsedAction {
        self.clone().into_action()
    }

    /// The same, without the signature.
    #[must_use]
    pub fn into_action(self) -> EndorsedAction {
        EndorsedAction {
            transaction_id: self.transaction_id,
            contract_version: self.contract_version,
            rwset: self.rwset,
            response: self.response,
        }
    }

    /// The leaf of what is endorsed.
    fn leaf(&self) -> Digest {
        let Self {
            transaction_id,
            contract_version,
            rwset,
            response,
            ..
        } = self;
        // The fields of an [`EndorsedAction`], in their order.
        let bytes = encode(&(transaction_id, contract_version, rwset, response));
        merkle::leaf_hash(&bytes)
    }

    /// Whether another endorser says the same of what the proposal does.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.contract_version == other.contract_version
            && self.rwset == other.rwset
            && self.response == other.response
    }

    /// Checks the endorser's signature.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub fn verify(&self, network: &NetworkId) -> Result<(), Refusal> {
        self.verify_with(&SharedVerifier::default(), network)
    }

    /// Checks it, where many are checked with one `verifier` and some of them were
    /// endorsed at once.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub fn verify_with(
        &self,
        verifier: &SharedVerifier,
        network: &NetworkId,
    ) -> Result<(), Refusal> {
        match self.endorsement.signed_root(network, &self.leaf()) {
            Ok(signed) if verifier.hold_together([signed]) => Ok(()),
            _ => Err(Refusal::BadSignature {
                signer: Signer::Endorser(self.endorsement.endorser),
            }),
        }
    }
}
