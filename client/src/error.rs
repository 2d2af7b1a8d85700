//! How a client's way ends when it does not lead to a verdict.

use consensus::ReplicaId;
use crypto::{KeyError, PublicKey};
use ledger::{AssembleError, Locator, ReceiptError, Transaction, TransactionId, ValidationCode};
use node::api::ClientError;
use node::api::types::{ErrorBody, Place};

use crate::disagreement::Disagreement;

/// Why there is no verdict. But for [`Error::Unknown`], and [`Error::NotVerified`]
/// of a receipt that was asked for, nothing was handed in that could still take
/// effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client without nodes.
    #[error("expected at least one node, found none")]
    NoNodes,
    /// A node that genesis does not name.
    #[error("the genesis document names no replica {id}")]
    NoSuchReplica {
        /// Which.
        id: ReplicaId,
    },
    /// A node that is named twice: its word would count twice.
    #[error("replica {id} is named twice")]
    SameReplica {
        /// Which.
        id: ReplicaId,
    },
    /// No nonce can be made.
    #[error("the system gives no randomness: {0}")]
    NoRandomness(#[source] KeyError),
    /// Only who made a proposal can sign its transaction.
    #[error("the proposal is by {creator}, and the key to sign with is {found}")]
    WrongKey {
        /// Who made the proposal.
        creator: PublicKey,
        /// The key that was given.
        found: PublicKey,
    },
    /// A node was not reachable or answered with nonsense, and no other was there.
    /// Refusals are [`Error::Refused`].
    #[error(transparent)]
    Node(ClientError),
    /// None of the nodes is reachable.
    #[error("no node is reachable: {last}")]
    NoNode {
        /// What came of the last one.
        last: ClientError,
    },
    /// So few nodes are reachable that they cannot meet the endorsement policy.
    #[error("too few endorsers are reachable: {last}")]
    TooFewEndorsers {
        /// What came of one that is missing.
        last: ClientError,
    },
    /// Refused before it was ordered; or a question that was.
    #[error("{}", .body.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The node's code and reasons.
        body: Box<ErrorBody>,
    },
    /// The proposal is that of a transaction which stands in the chain, according
    /// to a node: its receipt says what became of it.
    #[error("transaction {id} is committed already, a node says")]
    AlreadyCommitted {
        /// Which.
        id: TransactionId,
        /// Where.
        place: Option<Place>,
    },
    /// Endorsers do not agree, and no part of them that does is enough.
    #[error("the endorsers do not agree on what the proposal does: {0}")]
    Disagreement(Disagreement),
    /// An endorser's answer does not hold, and too few others are left.
    #[error("the answer of {node} does not hold: {source}")]
    BadEndorsement {
        /// The name of the endorser.
        node: String,
        /// What is wrong with it.
        source: AssembleError,
    },
    /// The transaction was handed in, or may have been, and what became of it is
    /// not known. Handing in the same one again is safe: it counts once. A new
    /// proposal for the same is not.
    #[error("transaction {} may have been handed in, and what became of it is not known yet", .transaction.proposal.id())]
    Unknown {
        /// What was handed in.
        transaction: Box<Transaction>,
        /// What came of the last attempt, if it failed.
        last: Option<Box<Error>>,
    },
    /// A node showed what does not hold.
    #[error(transparent)]
    NotVerified(#[from] Unverified),
    /// A quorum does not answer alike.
    #[error("no {quorum} nodes give one answer at one height: {said}")]
    NoQuorum {
        /// How many there would have to be.
        quorum: usize,
        /// Who said what.
        said: String,
    },
}

/// What a node showed that does not hold against genesis.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The receipt of something else.
    #[error("asked for the receipt of {asked}, the node gave that of {found} with {code}")]
    OtherReceipt {
        /// What was asked for.
        asked: Locator,
        /// What came.
        found: TransactionId,
        /// The verdict in it.
        code: ValidationCode,
    },
    /// A receipt that no quorum attests.
    #[error("the node's receipt does not hold: {0}")]
    Receipt(#[from] ReceiptError),
    /// With a fresh nonce nothing can have been committed before.
    #[error("a node claims that a proposal just made is committed already{}", in_block(.place.as_ref()))]
    CommittedBefore {
        /// Where, by its word.
        place: Option<Place>,
    },
}

fn in_block(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!(" in block {}", place.block))
}

impl Error {
    /// Whether it is because the nodes have no room for now, and nothing was handed in.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status: 429, .. })
    }

    /// Whether it is because no node, or too few of them, could be reached.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::NoNode { .. }
            | Self::TooFewEndorsers { .. }
            | Self::Node(ClientError::Unreachable { .. }) => true,
            Self::Unknown { last, .. } => last.as_ref().is_some_and(|last| last.is_unreachable()),
            _ => false,
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { status, body } => Self::Refused { status, body },
            error => Self::Node(error),
        }
    }
}
