//! One line's way into the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crypto::SigningKey;
use ledger::{Transaction, ValidationCode};
use node::api::ClientError;
use node::api::types::Place;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::follow::Follower;
use super::line::{Id, Line};
use crate::args::Call;
use crate::exit::{Exit, Failure, Outcome};
use crate::flow::{self, Endorsed};
use crate::network::Network;

/// How often a line is tried whose keys others keep changing.
const ATTEMPTS: u64 = 20;

/// How long a verdict is waited for before the transaction is handed to another
/// node, too.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a node is given to show the receipt of what it says is committed:
/// after a crash of all, certificates may have to be made anew.
const PROVEN_WITHIN: Duration = Duration::from_secs(30);

/// How long a line may take altogether.
const WITHIN: Duration = Duration::from_mins(2);

/// The pause before a node is asked again that had no room.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of a line.
pub(super) enum Verdict {
    Valid,
    Invalid(ValidationCode),
    /// It was valid before this import.
    AlreadyCommitted,
    Failed {
        line: u64,
        failure: Failure,
    },
}

/// Sends lines.
pub(super) struct Sender {
    network: Arc<Network>,
    key: SigningKey,
    follower: Follower,
    turn: AtomicUsize,
}

impl Sender {
    pub(super) fn new(network: Arc<Network>, key: SigningKey, follower: Follower) -> Self {
        Self {
            network,
            key,
            follower,
            turn: AtomicUsize::new(0),
        }
    }

    /// Brings a line into the chain; says whether anything was handed in for it.
    pub(super) async fn send(&self, line: Line) -> (bool, Verdict) {
        let mut submitted = false;
        let verdict = match &line.call {
            Ok(call) => self.attempts(&line, call, &mut submitted).await,
            Err(reason) => Err(
                Failure::usage("it is not {\"contract\", \"function\", \"args\"}").cause(reason),
            ),
        };
        let verdict = verdict.unwrap_or_else(|failure| Verdict::Failed {
            line: line.number,
            failure,
        });
        (submitted, verdict)
    }

    /// A line whose keys were written by others in between is tried anew. Which
    /// attempts were used up, by an earlier import too, the chain says.
    async fn attempts(&self, line: &Line, call: &Call, submitted: &mut bool) -> Outcome<Verdict> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = ValidationCode::MvccReadConflict;
        for attempt in 0..ATTEMPTS {
            let nonce = line.nonce(call, attempt);
            let signed = flow::propose(&self.network, call, nonce, &self.key);
            let endorsed = flow::endorse(&self.network, &signed, &self.key, first).await?;
            let (code, is_new) = match endorsed {
                Endorsed::Transaction(transaction) => {
                    *submitted = true;
                    (self.order(&transaction, first).await?, true)
                }
                Endorsed::Committed(place) => {
                    (self.proven(&signed.proposal.id(), place).await?, false)
                }
            };
            match code {
                ValidationCode::Valid if is_new => return Ok(Verdict::Valid),
                ValidationCode::Valid => return Ok(Verdict::AlreadyCommitted),
                ValidationCode::MvccReadConflict | ValidationCode::PhantomReadConflict => {
                    last = code;
                }
                code => return Ok(Verdict::Invalid(code)),
            }
        }
        Ok(Verdict::Invalid(last))
    }

    /// The verdict on a transaction that a node says is committed. A claim of
    /// validity ends a line's way, so it is proven.
    async fn proven(&self, id: &Id, place: Option<Place>) -> Outcome<ValidationCode> {
        if let Some(place) = place
            && place.code != ValidationCode::Valid
        {
            return Ok(place.code);
        }
        let asked = self
            .network
            .ask(async |node| node.receipt(id, PROVEN_WITHIN).await);
        let receipt = asked.await?;
        flow::verify(&self.network, id, &receipt)?;
        Ok(receipt.code)
    }

    /// Hands a transaction in and waits until a verified block has it.
    async fn order(&self, transaction: &Transaction, first: usize) -> Outcome<ValidationCode> {
        let id = transaction.proposal.id();
        let verdict = self.follower.verdict(id);
        let outcome = self.order_until(transaction, first, verdict).await;
        self.follower.forget(&id);
        outcome
    }

    async fn order_until(
        &self,
        transaction: &Transaction,
        first: usize,
        mut verdict: oneshot::Receiver<ValidationCode>,
    ) -> Outcome<ValidationCode> {
        let deadline = Instant::now() + WITHIN;
        let id = transaction.proposal.id();
        let count = self.network.nodes.len();
        let (mut turn, mut unreached) = (first, 0);
        while Instant::now() < deadline {
            let node = self.network.in_turn(turn)[0];
            let submitted = node.client.submit(transaction).await;
            node.heed(&submitted);
            match submitted {
                Ok(answer) if answer.committed.is_some() => {
                    return self.proven(&id, answer.committed).await;
                }
                Ok(_) => {
                    unreached = 0;
                    if let Ok(Ok(code)) = timeout(PATIENCE, &mut verdict).await {
                        return Ok(code);
                    }
                }
                Err(ClientError::Refused { status: 429, .. }) => tokio::time::sleep(PAUSE).await,
                Err(ClientError::Refused { status, body }) if status < 500 => {
                    return Err(ClientError::Refused { status, body }.into());
                }
                Err(error) => {
                    unreached += 1;
                    if unreached >= count {
                        return Err(error.into());
                    }
                    turn += 1;
                    continue;
                }
            }
            turn += 1;
        }
        let message = format!("what became of transaction {id} is not known yet");
        Err(Failure::new(Exit::Unknown, "TIMED_OUT", message))
    }
}
