//! What a replica must find again after a crash, so that it never contradicts
//! what it said before.

use crypto::codec::{self, CodecError, Decode, Encode};

use crate::certificate::PreparedCertificate;
use crate::message::Proposed;
use crate::{SequenceNumber, View};

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
    pub const MAX_BYTES: usize = 2 * 1024 * 1024;

    /// Where the record is kept: records of equal key replace each other, keys
    /// of the same sequence number share their first eight bytes, and their
    /// order is that of the sequence numbers (so that a prefix can be
    /// forgotten by one range). A `Listening` record has key 0: it is never
    /// in a range to be forgotten.
    #[must_use]
    pub fn key(&self) -> [u8; 17] {
        let (sequence, kind, view) = match self {
            Self::Listening { .. } => (SequenceNumber(0), 0, View(0)),
            Self::PrePrepared(proposed) => {
                let body = &proposed.pre_prepare.body;
                (body.sequence, 1, body.view)
            }
            Self::Prepared(certificate) => {
                let body = &certificate.pre_prepare.body;
                (body.sequence, 2, body.view)
            }
        };
        let mut key = [0; 17];
        key[..8].copy_from_slice(&sequence.0.to_be_bytes());
        key[8] = kind;
        key[9..].copy_from_slice(&view.0.to_be_bytes());
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
