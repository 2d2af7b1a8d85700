//! What contracts hold, and how it came to be.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::VersionAnswer;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateAnswer {
    /// The contract whose key it is.
    pub contract: String,
    /// The key.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// The value's bytes.
    pub bytes: String,
    /// The place of the write it comes from.
    pub version: VersionAnswer,
    /// Who must endorse what is done to the key, where that is not for the
    /// contract's policy to say.
    pub policy: Option<String>,
    /// The block after which it is the value.
    pub height: u64,
    /// The hash of that block.
    pub block_hash: String,
}

/// Some keys of a contract, and what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateRangeAnswer {
    /// The contract whose keys they are.
    pub contract: String,
    /// The block after which all of this answer holds. Another page may be of another.
    pub height: u64,
    /// The hash of that block.
    pub block_hash: String,
    /// By ascending key.
    pub rows: Vec<StateRow>,
    /// The last of these keys, if there are more: they come `after` it.
    pub next: Option<String>,
}

/// A key and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateRow {
    /// The key.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// The value's bytes.
    pub bytes: String,
    /// The place of the write it comes from.
    pub version: VersionAnswer,
    /// Who must endorse what is done to the key, where that is not for the
    /// contract's policy to say.
    pub policy: Option<String>,
}

/// What was written to a key, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryAnswer {
    /// The contract whose key it is.
    pub contract: String,
    /// The key.
    pub key: String,
    /// The writes.
    pub entries: Vec<HistoryWrite>,
    /// Where to ask on, when these are not all.
    pub next: Option<VersionAnswer>,
}

/// One write to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryWrite {
    /// Its place.
    pub version: VersionAnswer,
    /// The transaction that wrote; none for what genesis wrote.
    pub transaction_id: Option<String>,
    /// The value as text; none when the key was deleted.
    pub value: Option<String>,
    /// The key's own endorsement policy from then on.
    pub policy: Option<String>,
}
