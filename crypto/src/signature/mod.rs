//! Signatures and the one rule by which they are checked: [ZIP-215].
//!
//! Plain Ed25519 leaves open what cofactored and cofactorless checks make of
//! crafted inputs, so that one replica could accept in a batch what another
//! refuses alone. Under ZIP-215 single and batched verification always agree,
//! which the vectors in `tests/` show.
//!
//! [ZIP-215]: https://zips.z.cash/zip-0215

mod shared;

use std::fmt;
use std::str::FromStr;

use ed25519_zebra::{VerificationKeyBytes, batch};
use getrandom::SysRng;
use rand_chacha::ChaCha20Rng;
use rand_core::{SeedableRng, UnwrapErr};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use shared::{MAX_SIGNED_AT_ONCE, OneByOne, SharedSignature, SharedVerifier, SignedRoot};

use crate::{Domain, NetworkId, PublicKey};

/// An Ed25519 signature as it travels: 64 bytes, believed only once verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode)]
pub struct Signature(pub [u8; 64]);

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the signature does not verify under public key {signer}")]
pub struct InvalidSignature {
    /// Under which key it was checked.
    pub signer: PublicKey,
}

/// A claim that `signer` signed something: everything verification needs,
/// already hashed, so that it outlives the message and can wait for a batch.
#[derive(Clone, Debug)]
pub struct Claim {
    signer: PublicKey,
    item: batch::Item,
}

impl Claim {
    /// The claim that `signature` over `body`, for `domain` in `network`, is `signer`'s.
    #[must_use]
    pub fn new(
        signer: PublicKey,
        signature: &Signature,
        domain: Domain,
        network: &NetworkId,
        body: &[u8],
    ) -> Self {
        let bytes = domain.signed_bytes(network, &domain.hash(body));
        Self::over_bytes(signer, signature, &bytes)
    }

    fn over_bytes(signer: PublicKey, signature: &Signature, bytes: &[u8]) -> Self {
        let key = VerificationKeyBytes::from(signer.0);
        let signature = ed25519_zebra::Signature::from(signature.0);
        Self {
            signer,
            item: batch::Item::from((key, signature, bytes)),
        }
    }

    /// Checks this one claim.
    ///
    /// # Errors
    ///
    /// [`InvalidSignature`] when it does not hold.
    pub fn verify(&self) -> Result<(), InvalidSignature> {
        self.item
            .clone()
            .verify_single()
            .map_err(|_| InvalidSignature {
                signer: self.signer,
            })
    }
}

/// Checks many claims at once, at about half the cost of one by one, and less
/// where keys repeat. Returns the positions of those that do not hold, in
/// ascending order: empty when all hold.
///
/// The random coefficients decide only how the work is combined: the verdict
/// on each claim is that of [`Claim::verify`].
#[must_use]
pub fn verify_batch(claims: &[Claim]) -> Vec<usize> {
    if claims.len() > 1 && hold_together(claims) {
        return Vec::new();
    }
    // One by one, not by halving: whoever floods a node with bad signatures
    // then costs it at most half as much again as without batching.
    (0..claims.len())
        .filter(|&at| claims[at].verify().is_err())
        .collect()
}

/// Whether all of many claims hold, and nothing about which does not.
#[must_use]
pub fn hold_together(claims: &[Claim]) -> bool {
    let mut verifier = batch::Verifier::new();
    for claim in claims {
        verifier.queue(claim.item.clone());
    }
    // A batch checked with predictable coefficients could be forged, hence a seed from
    // the operating system's randomness, and no going on without it. Asking it for each
    // coefficient would be a call of the system per signature.
    let coefficients = ChaCha20Rng::from_rng(&mut UnwrapErr(SysRng));
    verifier.verify(coefficients).is_ok()
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(&self.0[..4]))
    }
}

/// A text that is not a signature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a signature of 128 hex digits, found {found:?}")]
pub struct ParseSignatureError {
    /// The text as it came, cut after 140 characters.
    pub found: String,
}

impl FromStr for Signature {
    type Err = ParseSignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseSignatureError {
            found: text.chars().take(140).collect(),
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod vectors;
