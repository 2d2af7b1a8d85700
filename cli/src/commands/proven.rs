//! What a node tells of a transaction, held against what a quorum attests: the receipt
//! proves the transaction's bytes, the verdict and its reason, and the receipts of
//! other transactions who wrote what the reason points at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use crypto::PublicKey;
use futures::FutureExt as _;
use ledger::{
    ContractDefinition, EndorsementPolicy, Locator, Reason, Receipt, Shortfall, Transaction,
    TransactionHash, ValidationCode, Version,
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

/// Whether a part of what was shown is the word of the node that was asked.
pub(crate) struct Hearsay(pub(crate) bool);

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

    /// Holds against it what a node tells of it. Whether a part of that is nobody else's
    /// word comes back: that a key which is not there was deleted last where the node
    /// says so, or the policy of a key that was written again since it was set.
    pub(crate) async fn hold(
        &self,
        network: &Network,
        told: &TransactionAnswer,
    ) -> Outcome<Hearsay> {
        let names = self.names(network).await?;
        let name = |key: &PublicKey| names.get(key).cloned().unwrap_or_else(|| key.to_string());
        let endorsements = self.transaction.endorsements.iter();
        let signers = Signers {
            creator: name(&self.transaction.proposal.creator),
            endorsers: endorsements.map(|it| name(&it.endorser)).collect(),
        };
        let (reason, hearsay) = match (&self.receipt.reason, &told.reason) {
            (None, None) => (None, Hearsay(false)),
            (Some(reason), Some(told)) => {
                let proven = self.reason(network, reason, told, &signers.endorsers);
                let (reason, hearsay) = proven.await?;
                (Some(reason), hearsay)
            }
            _ => return Err(otherwise()),
        };
        let place = Version {
            block: self.receipt.header.number,
            index: u32::try_from(self.receipt.proof.index).map_err(|_| otherwise())?,
        };
        let verdict = (self.receipt.code, reason);
        let proven = TransactionAnswer::of(self.transaction.clone(), place, verdict, signers);
        (proven == *told).then_some(hearsay).ok_or_else(otherwise)
    }

    /// The keys of those who signed.
    fn signers(&self) -> BTreeSet<String> {
        let endorsers = self.transaction.endorsements.iter().map(|it| it.endorser);
        let signers = endorsers.chain([self.transaction.proposal.creator]);
        signers.map(|key| key.to_string()).collect()
    }

    /// The names of those who signed, as genesis has them, or more nodes than may be faulty.
    async fn names(&self, network: &Network) -> Outcome<BTreeMap<PublicKey, String>> {
        let members = network.genesis().members().iter();
        let full = |name: &str, organisation: &dyn Display| format!("{name}@{organisation}");
        let mut names: BTreeMap<_, _> = members
            .map(|it| (it.key, full(&it.name, &it.organisation)))
            .collect();
        let signers = self.signers();
        let known: BTreeSet<String> = names.keys().map(PublicKey::to_string).collect();
        if signers.is_subset(&known) {
            return Ok(names);
        }
        // Whose a key is never changes: that others come meanwhile is no matter.
        let vouched = network.client.vouched(|node| {
            let signers = signers.clone();
            async move {
                let members = node.members().await?.members.into_iter();
                let of_signers = members.filter(|member| signers.contains(&member.key));
                let of_signers = of_signers.map(|it| (it.key, (it.name, it.organisation)));
                Ok(of_signers.collect::<BTreeMap<_, _>>())
            }
            .boxed()
        });
        for (key, (name, organisation)) in vouched.await? {
            let key = key.parse().map_err(|_| otherwise())?;
            names.insert(key, full(&name, &organisation));
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
    ) -> Outcome<(ReasonAnswer, Hearsay)> {
        let rwset = &self.transaction.rwset;
        let proven = match (reason, told) {
            (Reason::Read { position, found }, ReasonAnswer::Read { written, .. }) => {
                let read = at(&rwset.reads, *position)?;
                let written = match (found, written) {
                    (Some(place), _) => Some(write_at(network, (*place).into()).await?),
                    (None, Some(told)) => Some(self.deletion(network, told, &read.key).await?),
                    (None, None) => None,
                };
                let reason = ReasonAnswer::Read {
                    key: read.key.clone(),
                    read: read.version.map(Into::into),
                    found: found.map(Into::into),
                    written,
                };
                return Ok((reason, Hearsay(found.is_none())));
            }
            (Reason::Policy(shortfall), ReasonAnswer::Policy { policy, .. }) => {
                let policy = policy.parse().map_err(|_| otherwise())?;
                let proven = self.shortfall(network, shortfall, &policy, endorsers);
                return proven.await;
            }
            (Reason::Range { position, newest }, _) => {
                let range = at(&rwset.ranges, *position)?;
                ReasonAnswer::Range {
                    start: range.start.clone(),
                    end: range.end.clone(),
                    newest: newest.map(Into::into),
                }
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
        };
        Ok((proven, Hearsay(false)))
    }

    /// The deletion of a key, which took effect before this transaction.
    async fn deletion(
        &self,
        network: &Network,
        told: &WriteAnswer,
        key: &str,
    ) -> Outcome<WriteAnswer> {
        let VersionAnswer { block, index } = told.place;
        let deletion = Self::of(network, Locator::Place(Version { block, index })).await?;
        let (receipt, before) = (&deletion.receipt, &deletion.transaction);
        let own = (self.receipt.header.number, self.receipt.proof.index);
        let mut writes = before.rwset.writes.iter();
        let is_one = receipt.code == ValidationCode::Valid
            && (block, u64::from(index)) < own
            && before.proposal.contract == self.transaction.proposal.contract
            && writes.any(|write| write.key == key && write.value.is_none());
        let written = WriteAnswer {
            place: told.place,
            transaction_id: Some(receipt.transaction_id.to_string()),
        };
        is_one.then_some(written).ok_or_else(otherwise)
    }

    async fn shortfall(
        &self,
        network: &Network,
        shortfall: &Shortfall,
        policy: &EndorsementPolicy,
        endorsers: &[String],
    ) -> Outcome<(ReasonAnswer, Hearsay)> {
        let touched = self.transaction.rwset.touched();
        let key = match shortfall.key {
            Some(position) => Some((*at(&touched, position)?).to_owned()),
            None => None,
        };
        let contract = &self.transaction.proposal.contract;
        let (since, set) =
            policy_set_at(network, shortfall.since, contract, key.as_deref()).await?;
        if set.as_ref().is_some_and(|set| set != policy) {
            return Err(otherwise());
        }
        let signers = |positions: &[u8]| -> Outcome<Vec<String>> {
            let positions = positions.iter();
            let signers = positions.map(|of| Ok(at(endorsers, u32::from(*of))?.clone()));
            signers.collect()
        };
        let reason = ReasonAnswer::Policy {
            key,
            policy: policy.to_string(),
            since,
            tree: PolicyAnswer::of(&policy.tree(&shortfall.met), endorsers),
            strangers: signers(&shortfall.strangers)?,
            revoked: signers(&shortfall.revoked)?,
        };
        Ok((reason, Hearsay(set.is_none())))
    }
}

/// Who has written at a place of the chain: genesis, where there is no receipt.
fn written_at(place: VersionAnswer, receipt: Option<&Receipt>) -> WriteAnswer {
    WriteAnswer {
        place,
        transaction_id: receipt.map(|it| it.transaction_id.to_string()),
    }
}

async fn write_at(network: &Network, place: VersionAnswer) -> Outcome<WriteAnswer> {
    let VersionAnswer { block, index } = place;
    if block == 0 {
        return Ok(written_at(place, None));
    }
    let locator = Locator::Place(Version { block, index });
    let receipt = network.client.receipt(locator, Duration::ZERO).await?;
    Ok(written_at(place, Some(&receipt)))
}

/// Who has set the policy of a contract, or of one of its keys, at a place of the chain,
/// and the policy; none where a key was written there and kept the policy that it had.
async fn policy_set_at(
    network: &Network,
    place: Version,
    contract: &str,
    key: Option<&str>,
) -> Outcome<(WriteAnswer, Option<EndorsementPolicy>)> {
    if place.block == 0 {
        let mut contracts = network.genesis().contracts().iter();
        let definition = contracts.find(|it| key.is_none() && it.name == contract);
        let policy = definition.ok_or_else(otherwise)?.policy.clone();
        return Ok((written_at(place.into(), None), Some(policy)));
    }
    let setting = Proven::of(network, Locator::Place(place)).await?;
    let since = written_at(place.into(), Some(&setting.receipt));
    let Transaction {
        proposal, rwset, ..
    } = &setting.transaction;
    if let Some(key) = key {
        let mut set = rwset.policies.iter();
        let set = set.find(|set| set.key == key);
        return Ok((since, set.and_then(|set| set.policy.clone())));
    }
    let mut writes = rwset.writes.iter();
    let written = writes.find(|write| write.key == contract);
    let value = written.and_then(|write| write.value.as_ref()?.bytes(&proposal.args));
    let definition = value.and_then(|it| crypto::decode::<ContractDefinition>(it, it.len()).ok());
    Ok((since, Some(definition.ok_or_else(otherwise)?.policy)))
}
