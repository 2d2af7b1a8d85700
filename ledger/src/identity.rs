//! Who may act: members of organisations, each with one role and one key.

use std::fmt;
use std::str::FromStr;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use crypto::PublicKey;
use crypto::codec::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::is_organisation_name;

/// The name of an organisation: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
pub struct OrgId(String);

impl OrgId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that names no organisation.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{found:?} cannot be an organisation's name: 1 to 64 lower-case letters, digits or hyphens can"
)]
pub struct ParseOrgIdError {
    /// The text as it came, cut after 80 characters.
    pub found: String,
}

impl FromStr for OrgId {
    type Err = ParseOrgIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_organisation_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseOrgIdError {
            found: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<Context> Decode<Context> for OrgId {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        String::decode(decoder)?
            .parse()
            .map_err(|error: ParseOrgIdError| DecodeError::OtherString(error.to_string()))
    }
}

bincode::impl_borrow_decode!(OrgId);

impl Serialize for OrgId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for OrgId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What a member may do for its organisation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Speaks for the organisation, and may propose.
    Admin,
    /// Proposes transactions.
    Client,
    /// Executes proposals and endorses what they do; does not propose.
    Peer,
}

impl Role {
    /// Whether members of this role may create transactions.
    #[must_use]
    pub fn may_propose(self) -> bool {
        matches!(self, Self::Admin | Self::Client)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Client => "client",
            Self::Peer => "peer",
        })
    }
}

/// A text that is no role.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} is no role: admin, client and peer are")]
pub struct ParseRoleError {
    /// The text as it came, cut after 80 characters.
    pub found: String,
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "admin" => Ok(Self::Admin),
            "client" => Ok(Self::Client),
            "peer" => Ok(Self::Peer),
            _ => Err(ParseRoleError {
                found: text.chars().take(80).collect(),
            }),
        }
    }
}

/// A member, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// What the organisation calls the member.
    pub name: String,
    /// Whose member it is.
    pub organisation: OrgId,
    /// What it may do.
    pub role: Role,
    /// The key it signs with; no other member has it.
    pub key: PublicKey,
}
