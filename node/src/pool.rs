//! Transactions this node holds in full and checked, until a block has them.
//!
//! The pool belongs to the driver alone. Its limits do not: a [`PoolBudget`] is
//! shared with ingress, which reserves room before it spends work on a
//! transaction, so that a full pool is an answer and not a pile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use consensus::RequestDigest;
use ledger::CheckedTransaction;

use crate::request::Request;

/// How much the pool may hold, and holds.
#[derive(Debug)]
pub(crate) struct PoolBudget {
    max_transactions: usize,
    max_bytes: usize,
    transactions: AtomicUsize,
    bytes: AtomicUsize,
}

impl PoolBudget {
    pub(crate) fn new(max_transactions: usize, max_bytes: usize) -> Self {
        Self {
            max_transactions,
            max_bytes,
            transactions: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Takes room for one transaction of `bytes`; false when there is none.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let take = |counter: &AtomicUsize, amount: usize, limit: usize| {
            counter
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
                    held.checked_add(amount).filter(|&held| held <= limit)
                })
                .is_ok()
        };
        if !take(&self.transactions, 1, self.max_transactions) {
            return false;
        }
        if !take(&self.bytes, bytes, self.max_bytes) {
            self.transactions.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        true
    }

    /// Whether there is room for anything.
    pub(crate) fn has_room(&self) -> bool {
        let (transactions, bytes) = self.usage();
        transactions < self.max_transactions && bytes < self.max_bytes
    }

    /// Takes room for one transaction even beyond the limits: for one that a
    /// batch names, which must be had or the network stands still. What batches
    /// can name is bounded by the log window.
    fn reserve_in_any_case(&self, bytes: usize) {
        self.transactions.fetch_add(1, Ordering::AcqRel);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Gives back what was taken for one transaction of `bytes`.
    pub(crate) fn release(&self, bytes: usize) {
        let transactions = self.transactions.fetch_sub(1, Ordering::AcqRel);
        let held = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        assert!(
            transactions >= 1 && held >= bytes,
            "no more is given back than was taken"
        );
    }

    /// Transactions and bytes held now.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (
            self.transactions.load(Ordering::Acquire),
            self.bytes.load(Ordering::Acquire),
        )
    }
}

struct Entry<R> {
    transaction: Arc<R>,
    /// Place in the order of arrival.
    arrival: u64,
    /// When that was.
    since: Instant,
    /// How many transactions were held when it came: they go first.
    ahead: usize,
    last_forwarded: Instant,
    /// When it came, or was last sent on to everybody.
    last_spread: Instant,
}

/// The pool.
pub(crate) struct Pool<R: Request = CheckedTransaction> {
    entries: HashMap<RequestDigest, Entry<R>>,
    /// One transaction per id: a client that makes several of one proposal
    /// could otherwise leave some of them waiting for ever.
    ids: HashMap<R::Id, RequestDigest>,
    /// Everything, in the order of arrival.
    arrived: BTreeMap<u64, RequestDigest>,
    /// What no batch names, in the order of arrival.
    waiting: BTreeMap<u64, RequestDigest>,
    arrivals: u64,
    budget: Arc<PoolBudget>,
}

impl<R: Request> Pool<R> {
    pub(crate) fn new(budget: Arc<PoolBudget>) -> Self {
        Self {
            entries: HashMap::new(),
            ids: HashMap::new(),
            arrived: BTreeMap::new(),
            waiting: BTreeMap::new(),
            arrivals: 0,
            budget,
        }
    }

    /// Takes in a transaction for which ingress reserved room. Held already, or
    /// another one of its id, it gives the room back.
    pub(crate) fn insert(&mut self, transaction: Arc<R>, now: Instant) {
        let hash = transaction.digest();
        if self.ids.contains_key(&transaction.id()) {
            self.decline(&transaction);
            return;
        }
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.arrived.insert(arrival, hash);
        self.waiting.insert(arrival, hash);
        self.ids.insert(transaction.id(), hash);
        let entry = Entry {
            transaction,
            arrival,
            since: now,
            ahead: self.entries.len(),
            last_forwarded: now,
            last_spread: now,
        };
        self.entries.insert(hash, entry);
    }

    /// Gives back the room that ingress reserved for a transaction that is not
    /// wanted any more.
    pub(crate) fn decline(&self, transaction: &R) {
        self.budget.release(transaction.bytes().len());
    }

    /// Takes in a transaction that a batch names, whether or not there is room.
    pub(crate) fn insert_named(&mut self, transaction: Arc<R>, now: Instant) {
        if !self.ids.contains_key(&transaction.id()) {
            self.budget.reserve_in_any_case(transaction.bytes().len());
            self.insert(transaction, now);
        }
    }

    pub(crate) fn get(&self, hash: &RequestDigest) -> Option<&Arc<R>> {
        self.entries.get(hash).map(|entry| &entry.transaction)
    }

    /// Since when a transaction is held.
    pub(crate) fn since(&self, hash: &RequestDigest) -> Option<Instant> {
        Some(self.entries.get(hash)?.since)
    }

    /// How many wait to be put into a batch.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many stand in batches that are under way.
    pub(crate) fn ordered(&self) -> usize {
        self.entries.len() - self.waiting.len()
    }

    /// The oldest waiting transactions that are not `withheld`, within both
    /// limits and at least one; they wait no longer.
    pub(crate) fn take_batch(
        &mut self,
        max_count: usize,
        max_bytes: usize,
        withheld: impl Fn(&R) -> bool,
    ) -> Vec<RequestDigest> {
        let mut bytes = 0_usize;
        let mut batch = Vec::new();
        for hash in self.waiting.values() {
            let transaction = &self.entries[hash].transaction;
            if withheld(transaction) {
                continue;
            }
            let length = transaction.bytes().len();
            bytes = bytes.saturating_add(length);
            if batch.len() == max_count || (bytes > max_bytes && !batch.is_empty()) {
                break;
            }
            batch.push(*hash);
        }
        self.mark_ordered(&batch);
        batch
    }

    /// These are named by a batch: they are not put into another one.
    pub(crate) fn mark_ordered(&mut self, hashes: &[RequestDigest]) {
        for hash in hashes {
            if let Some(entry) = self.entries.get(hash) {
                self.waiting.remove(&entry.arrival);
            }
        }
    }

    /// A new view has begun: everything waits again but what has `committed`.
    pub(crate) fn begin_view(&mut self, committed: &HashSet<R::Id>) {
        self.waiting = self.arrived.clone();
        for id in committed {
            if let Some(entry) = self.ids.get(id).and_then(|hash| self.entries.get(hash)) {
                self.waiting.remove(&entry.arrival);
            }
        }
    }

    /// A block has these: they are not needed here any more, and neither is
    /// another transaction of the same id.
    pub(crate) fn remove(&mut self, ids: &[R::Id]) {
        for id in ids {
            let Some(hash) = self.ids.remove(id) else {
                continue;
            };
            let entry = self.entries.remove(&hash).expect("what has an id is held");
            self.waiting.remove(&entry.arrival);
            self.arrived.remove(&entry.arrival);
            self.budget.release(entry.transaction.bytes().len());
        }
    }

    /// Since when the oldest transaction is held, and how many were held before
    /// it when it came.
    pub(crate) fn oldest(&self) -> Option<(Instant, usize)> {
        let (_, hash) = self.arrived.first_key_value()?;
        let entry = &self.entries[hash];
        Some((entry.since, entry.ahead))
    }

    /// The id of that one.
    pub(crate) fn oldest_id(&self) -> Option<R::Id> {
        let (_, hash) = self.arrived.first_key_value()?;
        Some(self.entries[hash].transaction.id())
    }

    /// The oldest transactions that came longer than `after` ago, and were not
    /// returned here since: the others may not know that they wait.
    pub(crate) fn untold(&mut self, now: Instant, after: Duration, limit: usize) -> Vec<Arc<R>> {
        let mut untold = Vec::new();
        for hash in self.arrived.values().take(limit) {
            let entry = self.entries.get_mut(hash).expect("what arrived is held");
            if now.saturating_duration_since(entry.last_spread) >= after {
                entry.last_spread = now;
                untold.push(entry.transaction.clone());
            }
        }
        untold
    }

    /// The oldest waiting transactions that were last sent on longer than
    /// `after` ago: the primary may never have had them.
    pub(crate) fn overdue(&mut self, now: Instant, after: Duration, limit: usize) -> Vec<Arc<R>> {
        let mut overdue = Vec::new();
        for hash in self.waiting.values().take(limit) {
            let entry = self.entries.get_mut(hash).expect("what waits is held");
            if now.saturating_duration_since(entry.last_forwarded) >= after {
                entry.last_forwarded = now;
                overdue.push(entry.transaction.clone());
            }
        }
        overdue
    }
}

#[cfg(test)]
mod tests {
    use ledger::TransactionId;

    use super::*;
    use crate::testing::transaction;

    fn pool() -> (Pool, Arc<PoolBudget>) {
        let budget = Arc::new(PoolBudget::new(3, 10_000));
        (Pool::new(budget.clone()), budget)
    }

    fn insert(pool: &mut Pool, budget: &PoolBudget, nonce: u8) -> RequestDigest {
        let transaction = transaction(nonce, 0);
        assert!(budget.reserve(transaction.bytes().len()));
        pool.insert(transaction.clone(), Instant::now());
        transaction.digest()
    }

    fn ids(nonces: &[u8]) -> Vec<TransactionId> {
        let nonces = nonces.iter();
        nonces.map(|nonce| transaction(*nonce, 0).id()).collect()
    }

    #[test]
    fn room_is_what_was_reserved_and_comes_back_when_a_block_has_it() {
        let (mut pool, budget) = pool();
        for nonce in 0..3 {
            insert(&mut pool, &budget, nonce);
        }
        assert!(!budget.reserve(1), "three are all");
        assert_eq!(budget.usage().0, 3);
        pool.remove(&ids(&[0, 1, 2]));
        pool.remove(&ids(&[0, 1, 2]));
        assert_eq!(budget.usage(), (0, 0));
        assert!(pool.waiting() == 0 && pool.oldest().is_none());
        assert!(!budget.reserve(10_001), "bytes have a limit too");
        assert_eq!(budget.usage(), (0, 0), "what is refused takes no room");
    }

    #[test]
    fn the_same_transaction_takes_room_once() {
        let (mut pool, budget) = pool();
        let hash = insert(&mut pool, &budget, 1);
        let used = budget.usage();
        assert_eq!(insert(&mut pool, &budget, 1), hash);
        assert_eq!(budget.usage(), used);
        pool.insert_named(transaction(1, 0), Instant::now());
        assert_eq!(budget.usage(), used);
    }

    #[test]
    fn batches_take_the_oldest_first_and_each_once() {
        let (mut pool, budget) = pool();
        let hashes: Vec<_> = (0..3).map(|i| insert(&mut pool, &budget, i)).collect();
        assert_eq!(pool.take_batch(2, usize::MAX, |_| false), hashes[..2]);
        assert_eq!(
            pool.take_batch(2, 0, |_| false),
            hashes[2..],
            "one is always taken"
        );
        assert_eq!(pool.waiting(), 0);
        assert!(pool.get(&hashes[0]).is_some(), "held until a block has it");
    }

    /// E2: a lying client makes two transactions of one proposal and gives each
    /// to somebody else. When a block has one, nobody waits for the other.
    #[test]
    fn one_transaction_per_id_is_held_and_goes_when_a_block_has_any_of_them() {
        let (mut pool, budget) = pool();
        let [one, other] = crate::testing::two_of_one_proposal();
        assert_eq!(one.id(), other.id());
        assert_ne!(one.digest(), other.digest());
        for each in [&one, &other] {
            assert!(budget.reserve(each.bytes().len()));
            pool.insert(each.clone(), Instant::now());
        }
        assert_eq!(budget.usage().0, 1, "the room of the second is given back");
        assert!(pool.get(&one.digest()).is_some() && pool.get(&other.digest()).is_none());
        pool.remove(&[other.id()]);
        assert!(pool.oldest().is_none() && budget.usage() == (0, 0));
    }

    #[test]
    fn in_a_new_view_everything_waits_again_but_what_is_committed() {
        let (mut pool, budget) = pool();
        let hashes: Vec<_> = (0..3).map(|i| insert(&mut pool, &budget, i)).collect();
        pool.mark_ordered(&hashes);
        assert_eq!(pool.waiting(), 0);
        pool.begin_view(&ids(&[1]).into_iter().collect());
        assert_eq!(
            pool.take_batch(9, usize::MAX, |_| false),
            [hashes[0], hashes[2]]
        );
    }

    #[test]
    fn what_is_held_for_long_is_spread_once_per_pause() {
        let (mut pool, budget) = pool();
        let hash = insert(&mut pool, &budget, 1);
        pool.mark_ordered(&[hash]);
        let (start, ahead) = pool.oldest().unwrap();
        assert_eq!(ahead, 0);
        let pause = Duration::from_mins(1);
        assert!(pool.untold(start, pause, 10).is_empty());
        for times in 1..=2 {
            let later = start + pause * times;
            assert_eq!(pool.untold(later, pause, 10).len(), 1);
            assert!(pool.untold(later, pause, 10).is_empty());
        }
    }

    #[test]
    fn what_a_batch_names_is_held_even_beyond_the_limits() {
        let (mut pool, budget) = pool();
        for nonce in 0..3 {
            insert(&mut pool, &budget, nonce);
        }
        pool.insert_named(transaction(9, 0), Instant::now());
        assert_eq!(budget.usage().0, 4);
        assert!(!budget.reserve(1));
    }

    #[test]
    fn what_waits_is_sent_on_once_per_pause() {
        let (mut pool, budget) = pool();
        let start = Instant::now();
        insert(&mut pool, &budget, 1);
        let pause = Duration::from_mins(1);
        assert!(pool.overdue(start, pause, 10).is_empty());
        let later = start + pause * 2;
        assert_eq!(pool.overdue(later, pause, 10).len(), 1);
        assert!(pool.overdue(later, pause, 10).is_empty());
    }
}
