//! The transactions of a creator or of a contract, the newest first.
//!
//! They are found by the index and read from their blocks. An answer is bounded by
//! what it takes to make it, and says where the next one begins.

use std::sync::Arc;

use crypto::{Digest, PublicKey};

use super::query::{parsed, points_nowhere};
use super::{CommittedTransaction, Ledger, LedgerError};
use crate::block::Block;
use crate::names::is_namespace;
use crate::rwset::{Version, index_of};
use crate::store::{
    BlockPositions, Location, StoreError, StoreView, contract_prefix, creator_prefix,
};

/// How many rows of the index an answer looks at.
const MAX_ROWS: usize = 10_000;

/// Whose transactions are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionsOf {
    /// Those that were made with one of these keys.
    Creators {
        /// The keys.
        keys: Vec<PublicKey>,
        /// Only those that call this contract.
        contract: Option<String>,
    },
    /// Those that call this contract.
    Contract(String),
}

/// How many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingPart {
    /// The newest place that is wanted; they go back from there.
    pub from: Version,
    /// How many entries at most.
    pub max_entries: usize,
    /// After how many bytes of the blocks they stand in to end; the block that
    /// reaches them is the last.
    pub max_bytes: usize,
}

/// Transactions, the newest first.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The newest block when they were read.
    pub height: u64,
    /// Its hash.
    pub block_hash: Digest,
    /// The transactions, valid or not.
    pub transactions: Vec<CommittedTransaction>,
    /// Where to go on, if these may not be all.
    pub next: Option<Version>,
}

/// Rows of the index under several prefixes, as one list from the newest block down.
struct Merged<I> {
    /// Of each prefix the row that comes next, and those behind it.
    heads: Vec<(Option<BlockPositions>, I)>,
}

impl<I: Iterator<Item = Result<BlockPositions, StoreError>>> Merged<I> {
    fn new(rows: impl Iterator<Item = I>) -> Result<Self, StoreError> {
        let heads = rows.map(|mut rows| Ok((rows.next().transpose()?, rows)));
        Ok(Self {
            heads: heads.collect::<Result<_, StoreError>>()?,
        })
    }

    /// The newest place that is left.
    fn newest(&self) -> Option<Version> {
        let rows = self.heads.iter().filter_map(|(row, _)| row.as_ref());
        rows.filter_map(|(block, positions)| {
            Some(Version {
                block: *block,
                index: *positions.last()?,
            })
        })
        .max()
    }

    /// Takes all positions in this block, ascending.
    fn take(&mut self, block: u64) -> Result<Vec<u32>, StoreError> {
        let mut taken = Vec::new();
        for (row, rows) in &mut self.heads {
            if let Some((_, positions)) = row.take_if(|(at, _)| *at == block) {
                taken.extend(positions);
                *row = rows.next().transpose()?;
            }
        }
        taken.sort_unstable();
        Ok(taken)
    }
}

impl Ledger {
    /// The transactions of a creator or of a contract, the newest first, as many as
    /// `part` asks for. A transaction that came again stands where it was first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn transactions_of(
        &self,
        of: &TransactionsOf,
        part: ListingPart,
    ) -> Result<Listing, LedgerError> {
        let view = self.store.view();
        let tip = view.tip()?;
        let mut listing = Listing {
            height: tip.number,
            block_hash: tip.hash,
            transactions: Vec::new(),
            next: None,
        };
        let (prefixes, also) = prefixes(of);
        let rows = prefixes.into_iter();
        let mut rows = Merged::new(rows.map(|it| view.index_down(it, part.from.block)))?;
        let (mut looked_at, mut bytes) = (0_usize, 0_usize);
        while let Some(newest) = rows.newest() {
            if looked_at >= MAX_ROWS || bytes >= part.max_bytes {
                listing.next = Some(newest);
                break;
            }
            looked_at += 1;
            let mut positions = rows.take(newest.block)?;
            positions.retain(|index| (newest.block, *index) <= (part.from.block, part.from.index));
            if let Some(also) = &also {
                let others = view.index_at(also, newest.block)?;
                positions.retain(|index| others.binary_search(index).is_ok());
            }
            if positions.is_empty() {
                continue;
            }
            let block = self.block_at(&view, newest.block)?;
            bytes = bytes.saturating_add(block.transactions.iter().map(|it| it.len()).sum());
            for index in positions.into_iter().rev() {
                if listing.transactions.len() >= part.max_entries {
                    let block = newest.block;
                    listing.next = Some(Version { block, index });
                    return Ok(listing);
                }
                listing.transactions.push(entry(&view, &block, index)?);
            }
        }
        Ok(listing)
    }

    fn block_at(&self, view: &StoreView<'_>, number: u64) -> Result<Arc<Block>, LedgerError> {
        if let Some(recent) = self.recent.get(number) {
            return Ok(recent.block);
        }
        let block = view.block(number)?;
        Ok(block.ok_or(LedgerError::NoSuchBlock { number })?.into())
    }
}

/// The beginnings of the rows that hold them, and of those that must hold them, too.
fn prefixes(of: &TransactionsOf) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    // There is nothing under what cannot be a contract's name.
    let named = |contract: &String| is_namespace(contract).then(|| contract_prefix(contract));
    match of {
        TransactionsOf::Contract(contract) => (named(contract).into_iter().collect(), None),
        TransactionsOf::Creators { keys, contract } => {
            let keys = keys.iter().map(creator_prefix);
            match contract {
                None => (keys.collect(), None),
                Some(contract) => match named(contract) {
                    Some(also) => (keys.collect(), Some(also)),
                    None => (Vec::new(), None),
                },
            }
        }
    }
}

fn entry(
    view: &StoreView<'_>,
    block: &Block,
    index: u32,
) -> Result<CommittedTransaction, LedgerError> {
    let (number, at) = (block.header.number, index_of(index));
    let place = Version {
        block: number,
        index,
    };
    let found = block.transactions.get(at).zip(block.verdicts.get(at));
    let (bytes, verdict) = found.ok_or_else(|| points_nowhere(view, place))?;
    Ok(CommittedTransaction {
        location: Location {
            block: number,
            index,
            code: verdict.code,
        },
        reason: verdict.reason.clone(),
        transaction: parsed(view, number, bytes)?,
    })
}
