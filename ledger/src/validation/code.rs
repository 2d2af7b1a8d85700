//! The verdicts, in Fabric's words where Fabric has them.

use std::fmt;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use crypto::codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What became of a transaction. Only [`ValidationCode::Valid`] ones change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum ValidationCode {
    /// It took effect.
    Valid = 0,
    /// A key it had read was written in the meantime.
    MvccReadConflict = 1,
    /// A range it had read has changed in the meantime.
    PhantomReadConflict = 2,
    /// Its endorsers are not those that the contract's policy asks for.
    EndorsementPolicyFailure = 3,
    /// Its id stands in the chain already.
    DuplicateTransaction = 4,
    /// Its creator is not a member.
    UnknownCreator = 5,
    /// Its creator is a member of a role that does not propose.
    CreatorNotPermitted = 6,
    /// There is no such contract.
    UnknownContract = 7,
    /// It was ordered after the last block in which it could take effect.
    Expired = 8,
    /// Its creator's key has been revoked.
    CreatorRevoked = 9,
    /// It calls the system, which does something else when it is called so.
    WrongEffects = 10,
    /// It was executed by another version of its contract than the network has agreed on.
    ContractVersionMismatch = 11,
}

impl ValidationCode {
    /// Every code; its position is its number.
    pub const ALL: [Self; 12] = [
        Self::Valid,
        Self::MvccReadConflict,
        Self::PhantomReadConflict,
        Self::EndorsementPolicyFailure,
        Self::DuplicateTransaction,
        Self::UnknownCreator,
        Self::CreatorNotPermitted,
        Self::UnknownContract,
        Self::Expired,
        Self::CreatorRevoked,
        Self::WrongEffects,
        Self::ContractVersionMismatch,
    ];

    /// The code as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::MvccReadConflict => "MVCC_READ_CONFLICT",
            Self::PhantomReadConflict => "PHANTOM_READ_CONFLICT",
            Self::EndorsementPolicyFailure => "ENDORSEMENT_POLICY_FAILURE",
            Self::DuplicateTransaction => "DUPLICATE_TRANSACTION",
            Self::UnknownCreator => "UNKNOWN_CREATOR",
            Self::CreatorNotPermitted => "CREATOR_NOT_PERMITTED",
            Self::UnknownContract => "UNKNOWN_CONTRACT",
            Self::Expired => "EXPIRED",
            Self::CreatorRevoked => "CREATOR_REVOKED",
            Self::WrongEffects => "WRONG_EFFECTS",
            Self::ContractVersionMismatch => "CONTRACT_VERSION_MISMATCH",
        }
    }
}

impl fmt::Display for ValidationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// One byte, where the derived encoding of an enum would take four.
impl Encode for ValidationCode {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (*self as u8).encode(encoder)
    }
}

impl<Context> Decode<Context> for ValidationCode {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let number = u8::decode(decoder)?;
        Self::ALL
            .get(usize::from(number))
            .copied()
            .ok_or_else(|| DecodeError::OtherString(format!("{number} is no validation code")))
    }
}

bincode::impl_borrow_decode!(ValidationCode);

#[cfg(test)]
mod tests {
    use crypto::{decode, encode};

    use super::*;

    /// Stored blocks and receipts hold these numbers and words for ever.
    #[test]
    fn a_code_is_one_byte_and_one_word_everywhere() {
        for (number, code) in (0_u8..).zip(ValidationCode::ALL) {
            assert_eq!(encode(&code), [number]);
            assert_eq!(decode::<ValidationCode>(&[number], 1).unwrap(), code);
            let json = format!("\"{code}\"");
            assert_eq!(serde_json::to_string(&code).unwrap(), json);
            assert_eq!(serde_json::from_str::<ValidationCode>(&json).unwrap(), code);
        }
        assert!(decode::<ValidationCode>(&[12], 1).is_err());
    }
}
