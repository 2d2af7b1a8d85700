//! Putting load on a network: every transaction is proposed, endorsed, handed in,
//! and counts once a quorum's word for it is here and verified.

use std::sync::Arc;
use std::time::Duration;

use client::{Call, Client, Error, Follower, SigningKey, ValidationCode, is_conflict};
use futures::{StreamExt as _, stream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::latency::Latencies;
use super::workload::Workload;
use crate::exit::{Failure, Outcome};
use crate::output::Format;

/// How long a transaction may take.
const WITHIN: Duration = Duration::from_mins(1);

/// How many are under way at most, however fast they are to be begun: more than a
/// node's pool takes by default, so that its refusals are seen.
const MOST_UNDER_WAY: usize = 60_000;

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// How many calls of the preparation are under way at a time.
const PREPARED_TOGETHER: usize = 128;

/// When transactions are begun.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many are always under way.
    Closed {
        /// How many.
        in_flight: u32,
    },
    /// At their time, whether or not others have ended: waiting for a slow network
    /// is part of the latency and not left out.
    Open {
        /// How many in a second.
        rate: u32,
    },
}

/// Who puts load on what.
pub(super) struct Load {
    pub(super) client: Client,
    pub(super) follower: Follower,
    /// At least one.
    pub(super) keys: Vec<SigningKey>,
    pub(super) workload: Workload,
    pub(super) clients: u32,
}

/// What became of the transactions of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) committed: u64,
    pub(super) invalid: u64,
    /// Refused for want of room.
    pub(super) refused: u64,
    /// Without an outcome in time, or otherwise.
    pub(super) failed: u64,
    pub(super) endorsements: u64,
    pub(super) seconds: f64,
    pub(super) total: Latencies,
    pub(super) endorse: Latencies,
    pub(super) order: Latencies,
    pub(super) failure: Option<String>,
}

/// One transaction.
struct One {
    code: ValidationCode,
    endorsements: usize,
    endorse: Duration,
    order: Duration,
    total: Duration,
}

impl Done {
    fn add(&mut self, outcome: Result<One, Error>) {
        let one = match outcome {
            Ok(one) => one,
            Err(error) if error.is_busy() => {
                self.refused += 1;
                return;
            }
            Err(error) => {
                self.failed += 1;
                self.failure.get_or_insert_with(|| error.to_string());
                return;
            }
        };
        match one.code {
            ValidationCode::Valid => self.committed += 1,
            _ => self.invalid += 1,
        }
        self.endorsements += one.endorsements as u64;
        self.total.add(one.total);
        self.endorse.add(one.endorse);
        self.order.add(one.order);
    }

    /// Transactions that stand in the chain, whatever became of them: they cost alike.
    pub(super) fn ordered(&self) -> u64 {
        self.committed + self.invalid
    }
}

impl Load {
    /// Makes calls that are to come before the load.
    pub(super) async fn prepare(&self, calls: impl Iterator<Item = Call>) -> Outcome {
        let calls = stream::iter(calls);
        let mut ends = calls
            .map(async |call| {
                let key = &self.keys[0];
                let signed = self.client.propose(key, call).await?;
                let transaction = self.client.endorse(&signed, key).await?;
                self.client
                    .order_by(&self.follower, transaction, WITHIN)
                    .await
            })
            .buffer_unordered(PREPARED_TOGETHER);
        while let Some(code) = ends.next().await {
            let code = match code {
                Ok(code) => code,
                // What a contract refuses to make again is there.
                Err(Error::Refused { body, .. }) if body.code == "CONTRACT_ERROR" => continue,
                Err(error) => return Err(error.into()),
            };
            if code != ValidationCode::Valid && !is_conflict(code) {
                return Err(Failure::failed(format!("the preparation came to {code}")));
            }
        }
        Ok(())
    }

    /// A transaction that is begun at `due`.
    async fn one(&self, number: u64, due: Instant) -> Result<One, Error> {
        let lane = usize::try_from(number % u64::from(self.clients)).unwrap_or(0);
        let key = &self.keys[lane % self.keys.len()];
        let client = self.client.beginning_at(lane);
        let signed = client.propose(key, self.workload.next()).await?;
        let begin = Instant::now();
        let transaction = client.endorse(&signed, key).await?;
        let endorsed = Instant::now();
        let endorsements = transaction.endorsements.len();
        let code = client.order_by(&self.follower, transaction, WITHIN).await?;
        Ok(One {
            code,
            endorsements,
            endorse: endorsed - begin,
            order: endorsed.elapsed(),
            total: due.elapsed(),
        })
    }

    /// Puts load on the network for so long, and waits for what is under way then.
    pub(super) async fn run(
        self: &Arc<Self>,
        pace: Pace,
        duration: Duration,
        output: Format,
    ) -> Done {
        let begin = Instant::now();
        let end = begin + duration;
        let mut done = match pace {
            Pace::Closed { in_flight } => self.closed(in_flight, end, output).await,
            Pace::Open { rate } => self.open(rate, end, output).await,
        };
        done.seconds = begin.elapsed().as_secs_f64();
        done
    }

    async fn closed(self: &Arc<Self>, in_flight: u32, end: Instant, output: Format) -> Done {
        let mut under_way = JoinSet::new();
        let mut numbers = 0_u64..;
        let mut begin_one = |under_way: &mut JoinSet<_>| {
            let (load, number) = (self.clone(), numbers.next().unwrap_or(0));
            under_way.spawn(async move { load.one(number, Instant::now()).await });
        };
        for _ in 0..in_flight {
            begin_one(&mut under_way);
        }
        let mut progress = Progress::new(output);
        while let Some(outcome) = under_way.join_next().await {
            progress.take(outcome);
            if Instant::now() < end {
                begin_one(&mut under_way);
            }
        }
        progress.done
    }

    async fn open(self: &Arc<Self>, rate: u32, end: Instant, output: Format) -> Done {
        let period = Duration::from_secs(1) / rate.max(1);
        let (mut due, mut number) = (Instant::now(), 0_u64);
        let mut under_way = JoinSet::new();
        let mut progress = Progress::new(output);
        while due < end {
            tokio::select! {
                Some(outcome) = under_way.join_next() => progress.take(outcome),
                () = sleep_until(due) => {
                    // What fell due meanwhile is begun at once, and counts from when
                    // it was due.
                    while due <= Instant::now() && due < end {
                        if under_way.len() < MOST_UNDER_WAY {
                            let (load, at) = (self.clone(), due);
                            under_way.spawn(async move { load.one(number, at).await });
                        } else {
                            progress.done.failed += 1;
                        }
                        number += 1;
                        due += period;
                    }
                }
            }
        }
        while let Some(outcome) = under_way.join_next().await {
            progress.take(outcome);
        }
        progress.done
    }
}

/// What has come of a run so far, told now and then.
struct Progress {
    done: Done,
    output: Format,
    told: Instant,
    ordered_then: u64,
}

impl Progress {
    fn new(output: Format) -> Self {
        Self {
            done: Done::default(),
            output,
            told: Instant::now(),
            ordered_then: 0,
        }
    }

    fn take(&mut self, outcome: Result<Result<One, Error>, tokio::task::JoinError>) {
        match outcome {
            Ok(outcome) => self.done.add(outcome),
            Err(_) => self.done.failed += 1,
        }
        let passed = self.told.elapsed();
        if passed >= TOLD_EVERY {
            let ordered = self.done.ordered();
            #[expect(clippy::cast_precision_loss, reason = "it is told to people")]
            let rate = (ordered - self.ordered_then) as f64 / passed.as_secs_f64();
            self.output
                .note(format!("{rate:.0} per second, {ordered} in all"));
            (self.told, self.ordered_then) = (Instant::now(), ordered);
        }
    }
}
