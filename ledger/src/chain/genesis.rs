//! The agreed beginning, in the ledger's words: block 0 and the state it makes.

use std::collections::BTreeMap;

use crypto::{Digest, NetworkId, encode, merkle};

use crate::block::{Attesters, Block, BlockHeader, transactions_root};
use crate::digest::{StateAccumulator, StateRow};
use crate::identity::Identity;
use crate::policy::ContractDefinition;
use crate::rwset::Version;
use crate::state::{CONTRACTS, MEMBERS};
use crate::store::{BlockWrite, StateChange};
use crate::transaction::Limits;

/// What a ledger begins with: from the genesis document, the same on every node.
#[derive(Clone, Debug)]
pub struct GenesisState {
    pub(crate) network: NetworkId,
    pub(crate) attesters: Attesters,
    pub(crate) limits: Limits,
    block: Block,
    hash: Digest,
    changes: Vec<StateChange>,
    accumulator: StateAccumulator,
}

impl GenesisState {
    /// Block 0 of a network with these first members and contracts.
    ///
    /// # Panics
    ///
    /// When two members have one key or two contracts one name: the document
    /// is checked before it comes here.
    #[must_use]
    pub fn new(
        network: NetworkId,
        attesters: Attesters,
        limits: Limits,
        members: &[Identity],
        contracts: &[ContractDefinition],
    ) -> Self {
        let members = members
            .iter()
            .map(|member| ((MEMBERS, member.key.to_string()), encode(member)));
        let contracts = contracts
            .iter()
            .map(|contract| ((CONTRACTS, contract.name.clone()), encode(contract)));
        let mut rows = BTreeMap::new();
        for (place, value) in members.chain(contracts) {
            let replaced = rows.insert(place.clone(), value);
            assert!(replaced.is_none(), "genesis names {place:?} twice");
        }
        let changes: Vec<StateChange> = rows
            .into_iter()
            .zip(0..)
            .map(|(((namespace, key), value), index)| StateChange {
                namespace: namespace.to_owned(),
                key,
                version: Version { block: 0, index },
                transaction_id: None,
                value: Some(value),
            })
            .collect();
        Self::from_changes(network, attesters, limits, changes)
    }

    fn from_changes(
        network: NetworkId,
        attesters: Attesters,
        limits: Limits,
        changes: Vec<StateChange>,
    ) -> Self {
        let mut accumulator = StateAccumulator::empty();
        for change in &changes {
            if let Some(value) = &change.value {
                accumulator.add(&StateRow {
                    namespace: &change.namespace,
                    key: &change.key,
                    version: change.version,
                    value,
                });
            }
        }
        let header = BlockHeader {
            number: 0,
            previous_hash: Digest::ZERO,
            transactions_root: transactions_root(&[]),
            results_root: merkle::root(&[]),
            state_digest: accumulator.digest(),
            timestamp_ms: 0,
            sequence: 0,
        };
        Self {
            network,
            attesters,
            limits,
            hash: header.hash(),
            block: Block {
                header,
                transactions: Vec::new(),
                codes: Vec::new(),
            },
            changes,
            accumulator,
        }
    }

    /// The network that begins here.
    #[must_use]
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// Who attests the blocks that follow.
    #[must_use]
    pub fn attesters(&self) -> &Attesters {
        &self.attesters
    }

    /// Block 0.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The hash of block 0.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    pub(crate) fn changes(&self) -> &[StateChange] {
        &self.changes
    }

    pub(crate) fn accumulator(&self) -> &StateAccumulator {
        &self.accumulator
    }

    pub(crate) fn write(&self) -> BlockWrite<'_> {
        BlockWrite {
            block: &self.block,
            hash: self.hash,
            indexed: &[],
            changes: &self.changes,
            accumulator: &self.accumulator,
        }
    }
}
