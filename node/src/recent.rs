//! The hashes of the last transactions that something happened to, bounded.

use std::collections::{HashSet, VecDeque};

use ledger::TransactionHash;

/// Remembers the newest hashes it was given and forgets the oldest.
#[derive(Default)]
pub(crate) struct RecentTransactions {
    hashes: HashSet<TransactionHash>,
    order: VecDeque<TransactionHash>,
}

impl RecentTransactions {
    /// Enough for everything that can be under way between peers.
    const LIMIT: usize = 65_536;

    pub(crate) fn contains(&self, hash: &TransactionHash) -> bool {
        self.hashes.contains(hash)
    }

    pub(crate) fn add(&mut self, hash: TransactionHash) {
        if self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > Self::LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        assert_eq!(
            self.hashes.len(),
            self.order.len(),
            "each hash is kept once"
        );
    }
}
