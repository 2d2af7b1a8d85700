//! The names of the last transactions that something happened to, bounded.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// Remembers the newest names it was given, ids or hashes, and forgets the oldest.
pub(crate) struct RecentTransactions<N> {
    names: HashSet<N>,
    order: VecDeque<N>,
}

impl<N> Default for RecentTransactions<N> {
    fn default() -> Self {
        Self {
            names: HashSet::new(),
            order: VecDeque::new(),
        }
    }
}

impl<N: Copy + Eq + Hash> RecentTransactions<N> {
    /// Enough for everything that can be under way between peers.
    const LIMIT: usize = 65_536;

    pub(crate) fn contains(&self, name: &N) -> bool {
        self.names.contains(name)
    }

    pub(crate) fn add(&mut self, name: N) {
        if self.names.insert(name) {
            self.order.push_back(name);
        }
        if self.order.len() > Self::LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        assert_eq!(self.names.len(), self.order.len(), "each name is kept once");
    }
}
