//! Why a transaction is not valid: what its block says of it, with the writes
//! and the policy that this points at.

use ledger::state::{CONTRACTS, MEMBERS};
use ledger::{ContractDefinition, Ledger, LedgerError, Reason, Shortfall, Transaction, Version};

use super::present::Names;
use super::types::{PolicyAnswer, ReasonAnswer, WriteAnswer};

/// The reason of a transaction at `place`, resolved.
pub(super) fn resolve(
    ledger: &Ledger,
    names: &mut Names<'_>,
    place: Version,
    transaction: &Transaction,
    reason: &Reason,
) -> Result<ReasonAnswer, LedgerError> {
    let proposal = &transaction.proposal;
    let chain = Chain { ledger, place };
    Ok(match reason {
        Reason::Read { position, found } => {
            let read = at(&transaction.rwset.reads, *position)?;
            ReasonAnswer::Read {
                key: read.key.clone(),
                read: read.version.map(Into::into),
                found: found.map(Into::into),
                written: chain.written(&proposal.contract, &read.key)?,
            }
        }
        Reason::Range { position, newest } => {
            let range = at(&transaction.rwset.ranges, *position)?;
            ReasonAnswer::Range {
                start: range.start.clone(),
                end: range.end.clone(),
                newest: newest.map(Into::into),
            }
        }
        Reason::Policy(shortfall) => chain.shortfall(names, transaction, shortfall)?,
        Reason::Earlier { place } => ReasonAnswer::Earlier {
            place: (*place).into(),
        },
        Reason::Member { since } => ReasonAnswer::Member {
            since: chain.write_at(MEMBERS, &proposal.creator.to_string(), *since)?,
        },
        Reason::Contract { agreed, since } => ReasonAnswer::Contract {
            executed: transaction.contract_version,
            agreed: *agreed,
            since: chain.write_at(CONTRACTS, &proposal.contract, *since)?,
        },
    })
}

/// What a reason points at. That it is there follows from how reasons are made.
fn at<T>(parts: &[T], position: u32) -> Result<&T, LedgerError> {
    let found = usize::try_from(position).ok().and_then(|at| parts.get(at));
    found.ok_or(LedgerError::NoSuchEvidence)
}

/// The chain as it was before a place of it.
struct Chain<'a> {
    ledger: &'a Ledger,
    place: Version,
}

impl Chain<'_> {
    /// The last write to a key.
    fn written(&self, namespace: &str, key: &str) -> Result<Option<WriteAnswer>, LedgerError> {
        let entry = self.ledger.last_write(namespace, key, self.place)?;
        Ok(entry.map(|entry| WriteAnswer {
            place: entry.version.into(),
            transaction_id: entry.transaction_id.map(|id| id.to_string()),
        }))
    }

    /// The last write to a key, of which a reason says where it stands.
    fn write_at(
        &self,
        namespace: &str,
        key: &str,
        since: Version,
    ) -> Result<WriteAnswer, LedgerError> {
        let written = self.written(namespace, key)?;
        let written = written.filter(|written| written.place == since.into());
        written.ok_or(LedgerError::NoSuchEvidence)
    }

    fn shortfall(
        &self,
        names: &mut Names<'_>,
        transaction: &Transaction,
        shortfall: &Shortfall,
    ) -> Result<ReasonAnswer, LedgerError> {
        let contract = &transaction.proposal.contract;
        let touched = transaction.rwset.touched();
        let key = match shortfall.key {
            Some(position) => Some((*at(&touched, position)?).to_owned()),
            None => None,
        };
        let (namespace, row) = match &key {
            Some(key) => (contract.as_str(), key),
            None => (CONTRACTS, contract),
        };
        let since = self.write_at(namespace, row, shortfall.since)?;
        let entry = self.ledger.last_write(namespace, row, self.place)?;
        let policy = entry.and_then(|entry| {
            if key.is_some() {
                return entry.policy;
            }
            let value = entry.value?;
            let definition: ContractDefinition = crypto::decode(&value, value.len()).ok()?;
            Some(definition.policy)
        });
        let policy = policy.ok_or(LedgerError::NoSuchEvidence)?;
        let endorsers = names.of_endorsers(transaction)?;
        let signers = |positions: &[u8]| -> Vec<String> {
            let signers = positions.iter();
            let signers = signers.filter_map(|at| endorsers.get(usize::from(*at)));
            signers.cloned().collect()
        };
        Ok(ReasonAnswer::Policy {
            key,
            policy: policy.to_string(),
            since,
            tree: PolicyAnswer::of(&policy.tree(&shortfall.met), &endorsers),
            strangers: signers(&shortfall.strangers),
            revoked: signers(&shortfall.revoked),
        })
    }
}
