//! What the API says and hears, shared by server and client. Bytes are
//! lower-case hexadecimal.

mod events;
mod listing;
mod members;
mod reason;
mod state;
mod transaction;

use axum::http::StatusCode;
use crypto::codec::{Decode, Encode};
pub use events::{BlockEvent, ParsePositionError, Position, StreamedEvent, TransactionEvent};
use ledger::ValidationCode;
pub use listing::{ListedTransaction, ListingAnswer};
pub use members::{ContractAnswer, ContractsAnswer, MemberAnswer, MembersAnswer};
pub use reason::{PolicyAnswer, ReasonAnswer, WriteAnswer};
use serde::{Deserialize, Serialize};
pub use state::{HistoryAnswer, HistoryWrite, StateAnswer, StateRangeAnswer, StateRow};
pub use transaction::{ReadAnswer, Signers, TransactionAnswer};
use utoipa::ToSchema;

use crate::evidence::evidence_id;

/// A refused or failed call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorAnswer {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// One word, for programs.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What led to it, where more is known.
    pub cause: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where the transaction stands that was committed already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Place>,
}

/// Where a transaction stands, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Place {
    /// Block number.
    pub block: u64,
    /// Position in the block, from 0.
    pub index: u32,
    /// The verdict on it, such as `VALID`.
    #[schema(value_type = String)]
    pub code: ValidationCode,
}

impl From<ledger::Location> for Place {
    fn from(location: ledger::Location) -> Self {
        Self {
            block: location.block,
            index: location.index,
            code: location.code,
        }
    }
}

/// Where a node stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusAnswer {
    /// Which node answers.
    pub node: NodeName,
    /// The name of the network.
    pub network: String,
    /// Hash of its genesis document.
    pub network_id: String,
    /// The replica's view.
    pub view: u64,
    /// The primary of that view.
    pub primary: u32,
    /// The newest block.
    pub height: u64,
    /// The highest block with a certificate.
    pub certified: u64,
    /// The hash of the newest block.
    pub block_hash: String,
    /// The digest of the state after it.
    pub state_digest: String,
    /// The last sequence number executed.
    pub last_executed: u64,
    /// The low watermark.
    pub low_watermark: u64,
    /// The high watermark.
    pub high_watermark: u64,
    /// How the node was told to misbehave.
    pub fault: Option<String>,
    /// Whether it takes part without voting, because it lost what it had voted.
    pub listening: bool,
    /// Whether it is fetching blocks from others.
    pub catching_up: bool,
    /// Whether it has left its last view for the one shown, which has yet to begin.
    #[serde(default)]
    pub changing: bool,
    /// Whether it suspects the primary.
    #[serde(default)]
    pub suspects: bool,
    /// The other replicas.
    pub peers: Vec<PeerAnswer>,
    /// What waits to be ordered.
    pub pool: PoolAnswer,
    /// The version of the software.
    pub version: String,
}

/// A contradiction of a replica, and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceAnswer {
    /// The hash of the bytes.
    pub id: String,
    /// Who contradicts itself.
    pub replica: u32,
    /// In what kind of message.
    pub message: String,
    /// In which view, if the messages are of one.
    pub view: Option<u64>,
    /// What was signed, in words.
    pub summary: String,
    /// The two signed messages, canonical and in hexadecimal; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

impl EvidenceAnswer {
    /// What there is to say of a piece of evidence, without its bytes.
    #[must_use]
    pub fn of(evidence: &consensus::Evidence) -> Self {
        Self {
            id: evidence_id(evidence).to_string(),
            replica: evidence.signer().0,
            message: evidence.message().to_owned(),
            view: evidence.view().map(|view| view.0),
            summary: evidence.summary(),
            bytes: None,
        }
    }
}

/// Everything that a node can prove against replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceListAnswer {
    /// One per replica and kind of message.
    pub evidence: Vec<EvidenceAnswer>,
}

/// What a node saw of the way into a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewAnswer {
    /// Which view.
    pub view: u64,
    /// Which node.
    pub node: NodeName,
    /// In the order of its clock.
    pub events: Vec<ViewEventAnswer>,
}

/// Something that led to a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewEventAnswer {
    /// The node's clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// One of overdue, disconnected, suspects, contradiction, VIEW-CHANGE, NEW-VIEW, entered.
    pub kind: String,
    /// Whose doing it is, if it is another replica's.
    pub replica: Option<u32>,
    /// What happened, in words.
    pub text: String,
    /// The signed message, canonical and in hexadecimal, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a node is to misbehave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultBody {
    /// As on the command line: `none`, `silent`, `equivocate+replay` and so on.
    pub mode: String,
}

/// To whom a node is to send nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CutBody {
    /// The numbers of these replicas; with none, it sends to everybody.
    pub from: Vec<u32>,
}

/// A replica's number and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeName {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
}

/// Another replica, as seen from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerAnswer {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Whether there is a connection.
    pub connected: bool,
}

/// What waits to be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolAnswer {
    /// How many transactions.
    pub transactions: usize,
    /// How many bytes they have together.
    pub bytes: usize,
}

/// The canonical bytes of something signed, for those who speak JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BytesBody {
    /// The canonical bytes in hexadecimal.
    pub bytes: String,
}

/// How many calls go together at most.
pub(super) const MAX_CALLS_TOGETHER: usize = 64;

/// How many bytes they have.
pub(super) const MAX_BYTES_TOGETHER: usize = 256 * 1024;

/// One of several answers that go together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// The HTTP status that it would have had alone.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Vec<u8>) -> Self {
        let status = status.as_u16();
        Self { status, body }
    }
}

/// An endorsement of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndorseAnswer {
    /// The id of the transaction that the proposal leads to.
    pub transaction_id: String,
    /// Who endorses and the signature.
    pub endorsement: EndorsementAnswer,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Canonical bytes of the read-write set.
    pub rwset: String,
    /// Canonical bytes of the response.
    pub response: String,
    /// What the contract answered, as text.
    pub payload: String,
    /// The policies of their own that keys among the effects have.
    pub key_policies: Vec<String>,
}

/// An endorser's key, its signature over all that it endorsed at once, and that this
/// was among it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndorsementAnswer {
    /// The endorser's public key.
    pub endorser: String,
    /// The signature over the root of the tree of what was endorsed at once, and the
    /// number of its leaves.
    pub signature: String,
    /// From transaction id, version, read-write set and response to that root.
    pub proof: InclusionProofAnswer,
}

/// That a leaf stands in a Merkle tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProofAnswer {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Number of leaves of the tree.
    pub size: u64,
    /// Sibling hashes from the leaf upwards.
    pub path: Vec<String>,
}

/// The answer to a question that is not ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluateAnswer {
    /// What the contract answered, as text.
    pub response: String,
    /// The block after which it is the answer.
    pub height: u64,
    /// The hash of that block.
    pub block_hash: String,
}

/// A transaction was taken, or stands in the chain already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitAnswer {
    /// Its id.
    pub transaction_id: String,
    /// Where it stands already.
    pub committed: Option<Place>,
}

/// The place of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionAnswer {
    /// Block number.
    pub block: u64,
    /// Position in the block.
    pub index: u32,
}

impl From<ledger::Version> for VersionAnswer {
    fn from(version: ledger::Version) -> Self {
        Self {
            block: version.block,
            index: version.index,
        }
    }
}

/// What a contract announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventAnswer {
    /// Its name.
    pub name: String,
    /// Its payload, as text.
    pub payload: String,
}

impl From<&ledger::Event> for EventAnswer {
    fn from(event: &ledger::Event) -> Self {
        Self {
            name: event.name.clone(),
            payload: String::from_utf8_lossy(&event.payload).into_owned(),
        }
    }
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockAnswer {
    /// What it commits to.
    pub header: HeaderAnswer,
    /// The hash of the header.
    pub hash: String,
    /// What it holds.
    pub transactions: Vec<BlockTransaction>,
    /// A quorum's signatures; none while they are coming in, and for block 0,
    /// which genesis itself attests.
    pub certificate: Vec<Attestation>,
}

/// What a block commits to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderAnswer {
    /// Its number.
    pub number: u64,
    /// The hash of its predecessor.
    pub previous_hash: String,
    /// Merkle root over its transactions.
    pub transactions_root: String,
    /// Merkle root over their results.
    pub results_root: String,
    /// The digest of the state after it.
    pub state_digest: String,
    /// The agreed time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The place in the agreed order.
    pub sequence: u64,
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockTransaction {
    /// Its id.
    pub transaction_id: String,
    /// The verdict on it.
    pub code: String,
    /// The contract called.
    pub contract: String,
    /// The function called.
    pub function: String,
    /// With these arguments.
    pub args: Vec<String>,
    /// Who called.
    pub creator: String,
    /// Who endorsed.
    pub endorsers: Vec<String>,
}

/// A replica's signature on a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attestation {
    /// The replica.
    pub replica: u32,
    /// Its signature.
    pub signature: String,
}

/// Whether a node is ready, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyAnswer {
    /// Whether it is.
    pub ready: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
}
