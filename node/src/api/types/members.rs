//! Who belongs to the network, and which contracts it has.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everybody who has or had a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MembersAnswer {
    /// After this block.
    pub height: u64,
    /// By organisation and name; of one name the key that holds comes last.
    pub members: Vec<MemberAnswer>,
}

/// A member, or one of its former keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberAnswer {
    /// Its name.
    pub name: String,
    /// Its organisation.
    pub organisation: String,
    /// `admin`, `client` or `peer`.
    pub role: String,
    /// The key.
    pub key: String,
    /// Whether what the key signs counts no more.
    pub revoked: bool,
}

/// The contracts of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContractsAnswer {
    /// After this block.
    pub height: u64,
    /// By name.
    pub contracts: Vec<ContractAnswer>,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContractAnswer {
    /// Its name.
    pub name: String,
    /// The version of it that is agreed on.
    pub version: u32,
    /// Who must endorse its transactions.
    pub policy: String,
}
