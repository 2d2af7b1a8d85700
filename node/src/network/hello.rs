//! The first frame of every stream, in both directions: which version of the
//! peer protocol, and which network. It turns the classic mistakes of an
//! operator into sentences instead of messages that make no sense.

use crypto::{Digest, NetworkId};

/// The version of the peer protocol that this node speaks. It also changes when the same
/// order leads to other blocks: replicas would find that out at the first of them only.
pub const PROTOCOL_VERSION: u32 = 6;

/// The longest hello that is read: later versions may say more.
pub(super) const MAX_HELLO_BYTES: usize = 1024;

const VERSION_BYTES: usize = 4;
const HELLO_BYTES: usize = VERSION_BYTES + crypto::digest::DIGEST_BYTES;

/// What a node says of itself when a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The network that it belongs to.
    pub network: NetworkId,
}

/// Why a peer's hello does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Another version of the protocol.
    #[error(
        "it speaks version {theirs} of the peer protocol and this node version {PROTOCOL_VERSION}; \
         run releases that speak the same"
    )]
    OtherVersion {
        /// The peer's.
        theirs: u32,
    },
    /// Another network.
    #[error(
        "it belongs to network {theirs} and this node to network {ours}; \
         start both from the same genesis document"
    )]
    OtherNetwork {
        /// This node's.
        ours: NetworkId,
        /// The peer's.
        theirs: NetworkId,
    },
    /// No hello at all.
    #[error("its first frame is no hello; something else than a replica answers there")]
    Malformed,
}

impl Hello {
    /// The hello as it travels: the version, little-endian, and the network.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..VERSION_BYTES].copy_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        bytes[VERSION_BYTES..].copy_from_slice(self.network.as_bytes());
        bytes
    }

    /// Compares a peer's hello with this one. Only the version is read of a
    /// hello of another version.
    ///
    /// # Errors
    ///
    /// [`HelloError`], which names both sides.
    pub fn check(self, theirs: &[u8]) -> Result<(), HelloError> {
        let version = theirs.first_chunk().ok_or(HelloError::Malformed)?;
        let version = u32::from_le_bytes(*version);
        if version != PROTOCOL_VERSION {
            return Err(HelloError::OtherVersion { theirs: version });
        }
        let network = <[u8; crypto::digest::DIGEST_BYTES]>::try_from(&theirs[VERSION_BYTES..]);
        let theirs = Digest(network.map_err(|_| HelloError::Malformed)?);
        if theirs != self.network {
            let ours = self.network;
            return Err(HelloError::OtherNetwork { ours, theirs });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: Hello = Hello {
        network: Digest([7; 32]),
    };

    #[test]
    fn a_hello_has_these_bytes() {
        let mut expected = vec![6, 0, 0, 0];
        expected.extend([7; 32]);
        assert_eq!(HELLO.to_bytes().to_vec(), expected);
    }

    #[test]
    fn the_same_network_and_version_agree_and_others_are_named() {
        assert_eq!(HELLO.check(&HELLO.to_bytes()), Ok(()));
        let (ours, theirs) = (HELLO.network, Digest([8; 32]));
        let other = Hello { network: theirs }.to_bytes();
        let expected = HelloError::OtherNetwork { ours, theirs };
        assert_eq!(HELLO.check(&other), Err(expected));
        let later = PROTOCOL_VERSION + 1;
        let bytes = [&later.to_le_bytes()[..], b"whatever a later version says"].concat();
        let expected = HelloError::OtherVersion { theirs: later };
        assert_eq!(HELLO.check(&bytes), Err(expected));
    }

    proptest! {
        #[test]
        fn only_one_sequence_of_bytes_agrees(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(HELLO.check(&bytes).is_ok(), bytes == HELLO.to_bytes());
        }

        #[test]
        fn no_changed_byte_agrees(at in 0..HELLO_BYTES, change in 1..=255_u8) {
            let mut bytes = HELLO.to_bytes();
            bytes[at] ^= change;
            prop_assert!(HELLO.check(&bytes).is_err());
        }
    }
}
