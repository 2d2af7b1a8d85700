//! What replicas send each other.
//!
//! Votes are [`Signed`] and mean the same whoever hands them on: the sender of
//! a vote is who signed it, never the peer it came from. [`Status`] is not
//! signed: it is a hint from the peer at the other end of an authenticated
//! connection, and nothing worse than a useless retransmission follows from a lie.

mod checkpoint;
mod normal;
mod signed;
mod status;
mod view_change;

pub use checkpoint::Checkpoint;
pub use normal::{Commit, PrePrepare, Prepare, Proposed};
pub use signed::{Body, Signed};
pub use status::{SlotStatus, Status};
pub use view_change::{NewView, ViewChange};

use crypto::codec::{self, CodecError, Decode, Encode};

use crate::CheckpointCertificate;

/// One message between replicas.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Message {
    /// The primary assigns a sequence number to a batch (paper, 4.2).
    PrePrepare(Proposed),
    /// A backup agrees to that assignment.
    Prepare(Signed<Prepare>),
    /// A replica knows that a quorum agrees.
    Commit(Signed<Commit>),
    /// A replica has executed, with this outcome (paper, 4.3).
    Checkpoint(Signed<Checkpoint>),
    /// A quorum has executed, with this outcome.
    CheckpointCertificate(CheckpointCertificate),
    /// Where the sender stands and what it lacks.
    Status(Status),
    /// A replica has left its view (paper, 4.4).
    ViewChange(Signed<ViewChange>),
    /// The primary of the next view begins it.
    NewView(Signed<NewView>),
}

impl Message {
    /// The largest encoding of a message, in bytes: a NEW-VIEW in which every
    /// replica has a whole log window prepared. Genesis sees to it that it fits.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// The largest encoding of a PRE-PREPARE with its batch, in bytes.
    pub const MAX_PRE_PREPARE_BYTES: usize = 1024 * 1024;

    /// The canonical bytes of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The message of these bytes: well-formed, but believed by nobody until
    /// the [`Verifier`](crate::Verifier) has seen it.
    ///
    /// # Errors
    ///
    /// When the bytes are too many or no canonical encoding of a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }

    /// How many signatures are looked at before it is believed.
    #[must_use]
    pub fn signatures(&self) -> usize {
        let of_view_change = |vote: &Signed<ViewChange>| {
            let stable = vote.body.stable.as_ref();
            let stable = stable.map_or(0, |of| of.signatures.len());
            let prepared = vote.body.prepared.iter();
            1 + stable + prepared.map(|of| 1 + of.prepares.len()).sum::<usize>()
        };
        match self {
            Self::PrePrepare(_) | Self::Prepare(_) | Self::Commit(_) | Self::Checkpoint(_) => 1,
            Self::CheckpointCertificate(certificate) => certificate.signatures.len(),
            Self::Status(_) => 0,
            Self::ViewChange(vote) => of_view_change(vote),
            Self::NewView(new_view) => {
                let body = &new_view.body;
                let votes = body.view_changes.iter().map(of_view_change);
                1 + votes.sum::<usize>() + body.pre_prepares.len()
            }
        }
    }

    /// The message's name in the paper.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PrePrepare(_) => "PRE-PREPARE",
            Self::Prepare(_) => "PREPARE",
            Self::Commit(_) => "COMMIT",
            Self::Checkpoint(_) => "CHECKPOINT",
            Self::CheckpointCertificate(_) => "CHECKPOINT-CERTIFICATE",
            Self::Status(_) => "STATUS",
            Self::ViewChange(_) => "VIEW-CHANGE",
            Self::NewView(_) => "NEW-VIEW",
        }
    }
}
