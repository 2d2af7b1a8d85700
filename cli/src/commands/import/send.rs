//! One line's way into the chain.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::{Call, Client, Error, Follower, SigningKey, ValidationCode, is_conflict};

use super::line::Line;
use crate::exit::Failure;

/// How often a line is tried in one import whose keys others keep changing.
const ATTEMPTS: u64 = 20;

/// How often one is that came when endorsers, policies or contracts were others than was
/// thought: the client learns of that, and where it does not help more would be in vain.
const ATTEMPTS_TO_LEARN: u64 = 2;

/// How long a node is given to show the receipt of what it says is committed:
/// after a crash of all, certificates may have to be made anew.
const PROVEN_WITHIN: Duration = Duration::from_secs(30);

/// How long a line may take altogether.
const WITHIN: Duration = Duration::from_mins(2);

/// What became of a line.
pub(super) enum Verdict {
    Valid,
    Invalid(ValidationCode),
    /// It was valid before this import.
    AlreadyCommitted,
    Failed {
        line: u64,
        failure: Failure,
        /// The other lines would fail alike: no node is there.
        is_outage: bool,
    },
}

/// Sends lines.
pub(super) struct Sender {
    client: Client,
    key: SigningKey,
    follower: Follower,
    turn: AtomicUsize,
}

impl Sender {
    pub(super) fn new(client: Client, key: SigningKey, follower: Follower) -> Self {
        Self {
            client,
            key,
            follower,
            turn: AtomicUsize::new(0),
        }
    }

    /// Brings a line into the chain; says whether anything was handed in for it.
    pub(super) async fn send(&self, line: Line) -> (bool, Verdict) {
        let mut submitted = false;
        let failed = |failure, is_outage| Verdict::Failed {
            line: line.number,
            failure,
            is_outage,
        };
        let verdict = match &line.call {
            Ok(call) => {
                let verdict = self.attempts(&line, call, &mut submitted).await;
                verdict.unwrap_or_else(|error| {
                    let is_outage = error.is_unreachable();
                    failed(error.into(), is_outage)
                })
            }
            Err(reason) => {
                let failure = Failure::usage("it is not {\"contract\", \"function\", \"args\"}");
                failed(failure.cause(reason), false)
            }
        };
        (submitted, verdict)
    }

    /// A line whose keys were written by others in between is tried anew, and so is one
    /// that came when endorsers or a contract changed. Which attempts were used up by an
    /// earlier import the chain says, and they do not count.
    async fn attempts(
        &self,
        line: &Line,
        call: &Call,
        submitted: &mut bool,
    ) -> Result<Verdict, Error> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let client = self.client.beginning_at(first);
        let (mut left, mut left_to_learn, mut attempt) = (ATTEMPTS, ATTEMPTS_TO_LEARN, 0);
        loop {
            let nonce = line.nonce(call, attempt);
            let signed = client.propose_with(&self.key, call.clone(), nonce).await;
            let (code, is_new) = match client.endorse(&signed, &self.key).await {
                Ok(transaction) => {
                    *submitted = true;
                    let ordered = client.order_by(&self.follower, transaction, WITHIN);
                    (ordered.await?, true)
                }
                // A claim ends a line's way, or leads to the next attempt: it is proven.
                Err(Error::AlreadyCommitted { id, .. }) => {
                    (client.receipt(&id, PROVEN_WITHIN).await?.code, false)
                }
                Err(error) => return Err(error),
            };
            match code {
                ValidationCode::Valid if is_new => return Ok(Verdict::Valid),
                ValidationCode::Valid => return Ok(Verdict::AlreadyCommitted),
                code => {
                    let left = if is_conflict(code) {
                        &mut left
                    } else {
                        &mut left_to_learn
                    };
                    *left -= u64::from(is_new);
                    if *left == 0 || !may_be_valid_anew(code) {
                        return Ok(Verdict::Invalid(code));
                    }
                }
            }
            attempt += 1;
        }
    }
}

/// Whether the verdict is due to the moment at which the proposal was endorsed, or
/// ordered.
fn may_be_valid_anew(code: ValidationCode) -> bool {
    is_conflict(code)
        || matches!(
            code,
            ValidationCode::EndorsementPolicyFailure
                | ValidationCode::ContractVersionMismatch
                | ValidationCode::Expired
        )
}
