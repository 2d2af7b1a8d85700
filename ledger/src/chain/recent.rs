//! The newest blocks in memory: most questions are about what was just committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crypto::Digest;

use crate::block::{Block, TransactionResult};

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
        self.block.transactions.iter().map(Vec::len).sum()
    }
}

#[derive(Default)]
struct Kept {
    blocks: BTreeMap<u64, RecentBlock>,
    bytes: usize,
}

/// The newest blocks, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct RecentBlocks {
    kept: Mutex<Kept>,
}

const UNBROKEN: &str = "nothing panics while the recent blocks are held";

impl RecentBlocks {
    /// Keeps a block, at the cost of the oldest.
    pub(crate) fn keep(&self, block: RecentBlock) {
        let mut kept = self.kept.lock().expect(UNBROKEN);
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
        let kept = self.kept.lock().expect(UNBROKEN);
        kept.blocks.get(&number).cloned()
    }
}
