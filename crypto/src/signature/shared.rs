//! One signature for much that somebody signs at once: over the root of a Merkle
//! tree. Whoever holds one part of it shows with a path that it stands in there, and
//! whoever checks many parts checks the signature once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Claim, Signature};
use crate::codec::{Decode, Encode};
use crate::merkle::{self, InclusionProof, ProofError};
use crate::{Digest, Domain, NetworkId, PublicKey, SigningKey};

/// How much one signature may be for, at most.
pub const MAX_SIGNED_AT_ONCE: usize = 256;

/// A signature over all that was signed at once, and the way from one part of it to
/// what is signed. Of what was signed alone the root is its leaf.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SharedSignature {
    /// The signature over the root of the tree and the number of its leaves.
    pub signature: Signature,
    /// From the leaf of this part to that root.
    pub proof: InclusionProof,
}

impl SharedSignature {
    /// Signs what has these leaves, with one signature for as many of them as one may
    /// be for.
    #[must_use]
    pub fn of_all(
        leaves: &[Digest],
        domain: Domain,
        network: &NetworkId,
        key: &SigningKey,
    ) -> Vec<Self> {
        let mut shared = Vec::with_capacity(leaves.len());
        for leaves in leaves.chunks(MAX_SIGNED_AT_ONCE) {
            let (root, proofs) = merkle::prove_all(leaves);
            let signature = key.sign(domain, network, &body(&root, leaves.len() as u64));
            shared.extend(proofs.into_iter().map(|proof| Self { signature, proof }));
        }
        shared
    }

    /// Signs what has this leaf, and nothing else.
    ///
    /// # Panics
    ///
    /// Never: there is one for every leaf.
    #[must_use]
    pub fn of_one(leaf: Digest, domain: Domain, network: &NetworkId, key: &SigningKey) -> Self {
        let shared = Self::of_all(&[leaf], domain, network, key).pop();
        shared.expect("there is one for every leaf")
    }

    /// What `signer` must have signed if this is its signature on the part with this leaf.
    ///
    /// # Errors
    ///
    /// When the proof is none, or of more than may be signed at once.
    pub fn signed_root(&self, signer: PublicKey, leaf: &Digest) -> Result<SignedRoot, ProofError> {
        let InclusionProof { index, size, .. } = self.proof;
        if size > MAX_SIGNED_AT_ONCE as u64 {
            return Err(ProofError::OutOfRange { index, size });
        }
        Ok(SignedRoot {
            root: self.proof.root(leaf)?,
            size,
            signer,
            signature: self.signature,
        })
    }
}

/// What is signed. A path alone does not bind the size of its tree: whoever passed a
/// part on could give it another place in a tree of another size, and so other bytes
/// that hold as well.
fn body(root: &Digest, size: u64) -> Vec<u8> {
    [&root.as_bytes()[..], &size.to_le_bytes()].concat()
}

/// A signature over a root: the same for all that was signed with it, and checked once
/// for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedRoot {
    /// First, for it tells most of them apart.
    root: Digest,
    size: u64,
    signer: PublicKey,
    signature: Signature,
}

impl SignedRoot {
    /// The claim that it was signed for this purpose in this network.
    #[must_use]
    pub fn claim(&self, domain: Domain, network: &NetworkId) -> Claim {
        let body = body(&self.root, self.size);
        Claim::new(self.signer, &self.signature, domain, network, &body)
    }
}

/// What must hold of much that was signed at once: a claim for every signature, in the
/// order in which they came, each once.
#[derive(Debug, Default)]
pub struct SharedClaims {
    places: BTreeMap<(SignedRoot, Domain, NetworkId), usize>,
    claims: Vec<Claim>,
}

impl SharedClaims {
    /// Adds the claim that this was signed for this purpose in this network, unless it
    /// is there. Returns its place among [`SharedClaims::all`].
    pub fn add(&mut self, signed: SignedRoot, domain: Domain, network: &NetworkId) -> usize {
        let next = self.claims.len();
        let place = *self
            .places
            .entry((signed, domain, *network))
            .or_insert(next);
        if place == next {
            self.claims.push(signed.claim(domain, network));
        }
        place
    }

    /// The claims.
    #[must_use]
    pub fn all(&self) -> &[Claim] {
        &self.claims
    }
}

/// Checks shared signatures one by one, each once: it remembers those that it has seen
/// to hold.
#[derive(Debug, Default)]
pub struct SharedVerifier(Mutex<BTreeSet<(SignedRoot, Domain, NetworkId)>>);

impl SharedVerifier {
    /// How many signatures are remembered at most; then all are forgotten.
    const MOST: usize = 1024;

    /// Whether this was signed for this purpose in this network.
    #[must_use]
    pub fn holds(&self, signed: SignedRoot, domain: Domain, network: &NetworkId) -> bool {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (signed, domain, *network);
        if known().contains(&entry) {
            return true;
        }
        // Others are not kept waiting meanwhile.
        let holds = signed.claim(domain, network).verify().is_ok();
        if holds {
            let mut known = known();
            if known.len() == Self::MOST {
                known.clear();
            }
            known.insert(entry);
        }
        holds
    }
}
