//! The agreed beginning, in the ledger's words: block 0 and the state it makes.

use std::collections::BTreeMap;

use crypto::{Digest, NetworkId, encode, merkle};

use crate::block::{Attesters, Block, BlockHeader, transactions_root};
use crate::contract::{ORGANISATIONS, admins_key, name_key};
use crate::digest::StateAccumulator;
use crate::identity::{Identity, OrgId, Role};
use crate::members::Member;
use crate::policy::ContractDefinition;
use crate::row::RowWrite;
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

/// A row of the state, by namespace and key.
type Row = ((&'static str, String), Vec<u8>);

/// The rows that say who the first members are, as the contract of the system keeps them.
fn member_rows(members: &[Identity]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut admins: BTreeMap<&OrgId, u32> = BTreeMap::new();
    for identity in members {
        let member = Member {
            identity: identity.clone(),
            revoked: false,
        };
        rows.push(((MEMBERS, identity.key.to_string()), encode(&member)));
        rows.push(((MEMBERS, name_key(&identity.name)), encode(&identity.key)));
        let admins = admins.entry(&identity.organisation).or_default();
        *admins += u32::from(identity.role == Role::Admin);
    }
    let organisations: Vec<OrgId> = admins.keys().copied().cloned().collect();
    for (organisation, count) in admins {
        rows.push(((MEMBERS, admins_key(organisation)), encode(&count)));
    }
    rows.push((
        (CONTRACTS, ORGANISATIONS.to_owned()),
        encode(&organisations),
    ));
    rows
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
        let contracts = contracts
            .iter()
            .map(|contract| ((CONTRACTS, contract.name.clone()), encode(contract)));
        let mut rows = BTreeMap::new();
        for (place, value) in member_rows(members).into_iter().chain(contracts) {
            let replaced = rows.insert(place.clone(), value);
            assert!(replaced.is_none(), "genesis names {place:?} twice");
        }
        let changes: Vec<StateChange> = rows
            .into_iter()
            .zip(0..)
            .map(|(((namespace, key), value), index)| {
                let version = Version { block: 0, index };
                StateChange {
                    namespace: namespace.to_owned(),
                    key,
                    version,
                    transaction_id: None,
                    write: RowWrite::value(&value, version, None),
                }
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
            if let Some(row) = &change.write.row {
                accumulator.add(&change.namespace, &change.key, row);
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
                verdicts: Vec::new(),
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
            batch: self.block.header.transactions_root,
            indexed: &[],
            index: &[],
            changes: &self.changes,
            accumulator: &self.accumulator,
        }
    }
}
