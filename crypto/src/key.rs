//! Ed25519 keys in memory. Private halves are wiped when they are dropped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Domain, NetworkId, Signature};

/// A public key as it is written in documents and messages: 32 bytes that may
/// or may not be a usable curve point. Verification decides by ZIP-215.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, bincode::Encode, bincode::Decode)]
pub struct PublicKey(pub [u8; 32]);

/// Why bytes or text are no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("expected a public key of 64 hex digits, found {found:?}")]
    NotHex {
        /// The text as it came, cut after 80 characters.
        found: String,
    },
    /// Bytes that are no point of the curve, a point in another encoding than
    /// its own, or a point of small order, under which anyone can sign.
    #[error("public key {0} is not a canonical Ed25519 point of large order")]
    Weak(PublicKey),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    NoRandomness(String),
}

impl PublicKey {
    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks what a document may admit as somebody's key: stricter than what
    /// signature verification accepts, so that no member has a key under which
    /// others can sign.
    ///
    /// # Errors
    ///
    /// [`KeyError::Weak`].
    pub fn check_strong(&self) -> Result<(), KeyError> {
        let weak = || KeyError::Weak(*self);
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| weak())?;
        // Re-compressing shows a non-canonical encoding of a valid point.
        let canonical = key.to_edwards().compress().to_bytes() == self.0;
        if key.is_weak() || !canonical {
            return Err(weak());
        }
        Ok(())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(&self.0[..4]))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::NotHex {
            found: text.chars().take(80).collect(),
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Bytes that nobody has seen before and nobody can foretell, from the operating system.
///
/// # Errors
///
/// [`KeyError::NoRandomness`].
pub fn random_bytes() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// Fills what is there already: of a secret no copy is left behind.
fn fill_random(bytes: &mut [u8; 32]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|error| KeyError::NoRandomness(error.to_string()))
}

/// A private signing key. It has no `Debug` that shows it and no way to be
/// printed; [`SigningKey::write_file`] is how it is kept.
#[derive(Clone)]
pub struct SigningKey(pub(crate) ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        fill_random(&mut seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a known seed (RFC 8032's 32-byte private key): for tests, for
    /// deterministic simulation, and for handing a transport its identity.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed of this key, wiped when dropped.
    #[must_use]
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `body` for one purpose in one network. Ed25519 is deterministic:
    /// the same arguments give the same signature.
    #[must_use]
    pub fn sign(&self, domain: Domain, network: &NetworkId, body: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        let bytes = domain.signed_bytes(network, &domain.hash(body));
        Signature(self.0.sign(&bytes).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {:?})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_small_order_points_and_other_encodings_of_points_are_refused() {
        // y = 0, 1, -1 and the order-8 ordinates, then y = p + 1 (not reduced).
        let bad = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for text in bad {
            let key: PublicKey = text.parse().unwrap();
            assert_eq!(key.check_strong(), Err(KeyError::Weak(key)), "{text}");
        }
        assert_eq!(
            SigningKey::from_seed(&[7; 32]).public().check_strong(),
            Ok(())
        );
    }

    #[test]
    fn debug_output_shows_no_private_byte() {
        let key = SigningKey::from_seed(&[0xcd; 32]);
        assert!(!format!("{key:?}").contains("cdcd"));
    }
}
