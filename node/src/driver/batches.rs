//! Batches that the replica asks about: is every transaction held, is the time
//! within reason? What is missing is fetched, and the answer given once it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::{Batch, BatchDigest, Input, ReplicaId, SequenceNumber, View};
use ledger::{CheckedTransaction, TransactionHash};

use crate::pool::Pool;

/// How long a missing transaction is waited for before it is asked for: it is
/// most likely on its way, sent by the node that the client chose.
const FETCH_AFTER: Duration = Duration::from_millis(50);

/// A batch with missing transactions.
struct Awaited {
    digest: BatchDigest,
    requests: Vec<TransactionHash>,
    proposer: ReplicaId,
    ask_at: Instant,
}

/// Transactions to be fetched, and from whom first.
#[derive(Debug)]
pub(crate) struct Missing {
    /// Their hashes.
    pub(crate) hashes: Vec<TransactionHash>,
    /// The primary that proposed them.
    pub(crate) proposer: ReplicaId,
}

/// The batches under way: those that wait for transactions, and the
/// transactions of those that do not. Bounded by the replica's window: it asks
/// once per view and sequence number.
#[derive(Default)]
pub(super) struct Batches {
    awaited: BTreeMap<(SequenceNumber, View), Awaited>,
    /// Held apart from the pool, which lets go of a transaction as soon as one
    /// block has it: a lying primary may name it in two batches.
    held: BTreeMap<(SequenceNumber, BatchDigest), Vec<Arc<CheckedTransaction>>>,
}

/// The hashes by which the ledger knows the requests of a batch.
pub(super) fn transaction_hashes(batch: &Batch) -> Vec<TransactionHash> {
    batch
        .requests
        .iter()
        .map(|request| TransactionHash(request.0))
        .collect()
}

/// The transactions with these hashes, if all are in the pool.
fn bodies(pool: &Pool, hashes: &[TransactionHash]) -> Option<Vec<Arc<CheckedTransaction>>> {
    hashes.iter().map(|hash| pool.get(hash).cloned()).collect()
}

impl Batches {
    /// Answers at once when everything is held, else remembers the question.
    pub(super) fn check(
        &mut self,
        pool: &Pool,
        (view, sequence, digest): (View, SequenceNumber, BatchDigest),
        batch: &Batch,
        proposer: ReplicaId,
        now: Instant,
    ) -> Option<Input> {
        let requests = transaction_hashes(batch);
        if let Some(bodies) = bodies(pool, &requests) {
            self.held.insert((sequence, digest), bodies);
            return Some(sound(view, sequence, digest));
        }
        let awaited = Awaited {
            digest,
            requests,
            proposer,
            ask_at: now + FETCH_AFTER,
        };
        self.awaited.insert((sequence, view), awaited);
        None
    }

    /// Answers the questions that transactions which came since have settled.
    pub(super) fn settled(&mut self, pool: &Pool) -> Vec<Input> {
        let mut inputs = Vec::new();
        let held = &mut self.held;
        self.awaited.retain(|&(sequence, view), awaited| {
            let Some(bodies) = bodies(pool, &awaited.requests) else {
                return true;
            };
            held.insert((sequence, awaited.digest), bodies);
            inputs.push(sound(view, sequence, awaited.digest));
            false
        });
        inputs
    }

    /// The transactions of a batch that was found sound here, or, at the
    /// primary, was made from the pool.
    ///
    /// # Panics
    ///
    /// When it is neither: the replica would vote for what it does not hold.
    pub(super) fn transactions(
        &mut self,
        pool: &Pool,
        sequence: SequenceNumber,
        batch: &Batch,
    ) -> &[Arc<CheckedTransaction>] {
        self.held
            .entry((sequence, batch.digest()))
            .or_insert_with(|| {
                bodies(pool, &transaction_hashes(batch))
                    .expect("a batch that is voted for or executed is held in full")
            })
    }

    /// Whether some batch waits for this transaction.
    pub(super) fn awaits(&self, hash: &TransactionHash) -> bool {
        self.awaited
            .values()
            .any(|awaited| awaited.requests.contains(hash))
    }

    /// What is missing for longer than it takes to arrive by itself; asked for
    /// again after ten times as long.
    pub(super) fn overdue(&mut self, pool: &Pool, now: Instant) -> Vec<Missing> {
        let mut overdue = Vec::new();
        for awaited in self.awaited.values_mut() {
            if awaited.ask_at <= now {
                awaited.ask_at = now + FETCH_AFTER * 10;
                let missing = |hash: &&TransactionHash| pool.get(hash).is_none();
                overdue.push(Missing {
                    hashes: awaited.requests.iter().filter(missing).copied().collect(),
                    proposer: awaited.proposer,
                });
            }
        }
        overdue
    }

    /// When [`Batches::overdue`] has something to say next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.awaited.values().map(|awaited| awaited.ask_at).min()
    }

    /// These sequence numbers are executed: nobody waits for them any more.
    pub(super) fn forget(&mut self, through: SequenceNumber) {
        self.awaited.retain(|(sequence, _), _| *sequence > through);
        self.held.retain(|(sequence, _), _| *sequence > through);
    }
}

fn sound(view: View, sequence: SequenceNumber, digest: BatchDigest) -> Input {
    Input::BatchChecked {
        view,
        sequence,
        digest,
        verdict: Ok(()),
    }
}
