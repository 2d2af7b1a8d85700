//! The driver owns the replica, its records, its timers and the pool.
//!
//! It turns what happens into [`Input`]s, gathers the effects of as many as
//! have come, writes all their records together, and only then lets
//! anything out. That order is the replica's contract ("persist before send"),
//! kept for a whole group at once.
//!
//! *Architecture invariant:* nothing else steps the replica, and nothing else
//! sends on its behalf.

mod batches;
mod effects;
mod outbox;
mod pacing;
mod phases;
mod records;
mod start;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::byzantine::Modes;
use consensus::{Input, Position, Replica, RequestDigest, SequenceNumber, Timer};
use ledger::{CheckedTransaction, Ledger};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::chronicle::Chronicle;
use crate::clock;
use crate::committer::CommitterHandle;
use crate::evidence::EvidenceBook;
use crate::gossip;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::network::{NetworkHandle, PeerId};
use crate::pool::Pool;
use crate::recent::RecentTransactions;
use crate::request::Request;
use crate::services::ConsensusStatus;

use batches::Batches;
pub(crate) use batches::Missing;
use outbox::Faults;
use pacing::Pacing;
use phases::Phases;
use records::PendingRecords;
pub(crate) use start::{Setup, position, start};

/// How many events are taken together before their records are written: what
/// shares an fsync at most.
const MAX_GROUP: usize = 256;

/// A transaction that waited so long at a backup may never have reached the
/// primary and is sent on to it.
const FORWARD_AFTER: Duration = Duration::from_millis(500);

/// What a primary is given for every transaction that came before: one that
/// orders fewer than a thousand in a second while so many wait is too slow.
const TIME_PER_TRANSACTION: Duration = Duration::from_millis(1);

/// How many transactions are sent on at a time.
const MAX_FORWARDED: usize = 256;

/// Something that happens to the driver.
pub(crate) enum Event<R: Request = CheckedTransaction> {
    /// For the replica.
    Input(Input),
    /// Checked transactions with room reserved in the pool.
    Transactions(Vec<Arc<R>>),
    /// Checked transactions that were asked for by hash, without reservation.
    Fetched(Vec<Arc<R>>),
    /// A block that was fetched holds these: they need no ordering any more.
    InChain(Vec<R::Id>),
    /// Catching up has ended, and the ledger stands here.
    CaughtUp(Position),
    /// A peer asks for transactions that may be in the pool.
    Lookup {
        /// Which.
        hashes: Vec<RequestDigest>,
        /// Those that are.
        reply: oneshot::Sender<Vec<Arc<R>>>,
    },
}

/// Why the driver stopped the node.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The database failed under it.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// A record is not what was written.
    #[error("the consensus record under key {key} is damaged: {reason}")]
    BadRecord {
        /// Its key in hexadecimal.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A transaction kept with a record is not what was written.
    #[error("a transaction kept with the consensus records is damaged: {0}")]
    BadBody(String),
    /// This replica executed something else than the others.
    #[error(
        "block {sequence} has hash {own} here, but a quorum of replicas attests {attested}: \
         this node's state is wrong and it stops; move its data folder away and let it catch up anew"
    )]
    Diverged {
        /// Where.
        sequence: SequenceNumber,
        /// The outcome here.
        own: crypto::Digest,
        /// The outcome elsewhere.
        attested: crypto::Digest,
    },
    /// Another part of the node is gone.
    #[error("the {0} stopped before the driver did")]
    Gone(&'static str),
}

/// What the driver is wired to.
pub(crate) struct Wiring<R: Request = CheckedTransaction> {
    /// What happens.
    pub(crate) events: mpsc::Receiver<Event<R>>,
    /// Outcomes of execution; never full, so that the committer never waits.
    pub(crate) executed: mpsc::Receiver<(SequenceNumber, consensus::CheckpointDigest)>,
    /// The other replicas.
    pub(crate) network: NetworkHandle,
    /// Whoever applies blocks.
    pub(crate) committer: CommitterHandle<R>,
    /// Whoever fetches what is missing.
    pub(crate) fetcher: watch::Sender<Option<Missing>>,
    /// Whoever catches up.
    pub(crate) sync: mpsc::Sender<SequenceNumber>,
    /// What is seen of changes of the view.
    pub(crate) chronicle: Arc<Chronicle>,
    /// What can be proved against other replicas.
    pub(crate) evidence: Arc<EvidenceBook>,
    /// How this node is to misbehave.
    pub(crate) fault: watch::Receiver<Modes>,
    /// Where the replica stands, for everybody.
    pub(crate) status: watch::Sender<ConsensusStatus>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
}

/// The limits that the driver keeps to.
#[expect(
    clippy::struct_field_names,
    reason = "as they are named in the genesis document"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_batch_transactions: usize,
    pub(crate) max_batch_bytes: usize,
    pub(crate) max_timestamp_ahead: Duration,
}

/// See the module.
pub(crate) struct Driver<R: Request = CheckedTransaction> {
    replica: Replica,
    /// Where its inputs are recorded, if anybody wants them.
    journal: Option<Journal>,
    pool: Pool<R>,
    ledger: Arc<Ledger>,
    limits: Limits,
    wiring: Wiring<R>,
    timers: BTreeMap<Timer, Instant>,
    forward_at: Instant,
    /// When the current view began here: no request has waited for longer.
    view_entered_at: Instant,
    /// Whether the replica was told last that a request is overdue.
    told_overdue: bool,
    /// What was executed first of what is not attested, and since when it is.
    unattested: Option<(SequenceNumber, Instant)>,
    batches: Batches<R>,
    /// Asked to be executed and not answered yet.
    executing: BTreeMap<SequenceNumber, Vec<R::Id>>,
    /// Lately executed: what arrives late is not ordered again.
    recent: RecentTransactions<R::Id>,
    inputs: VecDeque<Input>,
    records: PendingRecords,
    outbox: Vec<consensus::Effect>,
    phases: Phases,
    pacing: Pacing,
    faults: Faults,
}

impl<R: Request> Driver<R> {
    /// Runs until `stop` is cancelled or something fails that the node must
    /// not survive.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), DriverError> {
        loop {
            self.advance();
            self.let_out().await?;
            self.publish_status();
            let wake_at = self.next_wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                executed = self.wiring.executed.recv() => {
                    let outcome = executed.ok_or(DriverError::Gone("committer"))?;
                    self.executed(outcome);
                }
                event = self.wiring.events.recv() => {
                    self.absorb(event.ok_or(DriverError::Gone("ingress"))?);
                }
                changed = self.wiring.fault.changed() => {
                    changed.map_err(|_| DriverError::Gone("API"))?;
                    self.change_fault();
                }
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
            self.absorb_what_is_there();
            self.fire_timers();
        }
    }

    /// Steps the replica with all that has come. The clock of requests is looked
    /// at only afterwards: what has come may have begun another view, whose
    /// primary is not to be suspected for what the last one did not do.
    fn advance(&mut self) {
        self.drain_inputs();
        self.watch_requests(Instant::now());
        self.drain_inputs();
        self.propose();
    }

    /// Takes what has come meanwhile, so that all of it is written together.
    fn absorb_what_is_there(&mut self) {
        for _ in 0..MAX_GROUP {
            if let Ok(outcome) = self.wiring.executed.try_recv() {
                self.executed(outcome);
            } else if let Ok(event) = self.wiring.events.try_recv() {
                self.absorb(event);
            } else {
                break;
            }
        }
    }

    fn absorb(&mut self, event: Event<R>) {
        let now = Instant::now();
        match event {
            Event::Input(input) => self.inputs.push_back(input),
            Event::Transactions(transactions) => {
                for transaction in transactions {
                    if self.recent.contains(&transaction.id()) {
                        self.pool.decline(&transaction);
                    } else {
                        self.pool.insert(transaction, now);
                    }
                }
                // A batch that the new view takes over may be named here before
                // all of it is held.
                if self.replica.is_primary() {
                    self.batches.mark_awaited(&mut self.pool);
                }
                self.inputs.extend(self.batches.settled(&self.pool));
            }
            Event::Fetched(transactions) => {
                for transaction in transactions {
                    self.batches.fetched(transaction);
                }
                self.inputs.extend(self.batches.settled(&self.pool));
            }
            Event::InChain(transactions) => self.forget(&transactions),
            Event::CaughtUp(position) => {
                self.batches.forget(position.last_executed);
                self.inputs.push_back(Input::CaughtUp(position));
            }
            Event::Lookup { hashes, reply } => {
                let pooled = hashes.iter().filter_map(|hash| self.pool.get(hash));
                let mut found: Vec<_> = pooled.cloned().collect();
                let rest = hashes.into_iter();
                let rest = rest.filter(|hash| self.pool.get(hash).is_none());
                found.extend(self.batches.find(&rest.collect()));
                // Whoever asked may have gone away.
                let _ = reply.send(found);
            }
        }
    }

    fn executed(&mut self, (sequence, digest): (SequenceNumber, consensus::CheckpointDigest)) {
        if let Some(transactions) = self.executing.remove(&sequence) {
            self.forget(&transactions);
        }
        self.phases.executed(sequence);
        self.batches.forget(sequence);
        self.inputs.push_back(Input::Executed { sequence, digest });
    }

    /// These are in the chain.
    fn forget(&mut self, transactions: &[R::Id]) {
        self.pool.remove(transactions);
        for id in transactions {
            self.recent.add(*id);
        }
    }

    fn drain_inputs(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            let (next, primary) = (self.replica.view().next(), self.replica.primary());
            let chronicle = &self.wiring.chronicle;
            chronicle.input(next, primary, &input);
            let effects = match &mut self.journal {
                Some(journal) => journal.step(&mut self.replica, input),
                None => self.replica.step(input),
            };
            for effect in &effects {
                chronicle.effect(next, effect);
            }
            self.gather(effects);
        }
    }

    /// At the primary: what waits is ordered as soon as there is room and it is
    /// worth a batch. One transaction on an idle network does not wait for company.
    fn propose(&mut self) {
        let now = Instant::now();
        if !self.replica.is_ordering() {
            self.pacing.executed(now);
        }
        while self.replica.room() > 0 && self.is_worth_a_batch(now) {
            let limits = self.limits;
            let faults = &self.faults;
            let batch = self.pool.take_batch(
                limits.max_batch_transactions,
                limits.max_batch_bytes,
                |transaction| {
                    transaction
                        .creator()
                        .is_some_and(|creator| faults.censor(creator))
                },
            );
            if batch.is_empty() {
                return;
            }
            if let Some(since) = self.pool.since(&batch[0]) {
                self.phases.taken(since);
            }
            // Where more is left than a batch may have, no load is to be waited for.
            let is_all = self.pool.waiting() == 0;
            self.pacing
                .proposed(if is_all { batch.len() } else { 0 }, now);
            self.inputs.push_back(Input::Propose {
                timestamp_ms: clock::unix_ms(),
                requests: batch,
            });
            self.drain_inputs();
        }
    }

    /// A batch costs votes and syncs, however small it is: it is given some time to
    /// fill ([`Pacing`]). Beside others that are under way it has to be a third of all
    /// that is not in a block yet, so that batches grow with the load by themselves.
    fn is_worth_a_batch(&self, now: Instant) -> bool {
        let (waiting, ordered) = (self.pool.waiting(), self.pool.ordered());
        let is_full = waiting >= self.limits.max_batch_transactions;
        let has_filled = self.pacing.fills_until(now).is_none();
        let is_large = !self.replica.is_ordering() || 2 * waiting >= ordered;
        waiting > 0 && (is_full || has_filled && is_large)
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let may_propose = self.pool.waiting() > 0 && self.replica.room() > 0;
        let filled = self.pacing.fills_until(now).filter(|_| may_propose);
        let timers = self.timers.values().min().copied();
        let overdue = self.deadline().filter(|_| !self.told_overdue);
        [
            timers,
            self.batches.next_due(),
            overdue,
            filled,
            Some(self.forward_at),
        ]
        .into_iter()
        .flatten()
        .min()
        .expect("the forwarding timer always runs")
    }

    fn fire_timers(&mut self) {
        let now = Instant::now();
        while let Some((&timer, _)) = self.timers.iter().find(|&(_, &at)| at <= now) {
            self.timers.remove(&timer);
            self.inputs.push_back(Input::TimerFired(timer));
        }
        if let Some(missing) = self.batches.overdue(&self.pool, now) {
            self.wiring.fetcher.send_replace(Some(missing));
        }
        if self.forward_at <= now {
            let timeout = self.replica.request_timeout();
            let pause = timeout.map_or(FORWARD_AFTER, |of| FORWARD_AFTER.min(of / 4));
            self.forward_at = now + pause;
            self.forward_overdue(now, pause);
        }
    }

    /// When the replica is to be told that a request is overdue: the clock of
    /// requests is the node's, how patient it is the replica says.
    /// A transaction that came when many waited may wait for their time as well:
    /// a full pool is the clients' doing and not the primary's.
    fn deadline(&self) -> Option<Instant> {
        let timeout = self.replica.request_timeout()?;
        let in_queue = |(since, ahead): (Instant, usize)| {
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            since + TIME_PER_TRANSACTION.saturating_mul(ahead)
        };
        let oldest = self.pool.oldest().map(in_queue);
        let unattested = self.unattested.map(|(_, since)| since);
        let since = oldest.into_iter().chain(unattested).min()?;
        Some(since.max(self.view_entered_at) + timeout)
    }

    /// What is executed is done only once a quorum attests it: until then nobody
    /// has a receipt, and a replica that lacks it may need another view to get it.
    fn watch_attestation(&mut self, now: Instant) {
        let first = self.replica.first_unattested();
        if self.unattested.map(|(sequence, _)| sequence) != first {
            self.unattested = first.map(|sequence| (sequence, now));
        }
    }

    fn note_overdue(&self, now: Instant) {
        if let Some((oldest, _)) = self.pool.oldest() {
            let waited = now.saturating_duration_since(oldest);
            let request = self.pool.oldest_id().map(|id| id.to_string());
            let request = request.unwrap_or_default();
            let next = self.replica.view().next();
            self.wiring.chronicle.overdue(next, waited, &request);
        }
    }

    fn watch_requests(&mut self, now: Instant) {
        self.watch_attestation(now);
        if self.replica.request_timeout().is_none() {
            self.told_overdue = false;
            return;
        }
        let overdue = self.deadline().is_some_and(|deadline| deadline <= now);
        if overdue != self.told_overdue {
            self.told_overdue = overdue;
            if overdue {
                self.note_overdue(now);
            }
            self.inputs.push_back(Input::Overdue(overdue));
        }
    }

    /// A backup sends on to the primary what has waited long: the client may
    /// have told only this node, or the message may have been lost. Before it
    /// suspects the primary it sends it to everybody, so that all of them do; and
    /// again as long as it waits, for that may have been lost as well.
    fn forward_overdue(&mut self, now: Instant, after: Duration) {
        let Some(timeout) = self.replica.request_timeout() else {
            return;
        };
        let unknown = self.pool.untold(now, timeout / 2, MAX_FORWARDED);
        for peer in self.wiring.network.peers() {
            gossip::send_to(&self.wiring.network, peer.id, &unknown);
        }
        let overdue = self.pool.overdue(now, after, MAX_FORWARDED);
        let primary = PeerId(self.replica.primary().0);
        gossip::send_to(&self.wiring.network, primary, &overdue);
    }

    fn publish_status(&mut self) {
        let watermarks = self.replica.watermarks();
        let status = ConsensusStatus {
            view: self.replica.view().0,
            primary: self.replica.primary().0,
            last_executed: self.replica.last_executed().0,
            low_watermark: watermarks.low.0,
            high_watermark: watermarks.high.0,
            listening: self.replica.is_listening(),
            catching_up: self.replica.is_catching_up(),
            changing: !self.replica.is_active(),
            suspects: self.replica.suspects(),
        };
        self.wiring.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}
