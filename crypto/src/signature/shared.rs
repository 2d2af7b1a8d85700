//! One signature for much that somebody signs at once: over the root of a Merkle
//! tree. Whoever holds one part of it shows with a path that it stands in there, and
//! whoever checks many parts checks the signature once.

use std::collections::BTreeSet;
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

/// Checks shared signatures, and remembers those that hold: what was signed at once
/// mostly comes at once, but not always together.
#[derive(Debug, Default)]
pub struct SharedVerifier(Mutex<BTreeSet<SignedRoot>>);

impl SharedVerifier {
    /// How many signatures are remembered; with more, those of before are forgotten.
    const MOST: usize = 4096;

    /// Whether all of these hold. Those that were not seen to hold before are checked in
    /// one batch.
    pub fn hold_together(&self, all: impl IntoIterator<Item = SignedRoot>) -> bool {
        let new: BTreeSet<SignedRoot> = {
            let seen = self.seen();
            let all = all.into_iter();
            all.filter(|signed| !seen.contains(signed)).collect()
        };
        // Others are not kept waiting meanwhile.
        let claims: Vec<Claim> = new.iter().map(SignedRoot::claim).collect();
        let hold = match &claims[..] {
            [] => true,
            [claim] => claim.verify().is_ok(),
            many => hold_together(many),
        };
        if hold {
            self.remember(new);
        }
        hold
    }

    /// Checks signatures one by one, each of them once, whether or not it holds.
    pub fn one_by_one(&self) -> OneByOne<'_> {
        OneByOne {
            verifier: self,
            failed: BTreeSet::new(),
        }
    }

    fn remember(&self, new: BTreeSet<SignedRoot>) {
        // What was signed alone hardly ever comes again.
        let new = new.into_iter().filter(|signed| signed.size > 1);
        let new: Vec<_> = new.take(Self::MOST).collect();
        let mut seen = self.seen();
        if seen.len() + new.len() > Self::MOST {
            seen.clear();
        }
        seen.extend(new);
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<SignedRoot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`SharedVerifier::one_by_one`].
#[derive(Debug)]
pub struct OneByOne<'a> {
    verifier: &'a SharedVerifier,
    /// Forgotten with this: others could fill a longer memory with these.
    failed: BTreeSet<SignedRoot>,
}

impl OneByOne<'_> {
    /// Whether this one holds.
    pub fn holds(&mut self, signed: SignedRoot) -> bool {
        let holds = !self.failed.contains(&signed) && self.verifier.hold_together([signed]);
        if !holds {
            self.failed.insert(signed);
        }
        holds
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
            let mut one_by_one = verifier.one_by_one();
            for _ in 0..2 {
                assert!(!one_by_one.holds(another));
                assert!(one_by_one.holds(roots[4]));
            }
        }
        assert!(verifier.hold_together([]));
    }

    #[test]
    fn what_was_signed_with_others_and_holds_is_remembered_and_nothing_else() {
        let verifier = SharedVerifier::default();
        let remembered = || verifier.seen().len();
        let alone = signed(&leaves(1)).remove(0);
        assert!(verifier.hold_together(root(&alone, &Digest::ZERO)));
        assert_eq!(remembered(), 0);
        let (leaves, signatures) = (leaves(3), signed(&leaves(3)));
        let mut forged = signatures[0].clone();
        forged.signature.0[0] ^= 1;
        let forged = root(&forged, &leaves[0]).unwrap();
        let sound = root(&signatures[0], &leaves[0]).unwrap();
        assert!(!verifier.hold_together([forged, sound]));
        assert!(!verifier.one_by_one().holds(forged));
        assert_eq!(remembered(), 0);
        let all = signatures.iter().zip(&leaves);
        let all = all.map(|(signature, leaf)| root(signature, leaf).unwrap());
        assert!(verifier.hold_together(all));
        assert_eq!(remembered(), 1);
    }

    #[test]
    fn no_more_is_remembered_than_may_be() {
        let verifier = SharedVerifier::default();
        let shared = signed(&leaves(2)).remove(0);
        let one = root(&shared, &leaves(2)[0]).unwrap();
        let roots = |count: usize| (0..count as u64).map(|size| size + 2);
        let roots = |count| {
            roots(count)
                .map(|size| SignedRoot { size, ..one })
                .collect()
        };
        verifier.remember(roots(SharedVerifier::MOST));
        assert_eq!(verifier.seen().len(), SharedVerifier::MOST);
        verifier.remember(BTreeSet::from([SignedRoot { size: 1, ..one }]));
        assert_eq!(verifier.seen().len(), SharedVerifier::MOST);
        verifier.remember(roots(1));
        assert_eq!(verifier.seen().len(), 1);
        verifier.remember(roots(SharedVerifier::MOST + 1));
        assert_eq!(verifier.seen().len(), SharedVerifier::MOST);
    }
}
