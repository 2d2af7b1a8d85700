//! A transaction that stands in the chain.

use ledger::{Transaction, ValidationCode, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EventAnswer, ReasonAnswer, VersionAnswer};

/// A transaction that stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionAnswer {
    /// Its id.
    pub transaction_id: String,
    /// Its block.
    pub block: u64,
    /// Its position in the block.
    pub index: u32,
    /// The verdict on it.
    pub code: String,
    /// What shows that the verdict is right, where there is more to show.
    pub reason: Option<ReasonAnswer>,
    /// The contract called.
    pub contract: String,
    /// The version of it that its endorsers executed.
    pub contract_version: u32,
    /// The function called.
    pub function: String,
    /// With these arguments.
    pub args: Vec<String>,
    /// Who called, as `name@organisation`.
    pub creator: String,
    /// Who endorsed.
    pub endorsers: Vec<String>,
    /// What the contract answered, as text.
    pub response: String,
    /// What it announced.
    pub events: Vec<EventAnswer>,
    /// What it read, as `key` and the version it saw.
    pub reads: Vec<ReadAnswer>,
    /// The keys it wrote.
    pub writes: Vec<String>,
    /// The keys whose endorsement policies it set.
    pub policies: Vec<String>,
}

/// A key that was read, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadAnswer {
    /// The key.
    pub key: String,
    /// The place of the write that was seen; none when there was no such key.
    pub version: Option<VersionAnswer>,
}

/// The names of those who signed a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers {
    /// Who called.
    pub creator: String,
    /// Who endorsed, in the order of the endorsements.
    pub endorsers: Vec<String>,
}

impl TransactionAnswer {
    /// What is to be said of a transaction at this place, with this verdict.
    #[must_use]
    pub fn of(
        transaction: Transaction,
        place: Version,
        (code, reason): (ValidationCode, Option<ReasonAnswer>),
        signers: Signers,
    ) -> Self {
        let ledger::Response { payload, events } = &transaction.response;
        let reads = transaction.rwset.reads.iter().map(|read| ReadAnswer {
            key: read.key.clone(),
            version: read.version.map(Into::into),
        });
        let writes = transaction.rwset.writes.iter();
        let policies = transaction.rwset.policies.iter();
        Self {
            transaction_id: transaction.proposal.id().to_string(),
            block: place.block,
            index: place.index,
            code: code.to_string(),
            reason,
            creator: signers.creator,
            endorsers: signers.endorsers,
            response: String::from_utf8_lossy(payload).into_owned(),
            events: events.iter().map(EventAnswer::from).collect(),
            reads: reads.collect(),
            writes: writes.map(|write| write.key.clone()).collect(),
            policies: policies.map(|set| set.key.clone()).collect(),
            contract_version: transaction.contract_version,
            contract: transaction.proposal.contract,
            function: transaction.proposal.function,
            args: transaction.proposal.args,
        }
    }
}
