//! Batches that the replica asks about: is every transaction held, is the time
//! within reason? What is missing is fetched, and the answer given once it is there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::{Batch, BatchDigest, Input, ReplicaId, RequestDigest, SequenceNumber, View};

use crate::pool::Pool;
use crate::request::Request;

/// How long a missing transaction is waited for before it is asked for: it is
/// most likely on its way, sent by the node that the client chose.
const FETCH_AFTER: Duration = Duration::from_millis(50);

/// Where a batch stands that is proposed.
pub(crate) type Place = (SequenceNumber, View);

/// Which batch the replica asks about.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) view: View,
    pub(super) sequence: SequenceNumber,
    pub(super) digest: BatchDigest,
}

/// A batch with missing transactions.
struct Awaited {
    digest: BatchDigest,
    requests: Vec<RequestDigest>,
    proposer: ReplicaId,
    ask_at: Instant,
    is_asked: bool,
}

/// Transactions to be fetched, and from whom first.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    /// Of which batch.
    pub(crate) place: Place,
    /// Their hashes.
    pub(crate) hashes: Vec<RequestDigest>,
    /// The primary that proposed them.
    pub(crate) proposer: ReplicaId,
}

/// The batches under way: those that wait for transactions, and the
/// transactions of those that do not. Bounded by the replica's window: it asks
/// once per view and sequence number.
pub(super) struct Batches<R> {
    /// How many bytes the transactions of a batch may have together, unless it
    /// is one alone.
    max_bytes: usize,
    awaited: BTreeMap<Place, Awaited>,
    /// Held apart from the pool, which lets go of a transaction as soon as one
    /// block has it: a lying primary may name it in two batches.
    held: BTreeMap<(SequenceNumber, BatchDigest), Vec<Arc<R>>>,
    /// Fetched for batches that wait for more. They never were in the pool, and
    /// a block may have them already: they are not to be ordered by themselves.
    fetched: HashMap<RequestDigest, Arc<R>>,
    /// Everything up to here is executed.
    forgotten_through: SequenceNumber,
}

impl<R: Request> Batches<R> {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            awaited: BTreeMap::new(),
            held: BTreeMap::new(),
            fetched: HashMap::new(),
            forgotten_through: SequenceNumber::GENESIS,
        }
    }

    /// Up to where everything is executed, and no batch held here any more.
    pub(super) fn forgotten_through(&self) -> SequenceNumber {
        self.forgotten_through
    }

    /// Answers at once when everything is held, else remembers the question.
    pub(super) fn check(
        &mut self,
        pool: &Pool<R>,
        question: Question,
        batch: &Batch,
        proposer: ReplicaId,
        now: Instant,
    ) -> Option<Input> {
        if let Some(bodies) = self.bodies(pool, &batch.requests) {
            return Some(self.judge(question, bodies));
        }
        let awaited = Awaited {
            digest: question.digest,
            requests: batch.requests.clone(),
            proposer,
            ask_at: now + FETCH_AFTER,
            is_asked: false,
        };
        let place = (question.sequence, question.view);
        self.awaited.insert(place, awaited);
        None
    }

    /// A view has begun, and asks anew about what it takes over: of earlier ones
    /// nobody waits for an answer.
    pub(super) fn begin_view(&mut self, begun: View) {
        self.awaited.retain(|(_, view), _| *view >= begun);
        self.forget_fetched();
    }

    /// What a batch names of which something is missing is not put into another one.
    pub(super) fn mark_awaited(&self, pool: &mut Pool<R>) {
        for awaited in self.awaited.values() {
            pool.mark_ordered(&awaited.requests);
        }
    }

    /// Holds a batch that was found sound before this node was restarted.
    pub(super) fn hold(
        &mut self,
        sequence: SequenceNumber,
        digest: BatchDigest,
        bodies: Vec<Arc<R>>,
    ) {
        self.held.insert((sequence, digest), bodies);
    }

    /// Whether this batch was found sound already.
    pub(super) fn holds(&self, sequence: SequenceNumber, digest: BatchDigest) -> bool {
        self.held.contains_key(&(sequence, digest))
    }

    /// The verdict on a batch whose transactions are all here: a primary that
    /// makes a block longer than agreed is not followed.
    fn judge(&mut self, question: Question, bodies: Vec<Arc<R>>) -> Input {
        let lengths = bodies.iter().map(|body| body.bytes().len());
        let bytes = lengths.fold(0, usize::saturating_add);
        let limit = self.max_bytes;
        if bodies.len() > 1 && bytes > limit {
            let reason = format!("its transactions have {bytes} bytes, and {limit} are agreed");
            return question.answer(Err(reason));
        }
        self.held
            .insert((question.sequence, question.digest), bodies);
        question.answer(Ok(()))
    }

    /// Answers the questions that transactions which came since have settled.
    pub(super) fn settled(&mut self, pool: &Pool<R>) -> Vec<Input> {
        let mut settled = Vec::new();
        for (&(sequence, view), awaited) in &self.awaited {
            if let Some(bodies) = self.bodies(pool, &awaited.requests) {
                let digest = awaited.digest;
                let question = Question {
                    view,
                    sequence,
                    digest,
                };
                settled.push((question, bodies));
            }
        }
        for (question, _) in &settled {
            self.awaited.remove(&(question.sequence, question.view));
        }
        self.forget_fetched();
        let judge = |(question, bodies)| self.judge(question, bodies);
        settled.into_iter().map(judge).collect()
    }

    /// The transactions of a batch that was found sound here, or, at the
    /// primary, was made from the pool.
    ///
    /// # Panics
    ///
    /// When it is neither: the replica would vote for what it does not hold.
    pub(super) fn transactions(
        &mut self,
        pool: &Pool<R>,
        sequence: SequenceNumber,
        batch: &Batch,
    ) -> &[Arc<R>] {
        let place = (sequence, batch.digest());
        if !self.held.contains_key(&place) {
            let bodies = self
                .bodies(pool, &batch.requests)
                .expect("a batch that is voted for or executed is held in full");
            self.held.insert(place, bodies);
        }
        &self.held[&place]
    }

    /// The transactions with these hashes, if all are here.
    fn bodies(&self, pool: &Pool<R>, hashes: &[RequestDigest]) -> Option<Vec<Arc<R>>> {
        let body = |hash| pool.get(hash).or_else(|| self.fetched.get(hash)).cloned();
        hashes.iter().map(body).collect()
    }

    /// Takes in a transaction that was fetched, if a batch still waits for it.
    pub(super) fn fetched(&mut self, transaction: Arc<R>) {
        let hash = transaction.digest();
        if self.awaits(&hash) {
            self.fetched.insert(hash, transaction);
        }
    }

    fn forget_fetched(&mut self) {
        let mut fetched = std::mem::take(&mut self.fetched);
        fetched.retain(|hash, _| self.awaits(hash));
        self.fetched = fetched;
    }

    /// Those of these transactions that a batch has which is held here.
    pub(super) fn find(&self, wanted: &HashSet<RequestDigest>) -> Vec<Arc<R>> {
        let held = self.held.values().flatten();
        let found = held.filter(|body| wanted.contains(&body.digest()));
        found.take(wanted.len()).cloned().collect()
    }

    /// Whether some batch waits for this transaction.
    fn awaits(&self, hash: &RequestDigest) -> bool {
        self.awaited
            .values()
            .any(|awaited| awaited.requests.contains(hash))
    }

    /// What is to be fetched first, when something is missing for longer than it takes to
    /// arrive by itself: of the first batch, for the others are executed after it. Said
    /// again after ten times as long.
    pub(super) fn overdue(&mut self, pool: &Pool<R>, now: Instant) -> Option<Missing> {
        if self.next_due()? > now {
            return None;
        }
        for awaited in self.awaited.values_mut().filter(|it| it.ask_at <= now) {
            awaited.ask_at = now + FETCH_AFTER * 10;
            awaited.is_asked = true;
        }
        let (place, awaited) = self.awaited.iter().find(|(_, it)| it.is_asked)?;
        let is_missing =
            |hash: &&RequestDigest| pool.get(hash).is_none() && !self.fetched.contains_key(*hash);
        Some(Missing {
            place: *place,
            hashes: awaited
                .requests
                .iter()
                .filter(is_missing)
                .copied()
                .collect(),
            proposer: awaited.proposer,
        })
    }

    /// When [`Batches::overdue`] has something to say next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.awaited.values().map(|awaited| awaited.ask_at).min()
    }

    /// These sequence numbers are executed: nobody waits for them any more.
    pub(super) fn forget(&mut self, through: SequenceNumber) {
        self.forgotten_through = self.forgotten_through.max(through);
        self.awaited.retain(|(sequence, _), _| *sequence > through);
        self.held.retain(|(sequence, _), _| *sequence > through);
        self.forget_fetched();
    }
}

impl Question {
    /// The input that answers it.
    pub(super) fn answer(self, verdict: Result<(), String>) -> Input {
        Input::BatchChecked {
            view: self.view,
            sequence: self.sequence,
            digest: self.digest,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::CheckedTransaction;

    use super::*;
    use crate::pool::PoolBudget;
    use crate::testing::transaction;

    fn pool() -> Pool {
        Pool::new(Arc::new(PoolBudget::new(100, 1_000_000)))
    }

    fn batch(transactions: &[Arc<CheckedTransaction>]) -> Batch {
        let requests = transactions.iter();
        Batch {
            timestamp_ms: 1,
            requests: requests.map(|each| each.digest()).collect(),
        }
    }

    fn question(batch: &Batch) -> Question {
        Question {
            view: View(0),
            sequence: SequenceNumber(1),
            digest: batch.digest(),
        }
    }

    fn verdict(input: &Input) -> bool {
        let Input::BatchChecked { verdict, .. } = input else {
            panic!("an answer to a question about a batch")
        };
        verdict.is_ok()
    }

    #[test]
    fn a_batch_is_sound_once_all_of_it_is_here_and_what_lacks_is_asked_for() {
        let (mut pool, mut batches) = (pool(), Batches::new(1_000_000));
        let all = [transaction(1, 0), transaction(2, 0)];
        let batch = batch(&all);
        let now = Instant::now();
        pool.insert_named(all[0].clone(), now);
        let asked = batches.check(&pool, question(&batch), &batch, ReplicaId(0), now);
        assert!(asked.is_none());
        assert!(batches.awaits(&all[1].digest()));
        assert!(
            batches.overdue(&pool, now).is_none(),
            "it may be on its way"
        );
        let missing = batches.overdue(&pool, now + FETCH_AFTER).unwrap();
        assert_eq!(missing.hashes, [all[1].digest()]);
        assert!(batches.overdue(&pool, now + FETCH_AFTER).is_none());
        assert!(batches.settled(&pool).is_empty());
        batches.fetched(all[1].clone());
        let answers = batches.settled(&pool);
        assert!(verdict(&answers[0]) && answers.len() == 1);
        assert!(batches.fetched.is_empty() && pool.get(&all[1].digest()).is_none());
        pool.remove(&[all[0].id(), all[1].id()]);
        let held = batches.transactions(&pool, SequenceNumber(1), &batch);
        assert_eq!(
            held.len(),
            2,
            "held although a block took them from the pool"
        );
    }

    /// The others are executed after it, and it must not wait for their transactions.
    #[test]
    fn of_several_batches_that_lack_something_the_first_is_fetched_for() {
        let (pool, mut batches) = (pool(), Batches::new(1_000_000));
        let all = [transaction(1, 0), transaction(2, 0)];
        let now = Instant::now();
        for (transaction, sequence) in all.iter().zip([7, 3]) {
            let batch = batch(std::slice::from_ref(transaction));
            let question = Question {
                sequence: SequenceNumber(sequence),
                ..question(&batch)
            };
            let asked = batches.check(&pool, question, &batch, ReplicaId(0), now);
            assert!(asked.is_none());
        }
        let missing = batches.overdue(&pool, now + FETCH_AFTER).unwrap();
        assert_eq!(missing.place, (SequenceNumber(3), View(0)));
        assert_eq!(missing.hashes, [all[1].digest()]);
        batches.begin_view(View(1));
        assert!(batches.overdue(&pool, now + FETCH_AFTER * 20).is_none());
    }

    /// A primary that fills blocks beyond what is agreed could make blocks that
    /// nobody can fetch.
    #[test]
    fn a_batch_with_more_bytes_than_agreed_is_refused_unless_it_is_one_transaction() {
        let (mut pool, mut batches) = (pool(), Batches::new(5_000));
        let all = [transaction(1, 4_000), transaction(2, 4_000)];
        let now = Instant::now();
        for each in &all {
            pool.insert_named(each.clone(), now);
        }
        let mut check = |batch: &Batch| {
            let asked = batches.check(&pool, question(batch), batch, ReplicaId(0), now);
            verdict(&asked.unwrap())
        };
        assert!(!check(&batch(&all)));
        assert!(check(&batch(&all[..1])));
    }
}
