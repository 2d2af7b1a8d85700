//! The column families, their keys and the values under them.
//!
//! Keys are built here and nowhere else. Numbers in keys are big-endian, so
//! that iteration is in order; values are the canonical encoding.

use std::sync::Arc;

use crypto::codec::{Decode, Encode};
use crypto::{Digest, PublicKey};

use super::bodies::{Extent, Span};
use crate::block::BlockHeader;
use crate::policy::EndorsementPolicy;
use crate::proposal::TransactionId;
use crate::row::LongValue;
use crate::rwset::Version;
use crate::validation::{ValidationCode, Verdict};

/// A column family: one kind of thing that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Block number to [`BlockRow`]: a block, its transactions by where they stand.
    Blocks,
    /// Block number and the name of a batch that was recorded for it to where its
    /// transactions stand ([`Extent`]), as long as there is no such block.
    Batches,
    /// Block number to [`crate::BlockCertificate`].
    Certificates,
    /// Transaction id to [`Location`].
    Transactions,
    /// Block hash to its number.
    Hashes,
    /// Namespace and key to [`crate::StateRow`].
    State,
    /// Namespace, key and version to what was written ([`HistoryRow`]).
    History,
    /// A creator or a contract, and a block number, to the positions of its
    /// transactions in that block.
    Index,
    /// Whatever consensus must remember, opaque here.
    Records,
    /// What is said about the store itself.
    Meta,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Blocks,
        Self::Batches,
        Self::Certificates,
        Self::Transactions,
        Self::Hashes,
        Self::State,
        Self::History,
        Self::Index,
        Self::Records,
        Self::Meta,
    ];

    /// The family's name in the database and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Batches => "batches",
            Self::Certificates => "certificates",
            Self::Transactions => "transactions",
            Self::Hashes => "hashes",
            Self::State => "state",
            Self::History => "history",
            Self::Index => "index",
            Self::Records => "records",
            Self::Meta => "meta",
        }
    }
}

/// Where a transaction stands and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Location {
    /// Block number.
    pub block: u64,
    /// Position in the block, from 0.
    pub index: u32,
    /// The verdict on it.
    pub code: ValidationCode,
}

impl Location {
    /// Its place.
    #[must_use]
    pub fn place(&self) -> Version {
        Version {
            block: self.block,
            index: self.index,
        }
    }
}

/// A block, as far as its transactions do not say it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlockRow {
    /// What it commits to.
    pub(crate) header: BlockHeader,
    /// Where its transactions stand, in a list.
    pub(crate) bodies: Extent,
    /// One verdict per transaction.
    pub(crate) verdicts: Vec<Verdict>,
}

/// What one write did to a key, as the history keeps it under the write's version.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct HistoryRow {
    /// The transaction that wrote; none for what genesis wrote.
    pub(crate) transaction_id: Option<TransactionId>,
    /// What the key held from then on.
    pub(crate) value: HistoryValue,
    /// The key's own endorsement policy from then on.
    pub(crate) policy: Option<EndorsementPolicy>,
}

/// The value in a row of the history.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum HistoryValue {
    /// The key was deleted.
    Deleted,
    /// This one: a short one, or one that genesis or a much longer transaction wrote.
    Here(Arc<[u8]>),
    /// A long one, which stands in the transaction that wrote it alone: where that is
    /// among those of its block, and the hash of the value.
    InTransaction(Span, Digest),
    /// A long one that it held before: only the key's policy was set.
    Earlier(LongValue),
}

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TipRow {
    pub(crate) number: u64,
    pub(crate) hash: Digest,
}

/// The version of this layout. Another one is refused, not guessed at.
pub(crate) const FORMAT: u32 = 12;

/// The keys of [`Family::Meta`].
pub(crate) mod meta {
    /// The layout's version (`u32`).
    pub(crate) const FORMAT: &[u8] = b"format";
    /// The network whose ledger this is.
    pub(crate) const NETWORK: &[u8] = b"network";
    /// The newest block ([`super::TipRow`]).
    pub(crate) const TIP: &[u8] = b"tip";
    /// The state accumulator, its 2048 bytes.
    pub(crate) const ACCUMULATOR: &[u8] = b"accumulator";
    /// The namespaces in which keys may have policies ([`super::GuardedNamespaces`]).
    pub(crate) const GUARDED: &[u8] = b"guarded";
    /// How many times consensus records were written (a sealed counter).
    pub(crate) const RECORD_WRITES: &[u8] = b"record-writes";
    /// All of them, in order.
    pub(crate) const ALL: [&[u8]; 6] = [ACCUMULATOR, FORMAT, GUARDED, NETWORK, RECORD_WRITES, TIP];
}

/// The key of everything that is filed under a block number.
pub(crate) fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The key of a batch in [`Family::Batches`].
pub(crate) fn batch_key(number: u64, batch: &Digest) -> Vec<u8> {
    [&number_key(number)[..], batch.as_bytes()].concat()
}

/// The number and the name of the batch with this key; `None` when it is not one.
pub(crate) fn parse_batch_key(bytes: &[u8]) -> Option<(u64, Digest)> {
    let (number, batch) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), Digest(*batch.as_array()?)))
}

/// What all state keys of a namespace begin with; no namespace's is the
/// beginning of another's.
pub(crate) fn namespace_prefix(namespace: &str) -> Vec<u8> {
    let length = u8::try_from(namespace.len()).expect("namespaces are at most 64 bytes");
    let mut key = Vec::with_capacity(1 + namespace.len());
    key.push(length);
    key.extend_from_slice(namespace.as_bytes());
    key
}

/// The state key of `key`; keys of a namespace sort as their text does.
pub(crate) fn state_key(namespace: &str, key: &str) -> Vec<u8> {
    let mut bytes = namespace_prefix(namespace);
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

/// Namespace and key of a state key; `None` when it is not one.
pub(crate) fn parse_state_key(bytes: &[u8]) -> Option<(&str, &str)> {
    let (length, rest) = bytes.split_first()?;
    let (namespace, key) = rest.split_at_checked(usize::from(*length))?;
    Some((
        std::str::from_utf8(namespace).ok()?,
        std::str::from_utf8(key).ok()?,
    ))
}

/// What all history keys of `key` begin with: its length stands before it, so
/// that no key's history runs into that of a longer one.
pub(crate) fn history_prefix(namespace: &str, key: &str) -> Vec<u8> {
    let length = u32::try_from(key.len()).expect("keys are shorter than 4 GiB");
    let mut bytes = namespace_prefix(namespace);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

/// The history key of one write.
pub(crate) fn history_key(namespace: &str, key: &str, version: Version) -> Vec<u8> {
    let mut bytes = history_prefix(namespace, key);
    bytes.extend_from_slice(&version.block.to_be_bytes());
    bytes.extend_from_slice(&version.index.to_be_bytes());
    bytes
}

/// The version at the end of a history key with this prefix.
pub(crate) fn history_version(prefix: &[u8], bytes: &[u8]) -> Option<Version> {
    let (block, index) = bytes.strip_prefix(prefix)?.split_first_chunk::<8>()?;
    Some(Version {
        block: u64::from_be_bytes(*block),
        index: u32::from_be_bytes(*index.as_array::<4>()?),
    })
}

/// What all index keys of a creator begin with.
pub(crate) fn creator_prefix(creator: &PublicKey) -> Vec<u8> {
    [b"c".as_slice(), creator.as_bytes()].concat()
}

/// What all index keys of a contract begin with.
pub(crate) fn contract_prefix(contract: &str) -> Vec<u8> {
    [b"n".as_slice(), &namespace_prefix(contract)].concat()
}

/// The index key of one block.
pub(crate) fn index_key(prefix: &[u8], block: u64) -> Vec<u8> {
    [prefix, &number_key(block)].concat()
}

/// The block at the end of an index key with this prefix.
pub(crate) fn index_block(prefix: &[u8], bytes: &[u8]) -> Option<u64> {
    let block = bytes.strip_prefix(prefix)?.as_array::<8>()?;
    Some(u64::from_be_bytes(*block))
}
