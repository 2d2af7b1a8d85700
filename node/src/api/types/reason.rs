//! Why a transaction is not valid, with the places of the chain that show it.

use ledger::PolicyTree;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::VersionAnswer;

/// A write of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WriteAnswer {
    /// Where it stands.
    pub place: VersionAnswer,
    /// The transaction that wrote; none for what genesis wrote.
    pub transaction_id: Option<String>,
}

/// What shows that a transaction is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReasonAnswer {
    /// A key that it had read was written in the meantime.
    Read {
        /// The key.
        key: String,
        /// The version that its endorsers saw; none when there was no such key.
        read: Option<VersionAnswer>,
        /// The version that there was; none when there was no such key.
        found: Option<VersionAnswer>,
        /// The last write before it, or deletion.
        written: Option<WriteAnswer>,
    },
    /// A range that it had read has changed in the meantime.
    Range {
        /// The first key of the range.
        start: String,
        /// The key after it; empty when it went to the end.
        end: String,
        /// The place of the newest of the rows that there were.
        newest: Option<VersionAnswer>,
    },
    /// Its endorsers do not meet a policy.
    Policy {
        /// The key whose own policy it is; none for the contract's.
        key: Option<String>,
        /// The policy.
        policy: String,
        /// Where the policy was written.
        since: WriteAnswer,
        /// The policy part by part.
        tree: PolicyAnswer,
        /// Endorsers who are no members.
        strangers: Vec<String>,
        /// Endorsers whose keys had been revoked.
        revoked: Vec<String>,
    },
    /// Its id stands in the chain already.
    Earlier {
        /// Where.
        place: VersionAnswer,
    },
    /// Its creator may not propose.
    Member {
        /// Where it was written what the creator is.
        since: WriteAnswer,
    },
    /// Another version of the contract was agreed on.
    Contract {
        /// The version that its endorsers executed.
        executed: u32,
        /// The version that was agreed on.
        agreed: u32,
        /// Where.
        since: WriteAnswer,
    },
}

/// A policy or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAnswer {
    /// Any one member of a role of an organisation.
    Principal {
        /// Who, as `'organisation.role'`.
        principal: String,
        /// The endorser that met it, if one did.
        met_by: Option<String>,
    },
    /// Some number of parts.
    OutOf {
        /// How many it takes.
        needed: usize,
        /// Whether so many were met.
        met: bool,
        /// The parts.
        #[schema(no_recursion)]
        of: Vec<PolicyAnswer>,
    },
}

impl PolicyAnswer {
    /// A part of a policy that these endorsers, by name, meet or do not.
    #[must_use]
    pub fn of(part: &PolicyTree, endorsers: &[String]) -> Self {
        match part {
            PolicyTree::Principal { principal, met_by } => Self::Principal {
                principal: principal.to_string(),
                met_by: met_by.and_then(|at| endorsers.get(usize::from(at)).cloned()),
            },
            PolicyTree::OutOf { needed, of } => Self::OutOf {
                needed: *needed,
                met: part.is_met(),
                of: of.iter().map(|part| Self::of(part, endorsers)).collect(),
            },
        }
    }
}
