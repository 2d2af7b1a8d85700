//! Why bytes are not a transaction that may be ordered.

use std::fmt;

use crypto::{CodecError, NetworkId, PublicKey};

use crate::names::MAX_NAME_BYTES;

/// Whose signature is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The client's, who created the proposal and the transaction.
    Creator(PublicKey),
    /// An endorser's.
    Endorser(PublicKey),
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Creator(key) => write!(f, "creator {key}"),
            Self::Endorser(key) => write!(f, "endorser {key}"),
        }
    }
}

/// Why a proposal or a transaction is refused before it is ordered. Whether it
/// is refused depends on its bytes alone, so that all nodes agree.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// More bytes than the network allows.
    #[error("{found} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// Its size in bytes.
        found: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// Bytes that encode no such thing, or not in the one canonical way.
    #[error("these bytes are not what they should be: {reason}")]
    Malformed {
        /// Where decoding failed.
        reason: String,
    },
    /// Made for another network.
    #[error("made for network {found}, and this is network {expected}")]
    WrongNetwork {
        /// This network.
        expected: NetworkId,
        /// The network it names.
        found: NetworkId,
    },
    /// A signature that does not hold.
    #[error(
        "the signature of {signer} does not hold: altered after it was signed, or signed with another key"
    )]
    BadSignature {
        /// Whose signature.
        signer: Signer,
    },
    /// A name that cannot be one.
    #[error("{found:?} cannot be the name of {what}: 1 to {MAX_NAME_BYTES} {allowed} can")]
    BadName {
        /// What it was to name.
        what: &'static str,
        /// What such a name is made of.
        allowed: &'static str,
        /// The name, cut after 80 characters.
        found: String,
    },
    /// Too many of something.
    #[error("{found} {what}, and at most {limit} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Something too long.
    #[error("{what} of {found} bytes, and at most {limit} are allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The largest length in bytes.
        limit: usize,
    },
    /// A key of no bytes.
    #[error("an empty key in {what}")]
    EmptyKey {
        /// Where it stands.
        what: &'static str,
    },
    /// A range that cannot hold a key.
    #[error("a range from {start:?} to {end:?}, which can hold nothing")]
    EmptyRange {
        /// Its first key, cut after 80 characters.
        start: String,
        /// The key after it, cut after 80 characters.
        end: String,
    },
    /// Something repeated or out of order.
    #[error("the {what} are not strictly ascending at position {position}")]
    NotAscending {
        /// What should be ascending.
        what: &'static str,
        /// The position of the first that is not greater than the one before.
        position: usize,
    },
    /// The value of an argument would be written that there is not, or that is written
    /// already.
    #[error("a write of argument {number}, counted from 0: each of {args} may be written once")]
    BadArgument {
        /// Which argument.
        number: u8,
        /// How many there are.
        args: usize,
    },
    /// Nobody endorses it.
    #[error("without any endorsement")]
    NotEndorsed,
}

impl Refusal {
    /// The reason as one word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "TOO_LARGE",
            Self::Malformed { .. } => "MALFORMED",
            Self::WrongNetwork { .. } => "WRONG_NETWORK",
            Self::BadSignature { .. } => "BAD_SIGNATURE",
            Self::BadName { .. } => "BAD_NAME",
            Self::TooMany { .. } => "TOO_MANY",
            Self::TooLong { .. } => "TOO_LONG",
            Self::EmptyKey { .. } => "EMPTY_KEY",
            Self::EmptyRange { .. } => "EMPTY_RANGE",
            Self::NotAscending { .. } => "NOT_ASCENDING",
            Self::BadArgument { .. } => "BAD_ARGUMENT",
            Self::NotEndorsed => "NOT_ENDORSED",
        }
    }
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TooLong { limit, found } => Self::TooLarge { found, limit },
            other => Self::Malformed {
                reason: other.to_string(),
            },
        }
    }
}
