//! A client's call of a contract, before anyone has executed it.

use std::fmt;
use std::str::FromStr;

use crypto::codec::{Decode, Encode};
use crypto::digest::ParseDigestError;
use crypto::merkle::leaf_hash;
use crypto::{
    Digest, Domain, NetworkId, PublicKey, SharedSignature, SharedVerifier, SignedRoot, SigningKey,
    decode, encode,
};
use serde::{Deserialize, Serialize};

use crate::transaction::{Limits, Refusal, Signer, form};

/// The name of a transaction from its proposal on: the hash of the proposal.
/// Under one id at most one transaction takes effect.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TransactionId(pub Digest);

impl TransactionId {
    /// The leaf of its proposal among those that their creator signs at once: the id
    /// is the entry.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        leaf_hash(self.0.as_bytes())
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TransactionId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A client's call of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// The network it is for.
    pub network: NetworkId,
    /// The contract to call.
    pub contract: String,
    /// The function of the contract.
    pub function: String,
    /// The arguments.
    pub args: Vec<String>,
    /// Who calls.
    pub creator: PublicKey,
    /// Makes two equal calls two transactions; the same again makes them one.
    pub nonce: [u8; 32],
    /// The last block in which the transaction may take effect.
    pub valid_until_block: u64,
}

/// [`Proposal::valid_until_block`] of a transaction that does not expire.
pub const NO_EXPIRY: u64 = u64::MAX;

impl Proposal {
    /// The id of the transaction that this proposal leads to.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        Self::id_of_bytes(&encode(self))
    }

    /// The id, from the canonical bytes.
    pub(crate) fn id_of_bytes(bytes: &[u8]) -> TransactionId {
        TransactionId(Domain::Proposal.hash(bytes))
    }

    /// Signs the proposal; `key` must be the creator's.
    ///
    /// # Panics
    ///
    /// When `key` is not the creator's.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedProposal {
        assert_eq!(self.creator, key.public(), "the creator signs");
        let (leaf, domain) = (self.id().leaf(), Domain::Proposal);
        let signature = SharedSignature::of_one(leaf, domain, &self.network, key);
        SignedProposal {
            proposal: self,
            signature,
        }
    }
}

/// A proposal with its creator's signature, believed only once verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedProposal {
    /// The call.
    pub proposal: Proposal,
    /// The creator's signature on the proposal.
    pub signature: SharedSignature,
}

impl SignedProposal {
    /// The signed proposal whose canonical bytes these are.
    ///
    /// # Errors
    ///
    /// When they are too many, or not such bytes.
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        decode(bytes, limits.max_transaction_bytes).map_err(Refusal::from)
    }

    /// Checks everything that can be checked without the state. Returns the id and
    /// how many bytes the proposal has without its signature.
    ///
    /// # Errors
    ///
    /// When it is for another network, not well formed, or not signed by its creator.
    ///
    /// # Panics
    ///
    /// Never: there is a result for every proposal.
    pub fn verify(&self, network: &NetworkId) -> Result<(TransactionId, usize), Refusal> {
        let verdict = Self::verify_all(std::slice::from_ref(self), network).pop();
        verdict.expect("one is asked about")
    }

    /// Checks many at once, which costs less than one by one, and what was signed at
    /// once with one verification. Each result depends on its own proposal alone.
    pub(crate) fn verify_all(
        all: &[Self],
        network: &NetworkId,
    ) -> Vec<Result<(TransactionId, usize), Refusal>> {
        let verifier = SharedVerifier::default();
        let formed: Vec<_> = all.iter().map(|it| it.signed_root(network)).collect();
        let roots = formed.iter().flatten().map(|(root, ..)| *root);
        let all_hold = all.len() > 1 && verifier.hold_together(roots);
        let mut one_by_one = verifier.one_by_one();
        let results = all.iter().zip(formed);
        results
            .map(|(signed, formed)| match formed? {
                (root, id, length) if all_hold || one_by_one.holds(root) => Ok((id, length)),
                _ => Err(signed.bad_signature()),
            })
            .collect()
    }

    /// What the creator must have signed, the id, and the length.
    fn signed_root(
        &self,
        network: &NetworkId,
    ) -> Result<(SignedRoot, TransactionId, usize), Refusal> {
        form::proposal(&self.proposal, network)?;
        let body = encode(&self.proposal);
        let id = Proposal::id_of_bytes(&body);
        let (creator, purpose) = (self.proposal.creator, (Domain::Proposal, network));
        let signed = self.signature.signed_root(creator, purpose, &id.leaf());
        let signed = signed.map_err(|_| self.bad_signature())?;
        Ok((signed, id, body.len()))
    }

    fn bad_signature(&self) -> Refusal {
        let signer = Signer::Creator(self.proposal.creator);
        Refusal::BadSignature { signer }
    }
}
