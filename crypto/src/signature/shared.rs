//! One signature for much that somebody signs at once: over the root of a Merkle
//! tree. Whoever holds one part of it shows with a path that it stands in there, and
//! whoever checks many parts checks the signature once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Claim, Signature, hold_together};
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

    /// What `signer` must have signed if this is its signature, for this purpose in this
    /// network, on the part with this leaf.
    ///
    /// # Errors
    ///
    /// When the proof is none, or of more than may be signed at once.
    pub fn signed_root(
        &self,
        signer: PublicKey,
        (domain, network): (Domain, &NetworkId),
        leaf: &Digest,
    ) -> Result<SignedRoot, ProofError> {
        let InclusionProof { index, size, .. } = self.proof;
        if size > MAX_SIGNED_AT_ONCE as u64 {
            return Err(ProofError::OutOfRange { index, size });
        }
        Ok(SignedRoot {
            root: self.proof.root(leaf)?,
            size,
            signer,
            signature: self.signature,
            domain,
            network: *network,
        })
    }
}

/// What is signed. A path alone does not bind the size of its tree: whoever passed a
/// part on could give it another place in a tree of another size, and so other bytes
/// that hold as well.
fn body(root: &Digest, size: u64) -> Vec<u8> {
    [&root.as_bytes()[..], &size.to_le_bytes()].concat()
}

/// A signature over a root, for one purpose in one network: the same for all that was
/// signed with it, and checked once for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignedRoot {
    /// First, for it tells most of them apart.
    root: Digest,
    size: u64,
    signer: PublicKey,
    signature: Signature,
    domain: Domain,
    network: NetworkId,
}

impl SignedRoot {
    /// The claim that this was signed.
    #[must_use]
    pub fn claim(&self) -> Claim {
        let body = body(&self.root, self.size);
        let Self {
            signer, signature, ..
        } = self;
        Claim::new(*signer, signature, self.domain, &self.network, &body)
    }
}

/// Checks shared signatures, each once: it remembers which hold and which do not.
#[derive(Debug, Default)]
pub struct SharedVerifier(Mutex<BTreeMap<SignedRoot, bool>>);

impl SharedVerifier {
    /// How many signatures are remembered; with more, those of before are forgotten.
    const MOST: usize = 4096;

    /// Whether all of these hold. Those that were not seen before are checked in one
    /// batch, of which nothing is remembered when it fails.
    pub fn hold_together(&self, all: impl IntoIterator<Item = SignedRoot>) -> bool {
        let mut new = BTreeSet::new();
        {
            let seen = self.seen();
            for signed in all {
                match seen.get(&signed) {
                    Some(true) => {}
                    Some(false) => return false,
                    None => _ = new.insert(signed),
                }
            }
        }
        // Others are not kept waiting meanwhile.
        let claims: Vec<Claim> = new.iter().map(SignedRoot::claim).collect();
        let hold = match &claims[..] {
            [] => return true,
            [claim] => claim.verify().is_ok(),
            many => hold_together(many),
        };
        if hold || claims.len() == 1 {
            self.remember(new, hold);
        }
        hold
    }

    /// Whether this one holds.
    pub fn holds(&self, signed: SignedRoot) -> bool {
        self.hold_together([signed])
    }

    fn remember(&self, new: BTreeSet<SignedRoot>, hold: bool) {
        let mut seen = self.seen();
        if seen.len() + new.len() > Self::MOST {
            seen.clear();
        }
        // What was signed alone, and holds, is not asked about again.
        let new = new.into_iter().filter(|signed| !hold || signed.size > 1);
        seen.extend(new.map(|signed| (signed, hold)));
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<SignedRoot, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = Digest([7; 32]);
    const PURPOSE: (Domain, &NetworkId) = (Domain::Proposal, &NETWORK);

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn signed(leaves: &[Digest]) -> Vec<SharedSignature> {
        SharedSignature::of_all(leaves, PURPOSE.0, PURPOSE.1, &key())
    }

    fn leaves(count: u8) -> Vec<Digest> {
        (0..count).map(|byte| Digest([byte; 32])).collect()
    }

    fn root(signature: &SharedSignature, leaf: &Digest) -> Option<SignedRoot> {
        signature.signed_root(key().public(), PURPOSE, leaf).ok()
    }

    /// Whoever passes a part on has its leaf and its proof, and must not be able to make
    /// another proof of them.
    #[test]
    fn a_part_has_one_place_in_one_tree() {
        for count in 1..=17 {
            let leaves = leaves(count);
            for (signature, leaf) in signed(&leaves).iter().zip(&leaves) {
                for (index, size) in (0..20).flat_map(|at| (0..20).map(move |size| (at, size))) {
                    let mut moved = signature.clone();
                    (moved.proof.index, moved.proof.size) = (index, size);
                    let holds = root(&moved, leaf).is_some_and(|it| it.claim().verify().is_ok());
                    assert_eq!(holds, moved == *signature, "{index} of {size}");
                }
            }
        }
    }

    #[test]
    fn what_was_seen_says_nothing_of_what_was_not() {
        let leaves = leaves(5);
        let signatures = signed(&leaves);
        let roots = signatures.iter().zip(&leaves);
        let roots: Vec<_> = roots.map(|(it, leaf)| root(it, leaf).unwrap()).collect();
        let another = root(&signatures[0], &leaves[1]).unwrap();
        let verifier = SharedVerifier::default();
        for _ in 0..2 {
            assert!(verifier.hold_together(roots.clone()));
            assert!(!verifier.hold_together([roots[0], another]));
            assert!(!verifier.holds(another));
            assert!(!verifier.hold_together([another, roots[0]]));
            assert!(verifier.holds(roots[4]));
        }
        assert!(verifier.hold_together([]));
    }

    #[test]
    fn no_more_is_remembered_than_may_be() {
        let (verifier, leaves) = (SharedVerifier::default(), leaves(2));
        let signature = &signed(&leaves)[0];
        let forged = (0..=SharedVerifier::MOST).map(|number| {
            let mut forged = signature.clone();
            forged.signature.0[..8].copy_from_slice(&number.to_le_bytes());
            root(&forged, &leaves[0]).unwrap()
        });
        for forged in forged {
            assert!(!verifier.holds(forged));
        }
        assert_eq!(verifier.seen().len(), 1);
    }
}
