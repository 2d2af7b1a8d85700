//! What a replica must find again after a crash, so that it never contradicts
//! what it said before.

use crypto::codec::{self, CodecError, Decode, Encode};

use crate::certificate::PreparedCertificate;
use crate::message::{NewView, Proposed, Signed, ViewChange};
use crate::{Batch, CheckpointCertificate, SequenceNumber};

/// Sequence number, big-endian, and kind.
pub type RecordKey = [u8; 9];

/// Something made durable before what it permits is sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// At a backup: this PRE-PREPARE was accepted, a PREPARE for it may be sent.
    /// At the primary: the PRE-PREPARE may be sent. Whoever stores this record
    /// stores the requests of the batch with it: a replica votes only for what
    /// it can execute, also after a restart.
    PrePrepared(Proposed),
    /// The batch prepared, a COMMIT for it may be sent.
    Prepared(PreparedCertificate),
    /// What was voted for in earlier views than `PrePrepared` is of, the batch
    /// that `Prepared` is about among it: whoever voted for a batch can also
    /// produce it.
    VotedBefore {
        /// Their sequence number.
        sequence: SequenceNumber,
        /// The batches, the newest last.
        batches: Vec<Batch>,
    },
    /// The proof of the low watermark, kept with the records that it makes needless.
    Stable(CheckpointCertificate),
    /// This VIEW-CHANGE may be sent: nothing is voted for in earlier views, and
    /// nothing else is ever said about this one.
    ViewChange(Signed<ViewChange>),
    /// This NEW-VIEW was accepted, or made, and its view entered.
    NewView(Signed<NewView>),
    /// This replica lost what it had voted. It sends no vote for any sequence
    /// number up to this one, and none at all before this one is stable.
    Listening {
        /// Beyond anything it may have voted for: [`Record::UNKNOWN`] until the
        /// others have said where they stand, and 0 once the listening is over.
        until: SequenceNumber,
    },
}

impl Record {
    /// Listens until a sequence number that is not known yet.
    pub const UNKNOWN: SequenceNumber = SequenceNumber(u64::MAX);

    /// The largest encoding of a record, in bytes.
    pub const MAX_BYTES: usize = crate::Message::MAX_BYTES;

    /// Where the record is kept. Records of equal key replace each other: of a
    /// sequence number, what is of a later view. The order of keys is that of
    /// the sequence numbers (so that a prefix can be forgotten by one range).
    /// What is of no sequence number has 0: it is never in a range to be forgotten.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        let (sequence, kind) = match self {
            Self::Listening { .. } => (SequenceNumber(0), 0),
            Self::Stable(_) => (SequenceNumber(0), 1),
            Self::ViewChange(_) => (SequenceNumber(0), 2),
            Self::NewView(_) => (SequenceNumber(0), 3),
            Self::PrePrepared(proposed) => (proposed.pre_prepare.body.sequence, 1),
            Self::Prepared(certificate) => (certificate.pre_prepare.body.sequence, 2),
            Self::VotedBefore { sequence, .. } => (*sequence, 3),
        };
        let mut key = [0; 9];
        key[..8].copy_from_slice(&sequence.0.to_be_bytes());
        key[8] = kind;
        key
    }

    /// The canonical bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The record of these bytes.
    ///
    /// # Errors
    ///
    /// When they are no canonical encoding of a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }
}
