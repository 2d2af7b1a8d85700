//! The newest blocks in memory: most questions are about what was just committed.
//!
//! And what the transactions are of those that have no certificate yet: whoever is at
//! such a block asks for them by their hashes, which no index on disk has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use crypto::Digest;

use crate::block::{Block, TransactionResult};
use crate::rwset::Version;
use crate::transaction::TransactionHash;

/// What the transactions of the blocks in memory may take.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How many blocks are kept, however small they are.
const MAX_BLOCKS: usize = 256;

/// A block with what is costly to work out again from its bytes.
#[derive(Clone)]
pub(crate) struct RecentBlock {
    pub(crate) block: Arc<Block>,
    pub(crate) hash: Digest,
    pub(crate) results: Arc<[TransactionResult]>,
}

impl RecentBlock {
    fn bytes(&self) -> usize {
        self.block.transactions.iter().map(|it| it.len()).sum()
    }
}

#[derive(Default)]
struct Kept {
    blocks: BTreeMap<u64, RecentBlock>,
    bytes: usize,
    /// Of every block without a certificate. There are no more than consensus has
    /// numbers between its watermarks.
    uncertified: BTreeMap<u64, Arc<[TransactionResult]>>,
}

/// The newest blocks, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct RecentBlocks {
    kept: Mutex<Kept>,
}

impl RecentBlocks {
    /// Keeps a block, at the cost of the oldest.
    pub(crate) fn keep(&self, block: RecentBlock) {
        let mut kept = self.lock();
        let number = block.block.header.number;
        kept.uncertified.insert(number, block.results.clone());
        kept.bytes += block.bytes();
        kept.blocks.insert(block.block.header.number, block);
        while kept.bytes > MAX_BYTES || kept.blocks.len() > MAX_BLOCKS {
            let Some((_, oldest)) = kept.blocks.pop_first() else {
                break;
            };
            kept.bytes -= oldest.bytes();
        }
    }

    /// The block with this number, if it is in memory.
    pub(crate) fn get(&self, number: u64) -> Option<RecentBlock> {
        self.lock().blocks.get(&number).cloned()
    }

    /// Keeps what the transactions are of a block that had no certificate when the
    /// node was started.
    pub(crate) fn keep_results(&self, number: u64, results: Arc<[TransactionResult]>) {
        self.lock().uncertified.insert(number, results);
    }

    /// Takes note that blocks are certified up to this one.
    pub(crate) fn certified(&self, through: u64) {
        let mut kept = self.lock();
        kept.uncertified = kept.uncertified.split_off(&through.saturating_add(1));
    }

    /// Where those of these transactions stand that are in a block which is in memory
    /// or has no certificate, in the order of the chain, each at its first such place.
    pub(crate) fn places(&self, hashes: &BTreeSet<TransactionHash>) -> BTreeSet<Version> {
        let kept = self.lock();
        let in_memory = kept.blocks.iter();
        let in_memory = in_memory.map(|(number, recent)| (*number, &recent.results));
        let uncertified = kept.uncertified.iter();
        let uncertified = uncertified.map(|(number, results)| (*number, results));
        let mut first: BTreeMap<TransactionHash, Version> = BTreeMap::new();
        for (block, results) in in_memory.chain(uncertified) {
            for (result, index) in results.iter().zip(0_u32..) {
                if hashes.contains(&result.transaction_hash) {
                    let place = Version { block, index };
                    let known = first.entry(result.transaction_hash).or_insert(place);
                    *known = place.min(*known);
                }
            }
        }
        first.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        let kept = self.kept.lock();
        kept.expect("nothing panics while the recent blocks are held")
    }
}
