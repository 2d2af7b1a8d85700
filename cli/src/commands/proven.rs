//! What a node tells of a transaction, held against what a quorum attests: the receipt
//! proves the transaction's bytes, the verdict and its reason, and the receipts of
//! other transactions who wrote what the reason points at.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use crypto::PublicKey;
use ledger::{
    ContractDefinition, EndorsementPolicy, Locator, Reason, Receipt, Shortfall, Transaction,
    TransactionHash, Version,
};
use node::api::types::{
    PolicyAnswer, ReasonAnswer, Signers, TransactionAnswer, VersionAnswer, WriteAnswer,
};

use crate::exit::{Failure, Outcome};
use crate::network::Network;

/// A transaction whose receipt has its hash.
pub(crate) struct Proven {
    pub(crate) receipt: Receipt,
    transaction: Transaction,
}

fn otherwise() -> Failure {
    let message = "the node explains the verdict otherwise than a quorum attests";
    Failure::not_verified(message).hint("`--node` asks another one")
}

/// A part of a transaction that a reason names.
fn at<T>(parts: &[T], position: u32) -> Outcome<&T> {
    let found = usize::try_from(position).ok().and_then(|at| parts.get(at));
    found.ok_or_else(otherwise)
}

impl Proven {
    pub(crate) async fn of(network: &Network, locator: Locator) -> Outcome<Self> {
        let receipt = network.client.receipt(locator, Duration::ZERO).await?;
        let (number, index) = (receipt.header.number, receipt.proof.index);
        let stored = network.ask(async |node| node.stored_block(number, None).await);
        let transactions = stored.await?.block.transactions;
        let bytes = usize::try_from(index)
            .ok()
            .and_then(|at| transactions.get(at));
        let proven = bytes.filter(|it| TransactionHash::of_bytes(it) == receipt.transaction_hash);
        let transaction = proven.and_then(|it| crypto::decode(it, it.len()).ok());
        Ok(Self {
            transaction: transaction.ok_or_else(otherwise)?,
            receipt,
        })
    }

    /// Holds against it what a node tells of it. Of what the node says, only two things
    /// are nobody else's word: that a key which is not there was deleted last where it
    /// says so, and the policy of a key which was written after that was set.
    pub(crate) async fn hold(&self, network: &Network, told: &TransactionAnswer) -> Outcome {
        let names = self.names(network).await?;
        let name = |key: &PublicKey| names.get(key).cloned().unwrap_or_else(|| key.to_string());
        let endorsements = self.transaction.endorsements.iter();
        let signers = Signers {
            creator: name(&self.transaction.proposal.creator),
            endorsers: endorsements.map(|it| name(&it.endorser)).collect(),
        };
        let reason = match (&self.receipt.reason, &told.reason) {
            (None, None) => None,
            (Some(reason), Some(told)) => Some(
                self.reason(network, reason, told, &signers.endorsers)
                    .await?,
            ),
            _ => return Err(otherwise()),
        };
        let place = Version {
            block: self.receipt.header.number,
            index: u32::try_from(self.receipt.proof.index).map_err(|_| otherwise())?,
        };
        let verdict = (self.receipt.code, reason);
        let proven = TransactionAnswer::of(self.transaction.clone(), place, verdict, signers);
        (proven == *told).then_some(()).ok_or_else(otherwise)
    }

    /// The names of those who signed, as genesis has them or a quorum of nodes.
    async fn names(&self, network: &Network) -> Outcome<BTreeMap<PublicKey, String>> {
        let members = network.genesis().members().iter();
        let full = |name: &str, organisation: &dyn Display| format!("{name}@{organisation}");
        let mut names: BTreeMap<_, _> = members
            .map(|it| (it.key, full(&it.name, &it.organisation)))
            .collect();
        let endorsers = self.transaction.endorsements.iter().map(|it| it.endorser);
        let mut signers = endorsers.chain([self.transaction.proposal.creator]);
        if signers.any(|key| !names.contains_key(&key)) {
            let members = network.client.agreed(async |node| node.members().await);
            for member in members.await?.answer.members {
                let key = member.key.parse().map_err(|_| otherwise())?;
                names.insert(key, full(&member.name, &member.organisation));
            }
        }
        Ok(names)
    }

    /// The reason as it is to be told, to those endorsers by name.
    async fn reason(
        &self,
        network: &Network,
        reason: &Reason,
        told: &ReasonAnswer,
        endorsers: &[String],
    ) -> Outcome<ReasonAnswer> {
        let rwset = &self.transaction.rwset;
        Ok(match (reason, told) {
            (Reason::Read { position, found }, ReasonAnswer::Read { written, .. }) => {
                let read = at(&rwset.reads, *position)?;
                let place = found.map(VersionAnswer::from);
                let place = place.or(written.as_ref().map(|written| written.place));
                ReasonAnswer::Read {
                    key: read.key.clone(),
                    read: read.version.map(Into::into),
                    found: found.map(Into::into),
                    written: match place {
                        Some(place) => Some(write_at(network, place).await?),
                        None => None,
                    },
                }
            }
            (Reason::Range { position, newest }, _) => {
                let range = at(&rwset.ranges, *position)?;
                ReasonAnswer::Range {
                    start: range.start.clone(),
                    end: range.end.clone(),
                    newest: newest.map(Into::into),
                }
            }
            (Reason::Policy(shortfall), ReasonAnswer::Policy { policy, .. }) => {
                let policy = policy.parse().map_err(|_| otherwise())?;
                self.shortfall(network, shortfall, &policy, endorsers)
                    .await?
            }
            (Reason::Earlier { place }, _) => ReasonAnswer::Earlier {
                place: (*place).into(),
            },
            (Reason::Member { since }, _) => ReasonAnswer::Member {
                since: write_at(network, (*since).into()).await?,
            },
            (Reason::Contract { agreed, since }, _) => ReasonAnswer::Contract {
                executed: self.transaction.contract_version,
                agreed: *agreed,
                since: write_at(network, (*since).into()).await?,
            },
            _ => return Err(otherwise()),
        })
    }

    async fn shortfall(
        &self,
        network: &Network,
        shortfall: &Shortfall,
        policy: &EndorsementPolicy,
        endorsers: &[String],
    ) -> Outcome<ReasonAnswer> {
        let touched = self.transaction.rwset.touched();
        let key = match shortfall.key {
            Some(position) => Some((*at(&touched, position)?).to_owned()),
            None => None,
        };
        let contract = &self.transaction.proposal.contract;
        let set = policy_set_at(network, shortfall.since, contract, key.as_deref()).await?;
        if set.is_some_and(|set| set != *policy) {
            return Err(otherwise());
        }
        let signers = |positions: &[u8]| -> Outcome<Vec<String>> {
            let positions = positions.iter();
            let signers = positions.map(|of| Ok(at(endorsers, u32::from(*of))?.clone()));
            signers.collect()
        };
        Ok(ReasonAnswer::Policy {
            key,
            policy: policy.to_string(),
            since: write_at(network, shortfall.since.into()).await?,
            tree: PolicyAnswer::of(&policy.tree(&shortfall.met), endorsers),
            strangers: signers(&shortfall.strangers)?,
            revoked: signers(&shortfall.revoked)?,
        })
    }
}

/// Who has written at a place of the chain.
async fn write_at(network: &Network, place: VersionAnswer) -> Outcome<WriteAnswer> {
    let transaction_id = match place {
        VersionAnswer { block: 0, .. } => None,
        VersionAnswer { block, index } => {
            let locator = Locator::Place(Version { block, index });
            let receipt = network.client.receipt(locator, Duration::ZERO).await?;
            Some(receipt.transaction_id.to_string())
        }
    };
    Ok(WriteAnswer {
        place,
        transaction_id,
    })
}

/// The policy of a contract, or of one of its keys, that was set at a place of the chain;
/// none where a key was written there and kept the policy that it had.
async fn policy_set_at(
    network: &Network,
    place: Version,
    contract: &str,
    key: Option<&str>,
) -> Outcome<Option<EndorsementPolicy>> {
    if place.block == 0 {
        let mut contracts = network.genesis().contracts().iter();
        let definition = contracts.find(|it| key.is_none() && it.name == contract);
        return definition
            .map(|it| Some(it.policy.clone()))
            .ok_or_else(otherwise);
    }
    let setting = Proven::of(network, Locator::Place(place)).await?;
    let Transaction {
        proposal, rwset, ..
    } = &setting.transaction;
    if let Some(key) = key {
        let mut set = rwset.policies.iter();
        let set = set.find(|set| set.key == key);
        return Ok(set.and_then(|set| set.policy.clone()));
    }
    let mut writes = rwset.writes.iter();
    let written = writes.find(|write| write.key == contract);
    let value = written.and_then(|write| write.value.as_ref()?.bytes(&proposal.args));
    let definition = value.and_then(|it| crypto::decode::<ContractDefinition>(it, it.len()).ok());
    definition.map(|it| Some(it.policy)).ok_or_else(otherwise)
}
