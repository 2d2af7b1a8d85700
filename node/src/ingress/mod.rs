//! Ingress: the one door for transactions, whether a client hands them in or a
//! peer sends them on.
//!
//! What has come meanwhile is looked at together, so that the signatures of
//! many transactions are verified in one batch. Room in the pool is reserved
//! before any signature is verified: a full pool is an answer (HTTP 429), and
//! a flood of bad signatures costs no memory. What peers send on waits in the
//! network's inbox until it is taken here, a few frames at a time.

mod candidates;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crypto::{NetworkId, PublicKey};
use ledger::{CheckedTransaction, Ledger, Limits, Refusal, TransactionHash, UncheckedTransaction};
use tokio::sync::{mpsc, oneshot};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::allowance::{Allowances, PerSecond};
use crate::driver::Event;
use crate::gossip;
use crate::metrics::Metrics;
use crate::network::{Class, Inbox, NetworkEvent, NetworkHandle, PeerId};
use crate::pool::PoolBudget;
use crate::recent::RecentTransactions;
use crate::services::{BoxFuture, Submit, SubmitError, Submitted};

use candidates::{Candidate, Judged, Origin, Suspects, check};

/// How many transactions are verified together at most.
const MAX_TOGETHER: usize = 256;

/// How many wait for ingress at most; more get "try again" at once.
const QUEUE: usize = 1024;

/// How many bytes the frames of peers have that are looked at together, but for
/// the last; and how many frames that are at most.
const MAX_PEER_BYTES_TOGETHER: usize = 256 * 1024;
const MAX_PEER_FRAMES_TOGETHER: usize = 32;

/// From how many transactions in the pool on more of them are waited for, and how
/// long: they could not be ordered before those anyway, and together they cost
/// less to verify and to pass on.
const BUSY: usize = 32;
const LINGER: Duration = Duration::from_millis(10);

/// How much work one peer's transactions may make in a second. One that is new
/// and sound is none: it has to be looked at once, whoever sends it.
const WORK_PER_SECOND: u64 = 4096;

/// What a transaction counts that is in the pool or in the chain already, or for
/// which there is no room. Clients may hand one to several nodes.
const NEEDLESS: u64 = 1;

/// What a transaction counts that is none, or whose signatures do not hold: a
/// correct replica has looked at it before it sends it on.
const BAD: u64 = 64;

/// How many transactions that clients hand in again are passed on again in a second.
/// Peers that have them already hold them against this node's allowance, whoever it
/// was that sent them again.
const PASSED_ON_AGAIN: u32 = 512;

/// What has passed lately.
type Seen = RecentTransactions<TransactionHash>;

type Reply = oneshot::Sender<Result<Submitted, SubmitError>>;

/// Something to be looked at.
pub(crate) enum Arrival {
    /// A client hands in a transaction and waits for an answer.
    Client(Bytes, Reply),
    /// Transactions that were asked for by hash.
    Fetched(Vec<Vec<u8>>),
}

/// The API's end of ingress.
pub(crate) struct IngressHandle {
    arrivals: mpsc::Sender<Arrival>,
    budget: Arc<PoolBudget>,
}

impl Submit for IngressHandle {
    fn submit(&self, bytes: Bytes) -> BoxFuture<'_, Result<Submitted, SubmitError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let arrival = Arrival::Client(bytes, reply);
            self.arrivals
                .try_send(arrival)
                .map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => SubmitError::PoolFull {
                        held: self.budget.usage().0,
                    },
                    mpsc::error::TrySendError::Closed(_) => stopping(),
                })?;
            answer.await.unwrap_or_else(|_| Err(stopping()))
        })
    }

    fn pool_usage(&self) -> (usize, usize) {
        self.budget.usage()
    }

    fn has_room(&self) -> bool {
        self.budget.has_room()
    }
}

fn stopping() -> SubmitError {
    SubmitError::NotReady {
        reason: "it is stopping".to_owned(),
    }
}

/// See the module.
pub(crate) struct Ingress {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) network_id: NetworkId,
    pub(crate) limits: Limits,
    pub(crate) budget: Arc<PoolBudget>,
    pub(crate) network: NetworkHandle,
    pub(crate) driver: mpsc::Sender<Event>,
    pub(crate) metrics: Arc<Metrics>,
    /// Keys that were seen to be members', which they remain once they are, revoked
    /// or not.
    pub(crate) members: Mutex<HashSet<PublicKey>>,
    pub(crate) passed_on_again: Mutex<PerSecond>,
}

/// The queue in front of ingress: its end for what is fetched, for clients, and
/// for ingress.
pub(crate) fn queue(
    budget: Arc<PoolBudget>,
) -> (
    mpsc::Sender<Arrival>,
    IngressHandle,
    mpsc::Receiver<Arrival>,
) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let handle = IngressHandle {
        arrivals: sender.clone(),
        budget,
    };
    (sender, handle, receiver)
}

/// What becomes of a client's transaction.
enum Judgement {
    Answer(Submitted),
    Verify(Box<UncheckedTransaction>),
}

/// What is there already, up to a bound in number and in bytes.
fn gather(frames: &mut Vec<NetworkEvent>, peers: &mut Inbox) {
    let length = |event: &NetworkEvent| match event {
        NetworkEvent::Frame { bytes, .. } => bytes.len(),
        NetworkEvent::Connected(_) | NetworkEvent::Disconnected(_) => 0,
    };
    let mut bytes: usize = frames.iter().map(length).sum();
    while frames.len() < MAX_PEER_FRAMES_TOGETHER && bytes < MAX_PEER_BYTES_TOGETHER {
        let Some(event) = peers.try_recv() else { break };
        bytes = bytes.saturating_add(length(&event));
        frames.push(event);
    }
}

/// What every peer's transactions have cost in one round.
type Work = BTreeMap<PeerId, u64>;

impl Ingress {
    /// Works until `stop` is cancelled. Clients and peers have their turns in
    /// every round.
    pub(crate) async fn run(
        self,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut peers: Inbox,
        stop: CancellationToken,
    ) {
        let mut seen = Seen::default();
        let mut suspects = Suspects::default();
        let mut allowances = Allowances::new(WORK_PER_SECOND);
        loop {
            let mut together = Vec::with_capacity(MAX_TOGETHER);
            let mut frames = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => together.push(arrival),
                    None => return,
                },
                event = peers.recv() => match event {
                    Some(event) => frames.push(event),
                    None => return,
                },
            }
            if self.budget.usage().0 >= BUSY {
                tokio::time::sleep(LINGER).await;
            }
            let more = std::iter::from_fn(|| arrivals.try_recv().ok());
            together.extend(more.take(MAX_TOGETHER - together.len()));
            gather(&mut frames, &mut peers);
            let mut work = Work::new();
            let mut candidates = self.admit(together, &seen);
            candidates.extend(self.admit_from_peers(frames, &seen, &mut work));
            let Ok(judged) = check(candidates, &mut suspects).await else {
                return;
            };
            let taken = self.take_in(judged, &mut seen, &mut work).await;
            let now = Instant::now();
            for (peer, work) in work {
                if let Some(until) = allowances.charge(peer, work, now) {
                    self.metrics.rests(peer.0, Class::Transactions);
                    peers.rest(peer, until);
                }
            }
            if taken.is_err() {
                return;
            }
        }
    }

    /// Decodes, sorts out what needs no verification, and reserves room.
    fn admit(&self, together: Vec<Arrival>, seen: &Seen) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for arrival in together {
            match arrival {
                Arrival::Client(bytes, reply) => {
                    if let Some(candidate) = self.admit_from_client(&bytes, reply, seen) {
                        candidates.push(candidate);
                    }
                }
                Arrival::Fetched(all) => candidates.extend(all.iter().filter_map(|bytes| {
                    Some(Candidate {
                        unchecked: self.decode(bytes).ok()?,
                        length: bytes.len(),
                        origin: Origin::Fetched,
                    })
                })),
            }
        }
        candidates
    }

    /// The same for what peers send on.
    fn admit_from_peers(
        &self,
        frames: Vec<NetworkEvent>,
        seen: &Seen,
        work: &mut Work,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for event in frames {
            let NetworkEvent::Frame { from, bytes, .. } = event else {
                continue;
            };
            let caused = work.entry(from).or_default();
            let Ok(transactions) = gossip::decode(&bytes) else {
                tracing::debug!(peer = %from, "not a list of transactions");
                self.metrics.undecodable(from.0);
                *caused += BAD;
                continue;
            };
            for bytes in transactions {
                let Ok(unchecked) = self.decode(&bytes) else {
                    // The rest of such a frame is not worth a look.
                    self.metrics.bad_transaction(from.0);
                    *caused += BAD;
                    break;
                };
                let length = bytes.len();
                if self.is_needless(&unchecked, seen) || !self.budget.reserve(length) {
                    *caused += NEEDLESS;
                    continue;
                }
                candidates.push(Candidate {
                    unchecked,
                    length,
                    origin: Origin::Peer(from),
                });
            }
        }
        candidates
    }

    /// Late copies of what is in a block would be ordered again for nothing, and
    /// what a stranger has made has no effect. Should a batch name it all the
    /// same, it is fetched.
    fn is_needless(&self, unchecked: &UncheckedTransaction, seen: &Seen) -> bool {
        seen.contains(&unchecked.hash())
            || !self.place_in_chain(unchecked).is_ok_and(|it| it.is_none())
    }

    fn decode(&self, bytes: &[u8]) -> Result<UncheckedTransaction, Refusal> {
        UncheckedTransaction::decode(bytes, &self.network_id, &self.limits)
    }

    fn admit_from_client(&self, bytes: &Bytes, reply: Reply, seen: &Seen) -> Option<Candidate> {
        let answer = match self.judge(bytes, seen) {
            Ok(Judgement::Verify(unchecked)) => {
                return Some(Candidate {
                    unchecked: *unchecked,
                    length: bytes.len(),
                    origin: Origin::Client(reply),
                });
            }
            Ok(Judgement::Answer(submitted)) => Ok(submitted),
            Err(error) => Err(error),
        };
        self.answer(reply, answer);
        None
    }

    /// What can be said of a client's transaction before any signature is
    /// looked at; room is reserved for it if it is to be verified.
    fn judge(&self, bytes: &Bytes, seen: &Seen) -> Result<Judgement, SubmitError> {
        let unchecked = self.decode(bytes)?;
        let id = unchecked.id();
        if let Some(location) = self.place_in_chain(&unchecked)? {
            return Ok(Judgement::Answer(Submitted::AlreadyCommitted(id, location)));
        }
        if seen.contains(&unchecked.hash()) {
            // Verified before: the client has come back because it saw no
            // result. Perhaps a message was lost.
            let again = self.passed_on_again.lock();
            let mut again = again.unwrap_or_else(PoisonError::into_inner);
            if again.admits(PASSED_ON_AGAIN, Instant::now()) {
                gossip::broadcast(&self.network, std::slice::from_ref(bytes));
            }
            return Ok(Judgement::Answer(Submitted::Accepted(id)));
        }
        if !self.budget.reserve(bytes.len()) {
            let held = self.budget.usage().0;
            return Err(SubmitError::PoolFull { held });
        }
        Ok(Judgement::Verify(Box::new(unchecked)))
    }

    /// Where a client's transaction stands in the chain, if it does; a
    /// stranger's is refused. Both are decided for good at execution: here they
    /// only spare work and disk.
    fn place_in_chain(
        &self,
        unchecked: &UncheckedTransaction,
    ) -> Result<Option<ledger::Location>, SubmitError> {
        let unreadable = |error: ledger::LedgerError| SubmitError::NotReady {
            reason: error.to_string(),
        };
        if let Some(location) = self.ledger.location(&unchecked.id()).map_err(unreadable)? {
            return Ok(Some(location));
        }
        let creator = unchecked.creator();
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.contains(&creator) {
            return Ok(None);
        }
        let snapshot = self.ledger.snapshot().map_err(unreadable)?;
        let member = ledger::members::member(&snapshot, &creator);
        if member.map_err(|error| unreadable(error.into()))?.is_none() {
            return Err(SubmitError::UnknownCreator {
                creator: creator.to_string(),
            });
        }
        members.insert(creator);
        Ok(None)
    }

    /// Hands on what holds.
    async fn take_in(
        &self,
        judged: Vec<Judged>,
        seen: &mut Seen,
        work: &mut Work,
    ) -> Result<(), ()> {
        let (mut pooled, mut fetched, mut from_clients) = (Vec::new(), Vec::new(), Vec::new());
        let mut replies = Vec::new();
        for (origin, length, verdict) in judged {
            let Some(verdict) = verdict else {
                self.budget.release(length);
                continue;
            };
            match (verdict, origin) {
                (Ok(transaction), Origin::Fetched) => fetched.push(Arc::new(transaction)),
                (Ok(transaction), origin) => {
                    seen.add(transaction.hash());
                    let transaction: Arc<CheckedTransaction> = Arc::new(transaction);
                    if let Origin::Client(reply) = origin {
                        from_clients.push(Bytes::copy_from_slice(transaction.bytes()));
                        replies.push((reply, Submitted::Accepted(transaction.id())));
                    }
                    pooled.push(transaction);
                }
                (Err(_), Origin::Fetched) => {}
                (Err(refusal), Origin::Client(reply)) => {
                    self.budget.release(length);
                    self.answer(reply, Err(refusal.into()));
                }
                (Err(_), Origin::Peer(from)) => {
                    self.budget.release(length);
                    self.metrics.bad_transaction(from.0);
                    *work.entry(from).or_default() += BAD;
                }
            }
        }
        // To the peers first, so that they verify while this node does the rest.
        gossip::broadcast(&self.network, &from_clients);
        self.hand_on(Event::Transactions(pooled)).await?;
        self.hand_on(Event::Fetched(fetched)).await?;
        for (reply, submitted) in replies {
            self.answer(reply, Ok(submitted));
        }
        Ok(())
    }

    async fn hand_on(&self, event: Event) -> Result<(), ()> {
        let empty =
            matches!(&event, Event::Transactions(all) | Event::Fetched(all) if all.is_empty());
        if empty {
            return Ok(());
        }
        self.driver.send(event).await.map_err(|_| ())
    }

    fn answer(&self, reply: Reply, answer: Result<Submitted, SubmitError>) {
        if let Err(error) = &answer {
            self.metrics.refused(error.code());
        }
        // A client that has gone away is not told.
        let _ = reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client must not spend this node's allowance with its peers.
    #[test]
    fn what_is_handed_in_again_is_passed_on_again_so_often_in_a_second_and_no_more() {
        const { assert!((PASSED_ON_AGAIN as u64) * NEEDLESS <= WORK_PER_SECOND / 2) };
        let (mut again, now) = (PerSecond::default(), Instant::now());
        let admitted = (0..2 * PASSED_ON_AGAIN).filter(|_| again.admits(PASSED_ON_AGAIN, now));
        assert_eq!(admitted.count(), PASSED_ON_AGAIN as usize);
        assert!(again.admits(PASSED_ON_AGAIN, now + Duration::from_secs(1)));
    }
}
