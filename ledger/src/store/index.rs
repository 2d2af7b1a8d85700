//! Which transactions somebody has made, and which call a contract: found without
//! looking through the blocks.
//!
//! A block adds one row per distinct creator and one per distinct contract, however
//! many transactions it holds. An id keeps its first place here, too: what comes
//! again under it stands in no row.

use std::collections::BTreeMap;

use crypto::PublicKey;

use super::families::{contract_prefix, creator_prefix, index_block, index_key};
use super::{Family, StoreError, StoreView};
use crate::proposal::Proposal;

/// A row of the index: its key, and positions in a block, ascending.
pub(crate) type IndexRow = (Vec<u8>, Vec<u32>);

/// A block, and positions in it, ascending.
pub(crate) type BlockPositions = (u64, Vec<u32>);

/// Where the transactions of a block stand, by who made them and by what they call.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    creators: BTreeMap<PublicKey, Vec<u32>>,
    contracts: BTreeMap<String, Vec<u32>>,
}

impl Positions {
    /// Adds a transaction; they come in the order of the block.
    pub(crate) fn add(&mut self, proposal: &Proposal, index: u32) {
        let of_creator = self.creators.entry(proposal.creator).or_default();
        of_creator.push(index);
        // Most transactions of a block call a contract that is known by then.
        if let Some(of_contract) = self.contracts.get_mut(&proposal.contract) {
            of_contract.push(index);
        } else {
            let contract = proposal.contract.clone();
            self.contracts.insert(contract, vec![index]);
        }
    }

    /// The rows that keep this for a block.
    pub(crate) fn into_rows(self, block: u64) -> Vec<IndexRow> {
        let creators = self.creators.into_iter();
        let creators = creators.map(|(key, positions)| (creator_prefix(&key), positions));
        let contracts = self.contracts.into_iter();
        let contracts = contracts.map(|(name, positions)| (contract_prefix(&name), positions));
        let rows = creators.chain(contracts);
        rows.map(|(prefix, positions)| (index_key(&prefix, block), positions))
            .collect()
    }
}

impl<'a> StoreView<'a> {
    /// The blocks with transactions under this prefix, from `block` downwards, and
    /// the positions of these.
    pub(crate) fn index_down(
        &self,
        prefix: Vec<u8>,
        block: u64,
    ) -> impl Iterator<Item = Result<BlockPositions, StoreError>> + use<'_, 'a> {
        let last = index_key(&prefix, block);
        self.rows_down(Family::Index, &prefix, &last)
            .map(move |row| {
                let (key, bytes) = row?;
                let Some(block) = index_block(&prefix, &key) else {
                    return Err(self.bad_value(Family::Index, &key, None, "not an index key"));
                };
                let positions = self.parse(Family::Index, &key, Some(block), &bytes)?;
                Ok((block, positions))
            })
    }

    /// The positions of the transactions under this prefix in a block.
    pub(crate) fn index_at(&self, prefix: &[u8], block: u64) -> Result<Vec<u32>, StoreError> {
        let key = index_key(prefix, block);
        match self.bytes(Family::Index, &key)? {
            Some(bytes) => self.parse(Family::Index, &key, Some(block), &bytes),
            None => Ok(Vec::new()),
        }
    }
}
