//! What those who put load on a network that only orders say to one of its
//! nodes, and what they hear: frames ([`FrameCodec`]) over TCP. What is said is
//! a payload per frame; an empty frame asks where the node stands.

use crypto::Digest;
use crypto::codec::{self, CodecError, Decode, Encode};

/// The longest frame that a node says, in bytes.
pub const MAX_SAID_BYTES: usize = 64 * 1024;

/// How many of its last outcomes a node tells.
pub(super) const OUTCOMES_TOLD: usize = 256;

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Said {
    /// These payloads of this connection were executed.
    Executed {
        /// The first, counted from 0 in the order in which they were said.
        first: u64,
        /// How many.
        count: u64,
    },
    /// Where it stands.
    Stands(Standing),
}

/// Where a node stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Standing {
    /// How many others it is connected to.
    pub connected: u32,
    /// Its view.
    pub view: u64,
    /// What it executed last, by ascending sequence number.
    pub outcomes: Vec<Outcome>,
}

/// What came of a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// Which.
    pub sequence: u64,
    /// The hash of everything executed up to it.
    pub digest: Digest,
    /// How many payloads that is.
    pub payloads: u64,
}

impl Said {
    /// The bytes of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// What these bytes say.
    ///
    /// # Errors
    ///
    /// When they are nothing that a node says.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, MAX_SAID_BYTES)
    }
}
