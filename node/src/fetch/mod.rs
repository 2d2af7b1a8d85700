//! What replicas ask each other for, in bulk and apart from votes: transactions
//! that a batch names, blocks, and certificates.
//!
//! Everything that comes back is checked by what was asked for (a hash, a
//! certificate): a peer that answers wrongly costs one request.

mod attested;
mod missing;
mod serve;
mod turns;

use crypto::codec::{self, CodecError, Decode, Encode};
use crypto::{Digest, Signature};
use genesis::Parameters;
use ledger::{Block, BlockCertificate};

pub(crate) use attested::{AttestedBlock, attested_prefix};
pub(crate) use missing::Fetcher;
pub(crate) use serve::Server;

/// How many transactions are asked for at a time.
pub(crate) const MAX_TRANSACTIONS: usize = 1024;

/// How many blocks or certificates are sent at a time.
pub(crate) const MAX_BLOCKS: usize = 256;

/// How many bytes a response is filled with, unless one block alone is longer.
const RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// What a served block has besides its transactions and the verdicts on them.
const BLOCK_SLACK: usize = 1024 * 1024;

/// What a transaction of a block has besides its bytes: their length, and a verdict
/// whose reason may name every endorsement.
const VERDICT_BYTES: usize = 320;

/// The longest response there can be: it is filled up to its limit and then by one
/// more block.
pub(crate) fn max_response_bytes(parameters: &Parameters) -> usize {
    let verdicts = parameters.max_batch_transactions * VERDICT_BYTES;
    let bodies = parameters.max_batch_bytes + parameters.max_transaction_bytes;
    RESPONSE_BYTES + bodies + verdicts + BLOCK_SLACK
}

/// A question to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Request {
    /// The transactions with these hashes.
    Transactions(Vec<Digest>),
    /// Blocks from this number on.
    Blocks { from: u64 },
    /// The certificates of these blocks.
    Certificates(Vec<u64>),
    /// The peer's own signatures on these blocks, of which nobody has a
    /// certificate: the CHECKPOINTs for one may all be lost in a crash.
    Attestations(Vec<u64>),
}

/// A block and its certificate, where the peer has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ServedBlock {
    pub(crate) block: Block,
    pub(crate) certificate: Option<BlockCertificate>,
}

/// A peer's answer: of what was asked for, what it has.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Response {
    /// The bytes of transactions.
    Transactions(Vec<Vec<u8>>),
    /// Blocks in a row.
    Blocks(Vec<ServedBlock>),
    /// Certificates by the number of their block.
    Certificates(Vec<(u64, BlockCertificate)>),
    /// Signatures by the number of the block they attest.
    Attestations(Vec<(u64, Signature)>),
}

impl Request {
    /// A request is a list of hashes or numbers; what is longer is not one.
    const MAX_BYTES: usize = 64 * 1024;

    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }
}

impl Response {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes what the network has let in: its limit is the one that counts.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, bytes.len())
    }
}
