//! What an endorser answers: what a proposal would do, under its signature.
//!
//! Signing costs an endorser more than anything else it does, and each signature
//! is checked by every node. What is endorsed at once is therefore signed at once:
//! the signature is over the root of a Merkle tree, and an endorsement shows that
//! its action stands in it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crypto::codec::{Decode, Encode};
use crypto::merkle::{self, InclusionProof, ProofError};
use crypto::{Claim, Digest, Domain, NetworkId, PublicKey, Signature, SigningKey, encode};
use serde::{Deserialize, Serialize};

use crate::names::MAX_ENDORSED_AT_ONCE;
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

/// An endorser's signature over all that it endorsed at once, and that an
/// [`EndorsedAction`] was among it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Endorsement {
    /// Who endorses.
    pub endorser: PublicKey,
    /// The signature over the root of the tree.
    pub signature: Signature,
    /// From the leaf of the action to that root.
    pub proof: InclusionProof,
}

impl Endorsement {
    /// Endorses the actions with these leaves, with one signature for as many of them
    /// as one may be for.
    pub(crate) fn of_all(leaves: &[Digest], network: &NetworkId, key: &SigningKey) -> Vec<Self> {
        let mut endorsements = Vec::with_capacity(leaves.len());
        for leaves in leaves.chunks(MAX_ENDORSED_AT_ONCE) {
            let (root, proofs) = merkle::prove_all(leaves);
            let (endorser, domain) = (key.public(), Domain::Endorsement);
            let signature = key.sign(domain, network, root.as_bytes());
            endorsements.extend(proofs.into_iter().map(|proof| Self {
                endorser,
                signature,
                proof,
            }));
        }
        endorsements
    }

    /// What the endorser must have signed if this endorses the action with this leaf.
    ///
    /// # Errors
    ///
    /// When the proof is none, or of a larger tree than may be.
    pub(crate) fn signed_root(&self, leaf: &Digest) -> Result<SignedRoot, ProofError> {
        let InclusionProof { index, size, .. } = self.proof;
        if size > MAX_ENDORSED_AT_ONCE as u64 {
            return Err(ProofError::OutOfRange { index, size });
        }
        Ok(SignedRoot {
            endorser: self.endorser,
            signature: self.signature,
            root: self.proof.root(leaf)?,
        })
    }
}

/// A signature of an endorser over a root: the same for all that was endorsed with it,
/// and checked once for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignedRoot {
    endorser: PublicKey,
    signature: Signature,
    root: Digest,
}

impl SignedRoot {
    pub(crate) fn claim(&self, network: &NetworkId) -> Claim {
        let (domain, root) = (Domain::Endorsement, self.root.as_bytes());
        Claim::new(self.endorser, &self.signature, domain, network, root)
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
    ///
    /// # Panics
    ///
    /// Never: an action is endorsed once.
    #[must_use]
    pub fn endorse(action: EndorsedAction, network: &NetworkId, key: &SigningKey) -> Self {
        let endorsement = Endorsement::of_all(&[action.leaf()], network, key).pop();
        let endorsement = endorsement.expect("there is one for every leaf");
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
        EndorsementVerifier::default().verify(self, network)
    }
}

/// Verifies endorsements, and what one signature endorses with one verification: it
/// remembers signatures that it has seen to hold.
#[derive(Debug, Default)]
pub struct EndorsementVerifier(Mutex<BTreeSet<(NetworkId, SignedRoot)>>);

impl EndorsementVerifier {
    /// How many signatures are remembered at most; then all are forgotten.
    const MOST: usize = 1024;

    /// Checks the signature of the endorser who has answered.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub fn verify(&self, answer: &ProposalResponse, network: &NetworkId) -> Result<(), Refusal> {
        let signed = answer.endorsement.signed_root(&answer.leaf());
        match signed {
            Ok(signed) if self.holds(signed, network) => Ok(()),
            _ => Err(Refusal::BadSignature {
                signer: Signer::Endorser(answer.endorsement.endorser),
            }),
        }
    }

    /// Whether this signature holds.
    pub(crate) fn holds(&self, signed: SignedRoot, network: &NetworkId) -> bool {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&(*network, signed)) {
            return true;
        }
        // Others are not kept waiting meanwhile.
        let holds = signed.claim(network).verify().is_ok();
        if holds {
            let mut known = known();
            if known.len() == Self::MOST {
                known.clear();
            }
            known.insert((*network, signed));
        }
        holds
    }
}
