//! The names of the last transactions that something happened to, bounded.

use std::collections::HashSet;
use std::hash::Hash;
use std::mem;

/// Remembers the newest names it was given, ids or hashes, and forgets the oldest:
/// half of them at once, which costs next to nothing for each.
pub(crate) struct RecentTransactions<N> {
    newer: HashSet<N>,
    older: HashSet<N>,
}

impl<N> Default for RecentTransactions<N> {
    fn default() -> Self {
        Self {
            newer: HashSet::new(),
            older: HashSet::new(),
        }
    }
}

impl<N: Eq + Hash> RecentTransactions<N> {
    /// How many of the newest are remembered at least, and half of how many at most:
    /// enough for everything that can be under way between peers. A set of 2^15 places
    /// has as many.
    const LIMIT: usize = 28_672;

    pub(crate) fn contains(&self, name: &N) -> bool {
        self.newer.contains(name) || self.older.contains(name)
    }

    pub(crate) fn add(&mut self, name: N) {
        if self.newer.len() == Self::LIMIT {
            mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
        }
        self.newer.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Recent = RecentTransactions<usize>;

    #[test]
    fn the_newest_are_remembered_and_no_more_than_the_bound() {
        let mut recent = Recent::default();
        for name in 0..5 * Recent::LIMIT {
            recent.add(name);
            assert!(recent.contains(&name.saturating_sub(Recent::LIMIT)));
            assert!(name < 2 * Recent::LIMIT || !recent.contains(&(name - 2 * Recent::LIMIT)));
        }
    }
}
