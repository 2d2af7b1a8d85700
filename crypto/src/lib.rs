//! What everything else is hashed, signed and proven with.
//!
//! Here live bytes and nothing above bytes: digests, the tags that keep one
//! purpose apart from another, the one canonical encoding, Ed25519 keys,
//! signature checking by ZIP-215, and RFC 9162 Merkle trees.
//!
//! *Architecture invariant:* nothing here knows a replica, a block or a
//! transaction, and no other crate of the workspace names `bincode`'s
//! configuration, `ed25519-dalek` or `ed25519-zebra`.

#![forbid(unsafe_code)]

pub mod codec;
pub mod digest;
pub mod domain;
pub mod key;
mod key_file;
pub mod merkle;
pub mod signature;

pub use codec::{CodecError, decode, encode, encoded_length};
pub use digest::Digest;
pub use domain::{Domain, NetworkId};
pub use key::{KeyError, PublicKey, SigningKey, random_bytes};
pub use key_file::KeyFileError;
pub use signature::{
    Claim, InvalidSignature, MAX_SIGNED_AT_ONCE, OneByOne, SharedSignature, SharedVerifier,
    Signature, SignedRoot, hold_together, verify_batch,
};
