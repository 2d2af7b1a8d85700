//! What the node's parts offer to the API, and in what words.

use std::pin::Pin;
use std::sync::Arc;

use consensus::ReplicaId;
use crypto::Digest;
use genesis::Genesis;
use ledger::{
    EndorseError, Ledger, LedgerError, Location, ProposalResponse, Refusal, Response,
    SignedProposal, TransactionId,
};
use tokio::sync::watch;
use tokio_util::bytes::Bytes;

use crate::chronicle::Chronicle;
use crate::evidence::EvidenceBook;
use crate::fault::FaultSwitch;
use crate::metrics::Metrics;
use crate::network::NetworkHandle;

/// Where this node's replica stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// Its view.
    pub view: u64,
    /// The primary of that view.
    pub primary: u32,
    /// The last sequence number it has executed.
    pub last_executed: u64,
    /// Its low watermark.
    pub low_watermark: u64,
    /// Its high watermark.
    pub high_watermark: u64,
    /// Whether it takes part without voting, because it lost what it had voted.
    pub listening: bool,
    /// Whether it is fetching blocks from others.
    pub catching_up: bool,
    /// Whether it has left its view for the one shown, which has yet to begin.
    pub changing: bool,
    /// Whether it suspects the primary.
    pub suspects: bool,
}

/// How far the chain of this node has come. It is shown anew with every block
/// and every certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest block.
    pub committed: u64,
    /// The highest block with a certificate.
    pub certified: u64,
    /// Counts up with every change, also where a certificate below the highest
    /// came in.
    pub changes: u64,
}

/// What became of a transaction that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is sound and on its way to every replica.
    Accepted(TransactionId),
    /// Its proposal stands in the chain already.
    AlreadyCommitted(TransactionId, Location),
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It is no transaction that could ever be ordered.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its creator is not a member of the network.
    #[error("the creator {creator} of the transaction is not a member of this network")]
    UnknownCreator {
        /// The creator's key in hexadecimal.
        creator: String,
    },
    /// There is no room for it now.
    #[error("the pool is full with {held} transactions: try again shortly")]
    PoolFull {
        /// How many it holds.
        held: usize,
    },
    /// The node is stopping or cannot read its database.
    #[error("the node cannot take transactions: {reason}")]
    NotReady {
        /// Why.
        reason: String,
    },
}

impl SubmitError {
    /// The word for it in answers and counters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::UnknownCreator { .. } => "UNKNOWN_CREATOR",
            Self::PoolFull { .. } => "POOL_FULL",
            Self::NotReady { .. } => "NOT_READY",
        }
    }
}

/// The answer to a question that is not ordered.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What the contract answered.
    pub response: Response,
    /// The block after which it is the answer.
    pub height: u64,
    /// The hash of that block.
    pub block_hash: Digest,
}

/// Why a proposal was not endorsed or evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EndorseFailure {
    /// The ledger says no.
    #[error(transparent)]
    Endorse(#[from] EndorseError),
    /// Too many proposals are being executed.
    #[error("{limit} proposals are being executed: try again shortly")]
    Busy {
        /// How many this node executes at a time, waiting ones included.
        limit: usize,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// What became of a proposal that was to be endorsed.
pub type Endorsed = Result<ProposalResponse, EndorseFailure>;

/// A future in a box, for traits that are used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes in transactions.
pub trait Submit: Send + Sync {
    /// Takes in the canonical bytes of a transaction.
    fn submit(&self, bytes: Bytes) -> BoxFuture<'_, Result<Submitted, SubmitError>>;

    /// How many transactions, of how many bytes, wait for their block.
    fn pool_usage(&self) -> (usize, usize);

    /// Whether any more would be taken.
    fn has_room(&self) -> bool;
}

/// Executes proposals without ordering them.
pub trait Endorse: Send + Sync {
    /// Executes and endorses proposals, each by itself; or none of them, when there
    /// is room for none. Where there is room for some, these are the first.
    fn endorse(
        &self,
        proposals: Vec<SignedProposal>,
    ) -> BoxFuture<'_, Result<Vec<Endorsed>, EndorseFailure>>;

    /// Executes only.
    fn evaluate(
        &self,
        proposal: SignedProposal,
    ) -> BoxFuture<'_, Result<Evaluation, EndorseFailure>>;
}

/// What the API is given.
#[derive(Clone)]
pub struct Services {
    /// Which replica this is.
    pub id: ReplicaId,
    /// What the network agreed on.
    pub genesis: Arc<Genesis>,
    /// The chain.
    pub ledger: Arc<Ledger>,
    /// Where transactions go.
    pub submit: Arc<dyn Submit>,
    /// Where proposals go.
    pub endorse: Arc<dyn Endorse>,
    /// Where the replica stands.
    pub consensus: watch::Receiver<ConsensusStatus>,
    /// How far the chain has come.
    pub progress: watch::Receiver<Progress>,
    /// The other replicas.
    pub network: NetworkHandle,
    /// What was seen of changes of the view.
    pub chronicle: Arc<Chronicle>,
    /// What can be proved against them.
    pub evidence: Arc<EvidenceBook>,
    /// What is wrong with this one.
    pub fault: FaultSwitch,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}
