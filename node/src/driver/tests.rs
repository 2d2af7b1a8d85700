//! A driver by itself: what it tells its replica, and what it makes of what the
//! replica asks for.

use consensus::message::{NewView, PrePrepare, Proposed, Signed, ViewChange};
use consensus::{
    Batch, Effect, Message, Record, ReplicaId, RequestDigest, SequenceNumber, Verifier, View,
};
use tempfile::TempDir;

use super::*;
use crate::committer::Committer;
use crate::pool::PoolBudget;
use crate::services::Progress;
use crate::testing::{alone, genesis, replica_key, transaction};

const HOUR: Duration = Duration::from_hours(1);

/// Everything around a driver, to be kept for as long as it is.
struct Bench {
    driver: Driver,
    budget: Arc<PoolBudget>,
    /// It is asked and does not answer.
    _committer: Committer,
    _senders: (
        mpsc::Sender<Event>,
        mpsc::Sender<(SequenceNumber, consensus::CheckpointDigest)>,
    ),
    folder: TempDir,
}

/// Replica `id` of four with a request timeout of ten minutes, connected to
/// nobody, that finds on its disk what `left` puts there.
async fn bench(id: u8, left: impl FnOnce(&mut PendingRecords)) -> Bench {
    let genesis = genesis();
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::open(folder.path(), &genesis.ledger_genesis()).unwrap());
    let mut records = PendingRecords::default();
    left(&mut records);
    if let Some(writes) = records.take_urgent() {
        ledger.write_records(writes).unwrap();
    }
    let network = alone(id).await;
    let metrics = Arc::new(Metrics::default());
    let (to_driver, events) = mpsc::channel(16);
    let (to_executed, executed) = mpsc::channel(16);
    let (progress, _) = watch::channel(Progress::default());
    let (committer, handle) = Committer::new(
        ledger.clone(),
        16,
        to_executed.clone(),
        progress,
        metrics.clone(),
    );
    let mut config = genesis.consensus_config(ReplicaId(id.into())).unwrap();
    config.request_timeout = HOUR / 6;
    config.request_timeout_cap = HOUR;
    let budget = Arc::new(PoolBudget::new(100, 1_000_000));
    let setup = Setup {
        config,
        key: replica_key(id),
        ledger,
        amnesiac: false,
        pool: Pool::new(budget.clone()),
        limits: Limits {
            max_batch_transactions: 10,
            max_batch_bytes: 1_000_000,
            max_timestamp_ahead: HOUR,
        },
        transaction_limits: genesis.limits(),
        names: std::collections::HashMap::new(),
        journal: None,
        wiring: Wiring {
            events,
            executed,
            network,
            committer: handle,
            fetcher: watch::channel(None).0,
            sync: mpsc::channel(1).0,
            chronicle: Arc::default(),
            evidence: Arc::default(),
            fault: crate::fault::FaultSwitch::new(false).watch(),
            status: watch::channel(ConsensusStatus::default()).0,
            metrics,
        },
    };
    Bench {
        driver: start(setup).await.unwrap(),
        budget,
        _committer: committer,
        _senders: (to_driver, to_executed),
        folder,
    }
}

impl Bench {
    /// As ingress does.
    fn hand_in(&mut self, transaction: &Arc<CheckedTransaction>) {
        assert!(self.budget.reserve(transaction.bytes().len()));
        let transactions = vec![transaction.clone()];
        self.driver.absorb(Event::Transactions(transactions));
    }

    /// Everything happened an hour before it did.
    fn hold_for_an_hour(&mut self, transaction: &Arc<CheckedTransaction>) {
        let past = Instant::now().checked_sub(HOUR).unwrap();
        self.driver.view_entered_at = past;
        self.driver.pool.insert_named(transaction.clone(), past);
    }

    fn turn(&mut self) {
        self.driver.fire_timers();
        self.driver.advance();
    }

    /// What it proposed, in all PRE-PREPAREs that wait to be sent.
    fn proposed(&self) -> Vec<RequestDigest> {
        let batches = self.driver.outbox.iter().filter_map(|effect| match effect {
            Effect::Broadcast(Message::PrePrepare(proposed)) => Some(&proposed.batch),
            _ => None,
        });
        let requests = batches.flat_map(|batch| &batch.requests);
        requests.copied().collect()
    }
}

fn batch(transactions: &[&Arc<CheckedTransaction>]) -> Batch {
    let requests = transactions.iter();
    Batch {
        timestamp_ms: 1,
        requests: requests.map(|each| RequestDigest(each.hash().0)).collect(),
    }
}

/// View 1 begins, with nothing to take over.
fn new_view() -> Signed<NewView> {
    let network = genesis().network_id();
    let view = View(1);
    let vote = |id: u8| {
        let body = ViewChange {
            view,
            stable: None,
            prepared: Vec::new(),
        };
        Signed::sign(body, ReplicaId(id.into()), &replica_key(id), &network)
    };
    let body = NewView {
        view,
        view_changes: (0..3).map(vote).collect(),
        pre_prepares: Vec::new(),
    };
    Signed::sign(body, ReplicaId(1), &replica_key(1), &network)
}

fn new_view_input() -> Input {
    let config = genesis().consensus_config(ReplicaId(3)).unwrap();
    let message = Message::NewView(new_view());
    Input::Message {
        from: ReplicaId(1),
        message: Verifier::new(&config).verify(message).unwrap(),
    }
}

#[tokio::test]
async fn a_primary_is_suspected_for_as_long_as_a_request_waits_too_long() {
    let mut bench = bench(3, |_| ()).await;
    let request = transaction(1, 0);
    bench.hold_for_an_hour(&request);
    bench.turn();
    assert!(bench.driver.replica.suspects());
    bench.driver.absorb(Event::InChain(vec![request.id()]));
    bench.turn();
    assert!(!bench.driver.replica.suspects());
}

/// A node that was paused finds the new view and the overdue request together.
#[tokio::test]
async fn the_primary_of_a_new_view_is_not_suspected_for_what_the_last_one_did_not_do() {
    let mut bench = bench(3, |_| ()).await;
    bench.hold_for_an_hour(&transaction(1, 0));
    bench.driver.absorb(Event::Input(new_view_input()));
    bench.turn();
    assert_eq!(bench.driver.replica.view(), View(1));
    assert!(!bench.driver.replica.suspects());
    bench.turn();
    assert!(!bench.driver.replica.suspects(), "it has as much time anew");
}

/// What was voted for in a view that is over and was not taken over is in no
/// batch: a primary that restarts must order it.
#[tokio::test]
async fn after_a_restart_what_only_an_old_view_proposed_is_ordered_by_the_primary_of_the_new_one() {
    let request = transaction(1, 0);
    let batch = batch(&[&request]);
    let body = PrePrepare {
        view: View(0),
        sequence: SequenceNumber(1),
        digest: batch.digest(),
    };
    let network = genesis().network_id();
    let pre_prepare = Signed::sign(body, ReplicaId(0), &replica_key(0), &network);
    let mut bench = bench(1, |records| {
        let bodies = std::slice::from_ref(&request);
        records.put_bodies(SequenceNumber(1), batch.digest(), bodies);
        records.put(&Record::PrePrepared(Proposed { pre_prepare, batch }));
        records.put(&Record::NewView(new_view()));
    })
    .await;
    assert_eq!(bench.driver.replica.view(), View(1));
    bench.turn();
    assert_eq!(bench.proposed(), [RequestDigest(request.hash().0)]);
}

#[tokio::test]
async fn in_a_new_view_what_is_about_to_be_executed_does_not_wait_again() {
    let mut bench = bench(1, |_| ()).await;
    let request = transaction(1, 0);
    bench.hand_in(&request);
    bench.driver.gather(vec![
        Effect::Execute {
            sequence: SequenceNumber(1),
            timestamp_ms: 1,
            batch: batch(&[&request]),
        },
        Effect::ViewEntered(View(1)),
    ]);
    assert_eq!(bench.driver.pool.waiting(), 0);
}

/// What a vote permits is on disk first: where nothing can be written nothing leaves.
#[tokio::test]
async fn what_waits_for_a_record_stays_where_that_cannot_be_written() {
    let mut bench = bench(0, |_| ()).await;
    bench.hand_in(&transaction(1, 0));
    bench.turn();
    assert_eq!(bench.proposed().len(), 1);
    std::fs::remove_dir_all(bench.folder.path()).unwrap();
    // The database finds out when it needs another file.
    assert!(bench.driver.ledger.flush().is_err());
    let stopped = bench.driver.let_out().await;
    assert!(stopped.is_err());
    assert_eq!(bench.proposed().len(), 1, "it has not left");
}

/// A primary could otherwise fill the disks of all with blocks that nobody asked for.
#[tokio::test]
async fn a_batch_that_holds_nothing_is_refused_unless_a_new_view_takes_it_over() {
    for (fresh, refused) in [(true, true), (false, false)] {
        let mut bench = bench(3, |_| ()).await;
        let batch = batch(&[]);
        bench.driver.gather(vec![Effect::CheckBatch {
            view: View(0),
            sequence: SequenceNumber(1),
            digest: batch.digest(),
            batch,
            fresh,
        }]);
        let answer = bench.driver.inputs.pop_front();
        let Some(Input::BatchChecked { verdict, .. }) = answer else {
            panic!("it is answered: {answer:?}")
        };
        assert_eq!(verdict.is_err(), refused);
    }
}

/// The new primary knows a batch by name before it has all of its transactions.
#[tokio::test]
async fn a_primary_does_not_order_again_what_a_batch_names_that_it_waits_for() {
    let mut bench = bench(0, |_| ()).await;
    let (one, other) = (transaction(1, 0), transaction(2, 0));
    let batch = batch(&[&one, &other]);
    bench.driver.gather(vec![Effect::CheckBatch {
        view: View(0),
        sequence: SequenceNumber(1),
        digest: batch.digest(),
        batch,
        fresh: false,
    }]);
    bench.hand_in(&one);
    assert_eq!(bench.driver.pool.waiting(), 0);
    // The next view does not take that batch over.
    bench.driver.gather(vec![Effect::ViewEntered(View(1))]);
    assert!(bench.driver.pool.waiting() > 0);
    assert!(bench.driver.batches.next_due().is_none());
}

/// What it voted for in views before may have prepared elsewhere: it can produce that,
/// too.
#[tokio::test]
async fn after_a_restart_what_earlier_views_proposed_is_held_as_well() {
    let (one, other) = (transaction(1, 0), transaction(2, 0));
    let voted_for = [batch(&[&one]), batch(&[&other, &one])];
    let sequence = SequenceNumber(1);
    let bench = bench(1, |records| {
        let bodies = [vec![one.clone()], vec![other.clone(), one.clone()]];
        for (batch, bodies) in voted_for.iter().zip(&bodies) {
            records.put_bodies(sequence, batch.digest(), bodies);
        }
        let batches = voted_for.to_vec();
        records.put(&Record::VotedBefore { sequence, batches });
    })
    .await;
    for batch in &voted_for {
        assert!(bench.driver.batches.holds(sequence, batch.digest()));
    }
}
