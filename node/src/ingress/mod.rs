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
use ledger::{
    CheckedTransaction, Ledger, Limits, Location, Refusal, TransactionHash, UncheckedTransaction,
};
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

/// How many bytes are looked at together of clients' transactions, and of peers' frames,
/// but for the last of each; and how many frames that are at most.
const MAX_BYTES_TOGETHER: usize = 1024 * 1024;
const MAX_PEER_FRAMES_TOGETHER: usize = 64;

/// From how many transactions in the pool on more of them are waited for, how long for
/// each of those, and how long at most: they could not be ordered before those anyway,
/// and together they cost less to verify and to pass on.
const BUSY: u32 = 32;
const LINGER_PER_TRANSACTION: Duration = Duration::from_micros(30);
const LONGEST_LINGER: Duration = Duration::from_millis(25);

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

fn unreadable(error: &impl ToString) -> SubmitError {
    SubmitError::NotReady {
        reason: error.to_string(),
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

/// How long more is waited for while so many are in the pool.
fn linger(held: usize) -> Option<Duration> {
    let held = u32::try_from(held).unwrap_or(u32::MAX);
    let linger = LINGER_PER_TRANSACTION.saturating_mul(held);
    (held >= BUSY).then_some(linger.min(LONGEST_LINGER))
}

/// Takes what is there already, up to a bound in number and in bytes.
fn gather<T>(
    together: &mut Vec<T>,
    most: usize,
    length: impl Fn(&T) -> usize,
    mut next: impl FnMut() -> Option<T>,
) {
    let mut bytes: usize = together.iter().map(&length).sum();
    while together.len() < most
        && bytes < MAX_BYTES_TOGETHER
        && let Some(more) = next()
    {
        bytes = bytes.saturating_add(length(&more));
        together.push(more);
    }
}

impl Arrival {
    fn length(&self) -> usize {
        match self {
            Self::Client(bytes, _) => bytes.len(),
            Self::Fetched(all) => all.iter().map(Vec::len).sum(),
        }
    }
}

fn frame_length(event: &NetworkEvent) -> usize {
    match event {
        NetworkEvent::Frame { bytes, .. } => bytes.len(),
        NetworkEvent::Connected(_) | NetworkEvent::Disconnected(_) => 0,
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
        // What was signed at once mostly comes at once, but not always together.
        let verifier = Arc::default();
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
            // A vote may wait for what was asked for.
            let is_awaited = matches!(together.first(), Some(Arrival::Fetched(_)));
            let is_full = arrivals.len() >= MAX_TOGETHER;
            if let Some(linger) = linger(self.budget.usage().0)
                && !is_awaited
                && !is_full
            {
                tokio::time::sleep(linger).await;
            }
            gather(&mut together, MAX_TOGETHER, Arrival::length, || {
                arrivals.try_recv().ok()
            });
            gather(&mut frames, MAX_PEER_FRAMES_TOGETHER, frame_length, || {
                peers.try_recv()
            });
            let mut work = Work::new();
            let mut arrived = self.decode_arrivals(together);
            arrived.extend(self.decode_frames(frames, &mut work));
            let candidates = self.admit(arrived, &seen, &mut work);
            let Ok(judged) = check(candidates, &mut suspects, &verifier).await else {
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

    /// What clients hand in or was fetched, as far as it has the form of transactions.
    fn decode_arrivals(&self, together: Vec<Arrival>) -> Vec<Candidate> {
        let mut arrived = Vec::new();
        for arrival in together {
            match arrival {
                Arrival::Client(bytes, reply) => match self.decode(&bytes) {
                    Ok(unchecked) => {
                        let origin = Origin::Client(reply);
                        arrived.push(Candidate { unchecked, origin });
                    }
                    Err(refusal) => tell(reply, Err(refusal.into())),
                },
                Arrival::Fetched(all) => {
                    let decoded = all.iter().filter_map(|bytes| self.decode(bytes).ok());
                    arrived.extend(decoded.map(|unchecked| Candidate {
                        unchecked,
                        origin: Origin::Fetched,
                    }));
                }
            }
        }
        arrived
    }

    /// The same for what peers send on.
    fn decode_frames(&self, frames: Vec<NetworkEvent>, work: &mut Work) -> Vec<Candidate> {
        let mut arrived = Vec::new();
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
                let origin = Origin::Peer(from);
                arrived.push(Candidate { unchecked, origin });
            }
        }
        arrived
    }

    fn decode(&self, bytes: &[u8]) -> Result<UncheckedTransaction, Refusal> {
        UncheckedTransaction::decode(bytes, &self.network_id, &self.limits)
    }

    /// Sorts out what needs no verification, and reserves room for the rest.
    fn admit(&self, arrived: Vec<Candidate>, seen: &Seen, work: &mut Work) -> Vec<Candidate> {
        let places = self.places(&arrived);
        let mut candidates = Vec::new();
        for (Candidate { unchecked, origin }, place) in arrived.into_iter().zip(places) {
            let length = unchecked.bytes().len();
            let origin = match origin {
                Origin::Fetched => Some(origin),
                Origin::Client(reply) => match self.judge(&unchecked, place, seen) {
                    None => Some(Origin::Client(reply)),
                    Some(answer) => {
                        tell(reply, answer);
                        None
                    }
                },
                Origin::Peer(from) => {
                    let is_new = matches!(place, Ok(None)) && self.is_new(&unchecked, seen);
                    if is_new && self.budget.reserve(length) {
                        Some(origin)
                    } else {
                        *work.entry(from).or_default() += NEEDLESS;
                        None
                    }
                }
            };
            candidates.extend(origin.map(|origin| Candidate { unchecked, origin }));
        }
        candidates
    }

    /// Where transactions stand in the chain.
    fn places(&self, arrived: &[Candidate]) -> Vec<Result<Option<Location>, SubmitError>> {
        let ids: Vec<_> = arrived.iter().map(|it| it.unchecked.id()).collect();
        let places = self.ledger.locations(&ids).into_iter();
        places
            .map(|place| place.map_err(|error| unreadable(&error)))
            .collect()
    }

    /// Whether what a peer sends on and no block has is worth a look. A late copy would
    /// be ordered again for nothing, and what a stranger has made has no effect. Should
    /// a batch name it all the same, it is fetched.
    fn is_new(&self, unchecked: &UncheckedTransaction, seen: &Seen) -> bool {
        !seen.contains(&unchecked.hash()) && self.check_creator(unchecked).is_ok()
    }

    /// What can be said of a client's transaction before any signature is
    /// looked at; room is reserved for it if that is nothing.
    fn judge(
        &self,
        unchecked: &UncheckedTransaction,
        place: Result<Option<Location>, SubmitError>,
        seen: &Seen,
    ) -> Option<Result<Submitted, SubmitError>> {
        let id = unchecked.id();
        match place {
            Ok(None) => {}
            Ok(Some(location)) => return Some(Ok(Submitted::AlreadyCommitted(id, location))),
            Err(error) => return Some(Err(error)),
        }
        if let Err(error) = self.check_creator(unchecked) {
            return Some(Err(error));
        }
        if seen.contains(&unchecked.hash()) {
            // Verified before: the client has come back because it saw no
            // result. Perhaps a message was lost.
            let again = self.passed_on_again.lock();
            let mut again = again.unwrap_or_else(PoisonError::into_inner);
            if again.admits(PASSED_ON_AGAIN, Instant::now()) {
                let bytes = Bytes::copy_from_slice(unchecked.bytes());
                gossip::broadcast(&self.network, &[bytes]);
            }
            return Some(Ok(Submitted::Accepted(id)));
        }
        if !self.budget.reserve(unchecked.bytes().len()) {
            let held = self.budget.usage().0;
            return Some(Err(SubmitError::PoolFull { held }));
        }
        None
    }

    /// Refuses what a stranger has made. Like the place in the chain, that is decided
    /// for good at execution: here it only spares work and disk.
    fn check_creator(&self, unchecked: &UncheckedTransaction) -> Result<(), SubmitError> {
        let creator = unchecked.creator();
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.contains(&creator) {
            return Ok(());
        }
        let snapshot = self.ledger.snapshot().map_err(|error| unreadable(&error))?;
        let member = ledger::members::member(&snapshot, &creator);
        if member.map_err(|error| unreadable(&error))?.is_none() {
            return Err(SubmitError::UnknownCreator {
                creator: creator.to_string(),
            });
        }
        members.insert(creator);
        Ok(())
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
                    tell(reply, Err(refusal.into()));
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
            tell(reply, Ok(submitted));
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
}

fn tell(reply: Reply, answer: Result<Submitted, SubmitError>) {
    // A client that has gone away is not told.
    let _ = reply.send(answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_company_where_there_is_little_to_do_nor_for_long() {
        assert_eq!(linger(31), None);
        assert_eq!(linger(100), Some(Duration::from_millis(3)));
        assert_eq!(linger(usize::MAX), Some(LONGEST_LINGER));
    }

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
