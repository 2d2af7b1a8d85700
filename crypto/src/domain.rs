//! One tag per purpose, so that bytes hashed or signed for one purpose can
//! never be shown for another, nor in another network.
//!
//! Preimages, byte by byte (described for other languages in `docs/formats.md`):
//!
//! * hash: `SHA-256(len(tag) as u8 ‖ tag ‖ body)`
//! * signature: Ed25519 over `len(tag) as u8 ‖ tag ‖ network id (32 bytes) ‖ hash of the body`
//!
//! What is signed is the body's hash and not the body, which Ed25519 would hash with
//! SHA-512, twice to sign: processors have instructions for SHA-256, and many a body is
//! hashed anyway.

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// The network a signature belongs to: the hash of its genesis document.
pub type NetworkId = Digest;

/// What a digest or a signature is for. A variant is never given a second use,
/// and a tag never changes: both would let one thing pass for another. Where something
/// is hashed and also signed at once with others, the body that is signed, a root and a
/// number, is shorter than anything else that is hashed for the same purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// Hash of the genesis document: the network id.
    Genesis,
    /// Hash of a proposal (the transaction id), and a creator's signature on what it
    /// proposes at once.
    Proposal,
    /// An endorser's signature on what proposals would do.
    Endorsement,
    /// Hash of a whole transaction, or of all of it but the signature, and a creator's
    /// signature on the transactions that it makes at once.
    Transaction,
    /// Hash of a batch of transaction hashes.
    Batch,
    /// Hash of a block header.
    BlockHeader,
    /// Hash of what a range query returned.
    RangeResult,
    /// Hash of why a transaction is invalid, or of its answer when it is valid.
    Outcome,
    /// Hash of a long value, which stands for it in its row of the state.
    Value,
    /// Hash of the state accumulator: the state digest of a header.
    State,
    /// The primary's signature on a PRE-PREPARE.
    PrePrepare,
    /// A backup's signature on a PREPARE.
    Prepare,
    /// A replica's signature on a COMMIT.
    Commit,
    /// A replica's signature on a CHECKPOINT: the attestation of a block.
    Checkpoint,
    /// A replica's signature on a VIEW-CHANGE.
    ViewChange,
    /// A new primary's signature on a NEW-VIEW.
    NewView,
    /// Hash that names the nonce of an imported line.
    ImportNonce,
    /// Hash that names a piece of evidence.
    Evidence,
    /// Hash of an effect in a journal.
    Journal,
    /// Hash of payloads that are ordered as one, where nothing else is done.
    Bundle,
    /// Hash of all bundles up to a sequence number.
    Bundles,
}

impl Domain {
    /// Every domain, for tests that compare them with each other.
    pub const ALL: [Self; 21] = [
        Self::Genesis,
        Self::Proposal,
        Self::Endorsement,
        Self::Transaction,
        Self::Batch,
        Self::BlockHeader,
        Self::RangeResult,
        Self::Outcome,
        Self::Value,
        Self::State,
        Self::PrePrepare,
        Self::Prepare,
        Self::Commit,
        Self::Checkpoint,
        Self::ViewChange,
        Self::NewView,
        Self::ImportNonce,
        Self::Evidence,
        Self::Journal,
        Self::Bundle,
        Self::Bundles,
    ];

    /// The tag that stands at the head of every preimage of this domain.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Genesis => "logothete/1/genesis",
            Self::Proposal => "logothete/1/proposal",
            Self::Endorsement => "logothete/1/endorsement",
            Self::Transaction => "logothete/1/transaction",
            Self::Batch => "logothete/1/batch",
            Self::BlockHeader => "logothete/1/block-header",
            Self::RangeResult => "logothete/1/range-result",
            Self::Outcome => "logothete/1/outcome",
            Self::Value => "logothete/1/value",
            Self::State => "logothete/1/state",
            Self::PrePrepare => "logothete/1/pre-prepare",
            Self::Prepare => "logothete/1/prepare",
            Self::Commit => "logothete/1/commit",
            Self::Checkpoint => "logothete/1/checkpoint",
            Self::ViewChange => "logothete/1/view-change",
            Self::NewView => "logothete/1/new-view",
            Self::ImportNonce => "logothete/1/import-nonce",
            Self::Evidence => "logothete/1/evidence",
            Self::Journal => "logothete/1/journal",
            Self::Bundle => "logothete/1/bundle",
            Self::Bundles => "logothete/1/bundles",
        }
    }

    fn head(self) -> ([u8; 1], &'static [u8]) {
        let tag = self.tag().as_bytes();
        let length = u8::try_from(tag.len()).expect("tags are shorter than 256 bytes");
        ([length], tag)
    }

    fn hasher(self) -> Sha256 {
        let (length, tag) = self.head();
        Sha256::new().chain_update(length).chain_update(tag)
    }

    /// Hashes `body` for this purpose.
    #[must_use]
    pub fn hash(self, body: &[u8]) -> Digest {
        Digest(self.hasher().chain_update(body).finalize().into())
    }

    /// Hashes `body` and, as another body, `body` with `rest` after it, reading it once.
    #[must_use]
    pub fn hash_both(self, body: &[u8], rest: &[u8]) -> (Digest, Digest) {
        let hasher = self.hasher().chain_update(body);
        let whole = hasher.clone().chain_update(rest);
        (
            Digest(hasher.finalize().into()),
            Digest(whole.finalize().into()),
        )
    }

    /// The bytes that are signed when a body with this hash for this purpose is signed
    /// in `network`.
    #[must_use]
    pub fn signed_bytes(self, network: &NetworkId, hash: &Digest) -> Vec<u8> {
        let (length, tag) = self.head();
        [&length[..], tag, network.as_bytes(), hash.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_domains_share_a_tag_a_hash_or_a_signing_preimage() {
        let tags: BTreeSet<_> = Domain::ALL.iter().map(|d| d.tag()).collect();
        let hashes: BTreeSet<_> = Domain::ALL.iter().map(|d| d.hash(b"x")).collect();
        let preimages: BTreeSet<_> = Domain::ALL
            .iter()
            .map(|d| d.signed_bytes(&Digest::ZERO, &Digest::ZERO))
            .collect();
        assert_eq!(
            [tags.len(), hashes.len(), preimages.len()],
            [Domain::ALL.len(); 3]
        );
    }

    #[test]
    fn the_network_is_part_of_what_is_signed() {
        let here = Domain::Commit.signed_bytes(&Digest([1; 32]), &Digest::ZERO);
        let there = Domain::Commit.signed_bytes(&Digest([2; 32]), &Digest::ZERO);
        assert_ne!(here, there);
    }

    #[test]
    fn a_body_has_one_hash_however_it_comes() {
        let domain = Domain::Transaction;
        let (body, whole) = (domain.hash(b"body"), domain.hash(b"body and rest"));
        assert_eq!(domain.hash_both(b"body", b" and rest"), (body, whole));
    }
}
