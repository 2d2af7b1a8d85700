//! What became of a transaction, with what shows it.
//!
//! A reason is evidence and no prose: it points at places of the chain, where
//! anyone can look. It stands in the block and its results root covers it, so
//! that a receipt proves the reason along with the code. Its size is bounded by
//! that of its transaction, and the block's thereby.

use crypto::codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::ValidationCode;
use crate::endorsement::Response;
use crate::rwset::Version;
use crate::transaction::Transaction;

/// The verdict on a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Verdict {
    /// The verdict in one word.
    pub code: ValidationCode,
    /// What shows it, where the transaction and its place do not already.
    pub reason: Option<Reason>,
}

impl Verdict {
    /// It took effect.
    pub const VALID: Self = Self {
        code: ValidationCode::Valid,
        reason: None,
    };

    /// The answer of the transaction, if it is one that counts.
    #[must_use]
    pub fn response_of<'a>(&self, transaction: &'a Transaction) -> Option<&'a Response> {
        (self.code == ValidationCode::Valid).then_some(&transaction.response)
    }
}

/// What shows that a verdict is right.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Of [`ValidationCode::MvccReadConflict`].
    Read {
        /// The position among the transaction's reads of the first that does not hold.
        position: u32,
        /// The version that the key had; none when there was no such key.
        found: Option<Version>,
    },
    /// Of [`ValidationCode::PhantomReadConflict`].
    Range {
        /// The position among the transaction's ranges of the first that does not hold.
        position: u32,
        /// The newest of the rows that were found in it; none when there were
        /// none, or more than a transaction may read.
        newest: Option<Version>,
    },
    /// Of [`ValidationCode::EndorsementPolicyFailure`].
    Policy(Shortfall),
    /// Of [`ValidationCode::DuplicateTransaction`].
    Earlier {
        /// Where its id stands already.
        place: Version,
    },
    /// Of [`ValidationCode::CreatorRevoked`] and [`ValidationCode::CreatorNotPermitted`].
    Member {
        /// Where it was written what the creator is.
        since: Version,
    },
    /// Of [`ValidationCode::ContractVersionMismatch`].
    Contract {
        /// The version that the network had agreed on.
        agreed: u32,
        /// Where it did.
        since: Version,
    },
}

/// How endorsements fell short of a policy. Positions are those of the
/// transaction's endorsements, and of the policy's principals from left to right.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Shortfall {
    /// Whose policy: the position among the keys that the transaction writes or
    /// sets policies of, ascending; none for the contract's own.
    pub key: Option<u32>,
    /// Where the policy was written.
    pub since: Version,
    /// Principals that are met, each with the endorsement that meets it.
    pub met: Vec<(u8, u8)>,
    /// Endorsements whose signers are no members.
    pub strangers: Vec<u8>,
    /// Endorsements whose signers' keys have been revoked.
    pub revoked: Vec<u8>,
}
