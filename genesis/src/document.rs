//! The genesis document as people write it: JSON, every field required (but a
//! contract's version), none unknown. Nothing here is believed before [`Genesis`](crate::Genesis) has
//! checked it.
//!
//! The canonical bytes of a document are the encoding of [`Document`] in the
//! order of its fields, and their hash is the network id. So the id depends on
//! every value and on the order within lists, and neither on the white space of
//! the JSON text nor on the order of its keys.

use crypto::codec::{Encode, encode};
use crypto::{Domain, NetworkId, PublicKey};
use serde::{Deserialize, Serialize};

/// A genesis document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of this format: [`Document::FORMAT`].
    pub format: u64,
    /// The name of the network, for people.
    pub network: String,
    /// Whether nodes may be told to misbehave. Never true where it matters.
    pub testing: bool,
    /// Who takes part, with their first members.
    pub organisations: Vec<OrganisationDocument>,
    /// The replicas, by ascending id from 0.
    pub replicas: Vec<ReplicaDocument>,
    /// The contracts that can be called, and whose endorsement each takes.
    pub contracts: Vec<ContractDocument>,
    /// What all replicas agree on before they start.
    pub consensus: ConsensusDocument,
}

/// An organisation with its first members.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganisationDocument {
    /// Its name, which policies use.
    pub name: String,
    /// Who may change its membership.
    pub admins: Vec<MemberDocument>,
    /// Who may send transactions.
    pub clients: Vec<MemberDocument>,
}

/// A member: a name and a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberDocument {
    /// Its name, of which the network has no other.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

/// A replica. It is also a peer of its organisation and endorses with its
/// consensus key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaDocument {
    /// Its place in the list.
    pub id: u64,
    /// Its name, of which the network has no other.
    pub name: String,
    /// The organisation that runs it.
    pub organisation: String,
    /// What it signs its votes, endorsements and attestations with.
    pub consensus_key: PublicKey,
    /// What it proves itself with on a connection: another key, so that the
    /// consensus key can be kept further from the network.
    pub transport_key: PublicKey,
    /// Where the other replicas reach it, as multiaddresses without peer id.
    pub addresses: Vec<String>,
}

/// A contract and its endorsement policy.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDocument {
    /// The name of a built-in contract.
    pub name: String,
    /// The version of it that is agreed on, 1 when it is left out.
    #[serde(default = "first_version")]
    pub version: u64,
    /// Whose endorsement a transaction needs, such as `OutOf(2, 'org1.peer', 'org2.peer', 'org3.peer')`.
    pub policy: String,
}

fn first_version() -> u64 {
    1
}

/// The parameters of consensus, the same on every replica.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusDocument {
    /// How many transactions a batch may name.
    pub max_batch_transactions: u64,
    /// How many bytes the transactions of a batch may have together.
    pub max_batch_bytes: u64,
    /// How many bytes a transaction may have.
    pub max_transaction_bytes: u64,
    /// Every how many sequence numbers the low watermark moves.
    pub checkpoint_interval: u64,
    /// How many sequence numbers lie between the watermarks.
    pub log_window: u64,
    /// How many batches the primary keeps in flight.
    pub max_in_flight: u64,
    /// How long a backup holds a request that is not executed before it suspects
    /// the primary; the first of a doubling series.
    pub request_timeout_ms: u64,
    /// Where the doubling of the request timeout ends.
    pub request_timeout_cap_ms: u64,
    /// How far ahead of its own clock a backup lets a batch be.
    pub max_timestamp_ahead_ms: u64,
    /// How often an idle replica tells the others where it stands.
    pub status_interval_ms: u64,
}

impl Default for ConsensusDocument {
    /// What suits a few replicas on one machine or in one data centre.
    fn default() -> Self {
        Self {
            max_batch_transactions: 1000,
            max_batch_bytes: 2 * 1024 * 1024,
            max_transaction_bytes: 256 * 1024,
            checkpoint_interval: 1,
            log_window: 128,
            max_in_flight: 8,
            request_timeout_ms: 2000,
            request_timeout_cap_ms: 16_000,
            max_timestamp_ahead_ms: 60_000,
            status_interval_ms: 1000,
        }
    }
}

impl Document {
    /// The version of the format that is written and understood here.
    pub const FORMAT: u64 = 1;

    /// The largest document in bytes of JSON.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The bytes whose hash is the network id.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The id of the network that this document describes.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        Domain::Genesis.hash(&self.canonical_bytes())
    }
}
