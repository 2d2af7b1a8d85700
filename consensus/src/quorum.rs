//! All quorum arithmetic, and nothing else.
//!
//! With `n` replicas at most `f = (n-1)/3` may be faulty. A *quorum* is
//! `(n+f)/2 + 1` replicas: any two share at least `f+1`, so at least one
//! correct one, and `n - f` correct replicas are always enough to form one.
//! Where `n = 3f+1` it is the paper's `2f+1`; for other sizes it is larger.
//! A *weak quorum* of `f+1` holds at least one correct replica.

use crypto::PublicKey;

use crate::{ReplicaId, View};

/// The fixed set `R` of replicas, by their public keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    keys: Vec<PublicKey>,
}

impl ReplicaSet {
    /// Largest number of replicas: messages per batch grow with its square.
    pub const MAX_REPLICAS: usize = 100;

    /// The set in which replica `i` has key `keys[i]`; `None` when there is no
    /// replica, there are too many, or two share a key.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Option<Self> {
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let sound = (1..=Self::MAX_REPLICAS).contains(&keys.len()) && sorted.len() == keys.len();
        sound.then_some(Self { keys })
    }

    /// `n`, the number of replicas.
    #[must_use]
    pub fn n(&self) -> usize {
        self.keys.len()
    }

    /// `f`, the largest number of faulty replicas under which every promise holds.
    #[must_use]
    pub fn f(&self) -> usize {
        (self.n() - 1) / 3
    }

    /// The size of a quorum.
    #[must_use]
    pub fn quorum(&self) -> usize {
        usize::midpoint(self.n(), self.f()) + 1
    }

    /// The size of a weak quorum: one correct replica is among so many.
    #[must_use]
    pub fn weak_quorum(&self) -> usize {
        self.f() + 1
    }

    /// The primary of `view`.
    ///
    /// # Panics
    ///
    /// Never: an index into the set is small.
    #[must_use]
    pub fn primary(&self, view: View) -> ReplicaId {
        let index = view.0 % self.n() as u64;
        ReplicaId(u32::try_from(index).expect("a replica index is below MAX_REPLICAS"))
    }

    /// The key of `replica`, if there is such a replica.
    #[must_use]
    pub fn key(&self, replica: ReplicaId) -> Option<PublicKey> {
        self.keys.get(replica.0 as usize).copied()
    }

    /// Every replica, in ascending order.
    ///
    /// # Panics
    ///
    /// Never: a set has at most [`ReplicaSet::MAX_REPLICAS`].
    pub fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..u32::try_from(self.n()).expect("at most MAX_REPLICAS")).map(ReplicaId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(n: u8) -> ReplicaSet {
        ReplicaSet::new((0..n).map(|i| PublicKey([i; 32])).collect()).unwrap()
    }

    #[test]
    fn quorums_intersect_in_a_correct_replica_and_can_always_form() {
        for n in 1..=100 {
            let set = set(n);
            let (n, f, q) = (set.n(), set.f(), set.quorum());
            assert!(2 * q > n + f, "n={n}: two quorums share f+1 replicas");
            assert!(q <= n - f, "n={n}: the correct replicas form a quorum");
            assert!(set.weak_quorum() <= q);
        }
    }

    #[test]
    fn sizes_are_those_of_the_paper() {
        let sizes = |n| (set(n).f(), set(n).quorum(), set(n).weak_quorum());
        assert_eq!(sizes(1), (0, 1, 1));
        assert_eq!(sizes(2), (0, 2, 1));
        assert_eq!(sizes(3), (0, 2, 1));
        assert_eq!(sizes(4), (1, 3, 2));
        assert_eq!(sizes(5), (1, 4, 2));
        assert_eq!(sizes(6), (1, 4, 2));
        assert_eq!(sizes(7), (2, 5, 3));
        assert_eq!(sizes(10), (3, 7, 4));
    }

    #[test]
    fn primaries_take_turns_even_at_the_last_view() {
        assert_eq!(set(4).primary(View(5)), ReplicaId(1));
        assert_eq!(set(4).primary(View(u64::MAX)), ReplicaId(3));
    }

    #[test]
    fn a_set_needs_distinct_keys() {
        assert_eq!(ReplicaSet::new(vec![]), None);
        assert_eq!(ReplicaSet::new(vec![PublicKey([1; 32]); 2]), None);
    }
}
