//! Ingress: the one door for transactions, whether a client hands them in or a
//! peer sends them on.
//!
//! What has come meanwhile is looked at together, so that the signatures of
//! many transactions are verified in one batch. Room in the pool is reserved
//! before any signature is verified: a full pool is an answer (HTTP 429), and
//! a flood of bad signatures costs no memory.

use std::sync::Arc;

use crypto::NetworkId;
use ledger::{
    CheckedTransaction, Ledger, Limits, Refusal, TransactionHash, UncheckedTransaction,
    check_transactions,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::driver::Event;
use crate::gossip;
use crate::metrics::Metrics;
use crate::network::NetworkHandle;
use crate::pool::PoolBudget;
use crate::recent::RecentTransactions;
use crate::services::{BoxFuture, Submit, SubmitError, Submitted};

/// How many transactions are verified together at most.
const MAX_TOGETHER: usize = 256;

/// How many wait for ingress at most; more get "try again" at once.
const QUEUE: usize = 1024;

/// What has passed lately.
type Seen = RecentTransactions<TransactionHash>;

type Reply = oneshot::Sender<Result<Submitted, SubmitError>>;

/// Something to be looked at.
pub(crate) enum Arrival {
    /// A client hands in a transaction and waits for an answer.
    Client(Bytes, Reply),
    /// A peer sends transactions on.
    Peer(Vec<Vec<u8>>),
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
}

/// The queue in front of ingress: its end for peers, for clients, and for ingress.
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
    Peer,
    Fetched,
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

impl Ingress {
    /// Works until `stop` is cancelled.
    pub(crate) async fn run(self, mut arrivals: mpsc::Receiver<Arrival>, stop: CancellationToken) {
        let mut together = Vec::with_capacity(MAX_TOGETHER);
        let mut seen = Seen::default();
        loop {
            let came = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                came = arrivals.recv_many(&mut together, MAX_TOGETHER) => came,
            };
            if came == 0 {
                return;
            }
            let candidates = self.admit(&mut together, &mut seen);
            if self.take_in(candidates, &mut seen).await.is_err() {
                return;
            }
        }
    }

    /// Decodes, sorts out what needs no verification, and reserves room.
    fn admit(&self, together: &mut Vec<Arrival>, seen: &mut Seen) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for arrival in together.drain(..) {
            match arrival {
                Arrival::Client(bytes, reply) => {
                    if let Some(candidate) = self.admit_from_client(&bytes, reply, seen) {
                        candidates.push(candidate);
                    }
                }
                Arrival::Peer(all) => candidates.extend(
                    all.iter()
                        .filter_map(|bytes| self.admit_from_peer(bytes, seen)),
                ),
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
        let snapshot = self.ledger.snapshot().map_err(unreadable)?;
        let creator = unchecked.creator();
        let member = ledger::members::member(&snapshot, &creator);
        if member.map_err(|error| unreadable(error.into()))?.is_none() {
            return Err(SubmitError::UnknownCreator {
                creator: creator.to_string(),
            });
        }
        Ok(None)
    }

    fn admit_from_peer(&self, bytes: &[u8], seen: &Seen) -> Option<Candidate> {
        let unchecked = self.decode(bytes).ok()?;
        // Late copies of what is in a block would be ordered again for nothing.
        let in_chain = |found: Option<ledger::Location>| found.is_some();
        let known = seen.contains(&unchecked.hash())
            || self.ledger.location(&unchecked.id()).is_ok_and(in_chain);
        (!known && self.budget.reserve(bytes.len())).then_some(Candidate {
            unchecked,
            length: bytes.len(),
            origin: Origin::Peer,
        })
    }

    /// Verifies the signatures of all candidates together and hands on what holds.
    async fn take_in(&self, candidates: Vec<Candidate>, seen: &mut Seen) -> Result<(), ()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let mut waiting = Vec::with_capacity(candidates.len());
        let mut unchecked = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            waiting.push((candidate.origin, candidate.length));
            unchecked.push(candidate.unchecked);
        }
        let verdicts = tokio::task::spawn_blocking(move || check_transactions(unchecked))
            .await
            .map_err(|_| ())?;
        let (mut pooled, mut fetched, mut from_clients) = (Vec::new(), Vec::new(), Vec::new());
        let mut replies = Vec::new();
        for ((origin, length), verdict) in waiting.into_iter().zip(verdicts) {
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
                (Err(refusal), origin) => {
                    self.budget.release(length);
                    if let Origin::Client(reply) = origin {
                        self.answer(reply, Err(refusal.into()));
                    }
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
