//! Ingress: the one door for transactions, whether a client hands them in or a
//! peer sends them on.
//!
//! What has come meanwhile is looked at together, so that the signatures of
//! many transactions are verified in one batch. Room in the pool is reserved
//! before any signature is verified: a full pool is an answer (HTTP 429), and
//! a flood of bad signatures costs no memory. What peers send on waits in the
//! network's inbox until it is taken here, a few frames at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crypto::{NetworkId, PublicKey};
use ledger::{
    CheckedTransaction, Ledger, Limits, Refusal, TransactionHash, UncheckedTransaction,
    check_together, check_transactions,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::allowance::Allowances;
use crate::driver::Event;
use crate::gossip;
use crate::metrics::Metrics;
use crate::network::{Class, Inbox, NetworkEvent, NetworkHandle, PeerId};
use crate::pool::PoolBudget;
use crate::recent::RecentTransactions;
use crate::services::{BoxFuture, Submit, SubmitError, Submitted};

/// How many transactions are verified together at most.
const MAX_TOGETHER: usize = 256;

/// How many wait for ingress at most; more get "try again" at once.
const QUEUE: usize = 1024;

/// How many bytes the frames of peers have that are looked at together, but for
/// the last; and how many frames that are at most.
const MAX_PEER_BYTES_TOGETHER: usize = 256 * 1024;
const MAX_PEER_FRAMES_TOGETHER: usize = 32;

/// How many transactions are verified together whose senders have not sent bad
/// ones lately; and of one who has.
const MAX_VERIFIED_TOGETHER: usize = 256;
const MAX_OF_SUSPECT: usize = 64;

/// For how long what somebody sends is verified apart from what others send, after
/// a signature that did not hold.
const SUSPECTED_FOR: Duration = Duration::from_mins(1);

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

/// Verifies candidates, apart from this runtime's own threads.
async fn check(candidates: Vec<Candidate>, suspects: &mut Suspects) -> Result<Vec<Judged>, ()> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let suspected = suspects.now(Instant::now());
    let judged = tokio::task::spawn_blocking(move || check_all(candidates, &suspected));
    let judged = judged.await.map_err(|_| ())?;
    suspects.note(&judged, Instant::now());
    Ok(judged)
}

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

/// Who waits for the verdict on a transaction.
enum Origin {
    Client(Reply),
    Peer(PeerId),
    Fetched,
}

/// A peer, or all clients.
type Source = Option<PeerId>;

impl Origin {
    fn source(&self) -> Source {
        match self {
            Self::Client(_) | Self::Fetched => None,
            Self::Peer(peer) => Some(*peer),
        }
    }
}

/// A transaction with room reserved, if its origin needs room.
struct Candidate {
    unchecked: UncheckedTransaction,
    length: usize,
    origin: Origin,
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

/// A candidate's origin and length, and the verdict if it was looked at.
type Judged = (Origin, usize, Option<Result<CheckedTransaction, Refusal>>);

/// Verifies the signatures of candidates, all of them together where their senders
/// are not `suspected`. Where that fails, those of each sender are verified apart.
fn check_all(candidates: Vec<Candidate>, suspected: &BTreeSet<Source>) -> Vec<Judged> {
    let (apart, mut together): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|it| suspected.contains(&it.origin.source()));
    let mut judged = check_apart(apart);
    while !together.is_empty() {
        let rest = together.split_off(together.len().min(MAX_VERIFIED_TOGETHER));
        let (origins, unchecked) = split(std::mem::replace(&mut together, rest));
        match check_together(unchecked) {
            Ok(checked) => {
                let verdicts = checked.into_iter().map(|it| Some(Ok(it)));
                judged.extend(join(origins, verdicts));
            }
            Err(unchecked) => {
                let candidates = join(origins, unchecked);
                let candidates = candidates.map(|(origin, length, unchecked)| Candidate {
                    unchecked,
                    length,
                    origin,
                });
                judged.extend(check_apart(candidates.collect()));
            }
        }
    }
    judged
}

/// Candidates without their transactions, and these.
fn split(candidates: Vec<Candidate>) -> (Vec<(Origin, usize)>, Vec<UncheckedTransaction>) {
    let parts = candidates.into_iter();
    parts
        .map(|it| ((it.origin, it.length), it.unchecked))
        .unzip()
}

fn join<T>(
    origins: Vec<(Origin, usize)>,
    of: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (Origin, usize, T)> {
    let joined = origins.into_iter().zip(of);
    joined.map(|((origin, length), of)| (origin, length, of))
}

/// Verifies the signatures of candidates, of each sender by themselves: where one
/// does not hold, all that are verified with it are verified one by one, and
/// what else that peer has sent is not looked at.
fn check_apart(candidates: Vec<Candidate>) -> Vec<Judged> {
    let mut by_source: BTreeMap<Source, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let source = candidate.origin.source();
        by_source.entry(source).or_default().push(candidate);
    }
    let mut judged = Vec::new();
    for (source, candidates) in by_source {
        let mut rest = candidates.into_iter();
        let mut bad = false;
        while rest.len() > 0 {
            let (origins, unchecked) = split(rest.by_ref().take(MAX_OF_SUSPECT).collect());
            let verdicts: Vec<_> = if bad {
                unchecked.iter().map(|_| None).collect()
            } else {
                let checked = check_transactions(unchecked).into_iter();
                checked.map(Some).collect()
            };
            bad |= source.is_some() && verdicts.iter().any(|it| matches!(it, Some(Err(_))));
            judged.extend(join(origins, verdicts));
        }
    }
    judged
}

/// Who has sent a signature that does not hold, and until when that is remembered.
#[derive(Default)]
struct Suspects(BTreeMap<Source, Instant>);

impl Suspects {
    fn now(&mut self, now: Instant) -> BTreeSet<Source> {
        self.0.retain(|_, until| *until > now);
        self.0.keys().copied().collect()
    }

    fn note(&mut self, judged: &[Judged], now: Instant) {
        for (origin, _, verdict) in judged {
            if matches!(verdict, Some(Err(_))) {
                self.0.insert(origin.source(), now + SUSPECTED_FOR);
            }
        }
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
            gossip::broadcast(&self.network, std::slice::from_ref(bytes));
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
    use crate::testing::{genesis, transaction};

    fn candidate(bytes: &[u8], from: u32) -> Candidate {
        let genesis = genesis();
        let network = genesis.network_id();
        let unchecked = UncheckedTransaction::decode(bytes, &network, &genesis.limits());
        Candidate {
            unchecked: unchecked.unwrap(),
            length: bytes.len(),
            origin: Origin::Peer(PeerId(from)),
        }
    }

    #[test]
    fn who_sends_a_bad_signature_is_suspected_for_a_while_and_nobody_else() {
        let sound = transaction(1, 0).bytes().to_vec();
        let mut forged = sound.clone();
        *forged.last_mut().unwrap() ^= 1;
        let candidates = vec![candidate(&forged, 1), candidate(&sound, 2)];
        let judged = check_all(candidates, &BTreeSet::new());
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        suspects.note(&judged, now);
        assert_eq!(suspects.now(now), BTreeSet::from([Some(PeerId(1))]));
        assert_eq!(suspects.now(now + SUSPECTED_FOR), BTreeSet::new());
    }

    #[test]
    fn a_peer_with_a_bad_signature_is_not_looked_at_further_and_others_are() {
        let sound = transaction(1, 0).bytes().to_vec();
        let mut forged = sound.clone();
        *forged.last_mut().unwrap() ^= 1;
        let mut candidates = vec![candidate(&forged, 1)];
        for _ in 0..2 * MAX_OF_SUSPECT {
            candidates.push(candidate(&sound, 1));
            candidates.push(candidate(&sound, 2));
        }
        let judged = check_all(candidates, &BTreeSet::from([Some(PeerId(1))]));
        let count = |from: u32, which: fn(&Judged) -> bool| {
            let of_peer = |it: &&Judged| matches!(it.0, Origin::Peer(PeerId(peer)) if peer == from);
            judged.iter().filter(of_peer).filter(|it| which(it)).count()
        };
        let passed = |it: &Judged| matches!(it.2, Some(Ok(_)));
        assert_eq!(count(2, passed), 2 * MAX_OF_SUSPECT);
        assert_eq!(count(1, passed), MAX_OF_SUSPECT - 1);
        assert_eq!(count(1, |it| matches!(it.2, Some(Err(_)))), 1);
        assert_eq!(count(1, |it| it.2.is_none()), MAX_OF_SUSPECT + 1);
    }
}
