//! Opaque payloads, and what becomes of them: one connection to each node.

use std::time::Duration;

use futures::StreamExt as _;
use node::network::FrameCodec;
use node::order::wire::{MAX_SAID_BYTES, Said, Standing};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::codec::FramedRead;

use super::latency::Latencies;
use super::load::Pace;
use super::workload::Random;
use crate::exit::{Failure, Outcome};

/// How long a payload may take.
const WITHIN: Duration = Duration::from_mins(1);

const NANOS: u64 = 1_000_000_000;

/// How often what fell due is sent, where payloads have their own time.
const TICK: Duration = Duration::from_millis(2);

/// How many bytes are sent at a time at most, so that answers are read in between.
const MOST_TOGETHER: usize = 1024 * 1024;

/// What became of the payloads of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) executed: u64,
    /// Without an outcome in time.
    pub(super) failed: u64,
    pub(super) latencies: Latencies,
}

/// One node, as whoever puts load on it sees it.
pub(super) struct Lane {
    number: u64,
    size: usize,
    answers: FramedRead<OwnedReadHalf, FrameCodec>,
    writer: OwnedWriteHalf,
    /// When each payload was due, as long as it is under way.
    due: Vec<Option<Instant>>,
}

fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::failed("a node has left; its log says more").cause(error)
}

impl Lane {
    pub(super) fn new(number: u64, size: usize, stream: TcpStream) -> Outcome<Self> {
        stream.set_nodelay(true).map_err(lost)?;
        let (reader, writer) = stream.into_split();
        Ok(Self {
            number,
            size,
            answers: FramedRead::new(reader, FrameCodec::new(MAX_SAID_BYTES)),
            writer,
            due: Vec::new(),
        })
    }

    /// How many payloads were sent here so far.
    pub(super) fn sent(&self) -> u64 {
        self.due.len() as u64
    }

    async fn hear(&mut self) -> Outcome<Said> {
        let frame = self.answers.next().await;
        let frame = frame.ok_or_else(|| lost("it closed the connection"))?;
        Said::decode(&frame.map_err(lost)?).map_err(lost)
    }

    /// Where the node stands. Nothing is under way.
    pub(super) async fn standing(&mut self) -> Outcome<Standing> {
        self.writer.write_all(&[0; 4]).await.map_err(lost)?;
        loop {
            if let Said::Stands(standing) = self.hear().await? {
                return Ok(standing);
            }
        }
    }

    /// Puts load on the node for so long, and waits for what is under way then.
    pub(super) async fn run(
        &mut self,
        pace: Pace,
        lanes: u64,
        duration: Duration,
    ) -> Outcome<Done> {
        let end = Instant::now() + duration;
        let mut done = Done::default();
        let begun = self.sent();
        match pace {
            Pace::Closed { in_flight } => {
                let in_flight = share(in_flight, lanes, self.number);
                self.closed(in_flight, end, &mut done).await?;
            }
            Pace::Open { rate } => {
                let rate = share(rate, lanes, self.number);
                self.open(rate, end, &mut done).await?;
            }
        }
        let deadline = end.max(Instant::now()) + WITHIN;
        let begun = self.sent() - begun;
        while done.executed < begun {
            let Ok(said) = timeout_at(deadline, self.hear()).await else {
                break;
            };
            self.note(&said?, &mut done)?;
        }
        done.failed = begun - done.executed;
        Ok(done)
    }

    async fn closed(&mut self, in_flight: u64, end: Instant, done: &mut Done) -> Outcome {
        let begun = self.sent();
        loop {
            let free = in_flight - (self.sent() - begun - done.executed);
            let most = (MOST_TOGETHER / self.size).max(1) as u64;
            self.send(free.min(most), |_| Instant::now()).await?;
            // While there is more to send, answers are taken and not waited for.
            let until = if free > most { Instant::now() } else { end };
            if let Ok(said) = timeout_at(until, self.hear()).await {
                self.note(&said?, done)?;
            }
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }

    async fn open(&mut self, rate: u64, end: Instant, done: &mut Done) -> Outcome {
        let begin = Instant::now();
        if rate == 0 {
            return Ok(());
        }
        let due = |number: u64| begin + Duration::from_nanos(number * NANOS / rate);
        let (mut number, mut tick) = (0, begin);
        loop {
            tokio::select! {
                said = self.hear() => self.note(&said?, done)?,
                () = sleep_until(tick) => {
                    // What fell due meanwhile counts from when it was due.
                    let now = Instant::now();
                    let fell_due = (number..).take_while(|it| due(*it) <= now && due(*it) < end);
                    let fell_due = fell_due.count() as u64;
                    self.send(fell_due, |at| due(number + at)).await?;
                    number += fell_due;
                    if now >= end {
                        return Ok(());
                    }
                    tick = (now + TICK).min(end);
                }
            }
        }
    }

    /// Sends so many payloads, no two of them alike if there is room for that.
    async fn send(&mut self, count: u64, due: impl Fn(u64) -> Instant) -> Outcome {
        let mut bytes = Vec::new();
        let length = u32::try_from(self.size).map_err(lost)?.to_be_bytes();
        for at in 0..count {
            bytes.extend_from_slice(&length);
            let payload = bytes.len();
            let mut random = Random((self.number << 48) ^ (self.sent() << 8));
            while bytes.len() < payload + self.size {
                bytes.extend_from_slice(&random.next().to_le_bytes());
            }
            bytes.truncate(payload + self.size);
            self.due.push(Some(due(at)));
        }
        self.writer.write_all(&bytes).await.map_err(lost)
    }

    /// Each payload may be executed once.
    fn note(&mut self, said: &Said, done: &mut Done) -> Outcome {
        let Said::Executed { first, count } = said else {
            return Ok(());
        };
        let now = Instant::now();
        for number in *first..first.saturating_add(*count) {
            let due = usize::try_from(number).ok();
            let due = due.and_then(|number| self.due.get_mut(number));
            let Some(due) = due.and_then(Option::take) else {
                let message = format!("payload {number} was executed twice or never sent");
                return Err(Failure::failed(message));
            };
            done.executed += 1;
            done.latencies.add(now.saturating_duration_since(due));
        }
        Ok(())
    }
}

/// The part of one of `lanes`, so that all together have `whole`.
fn share(whole: u32, lanes: u64, number: u64) -> u64 {
    let whole = u64::from(whole);
    whole / lanes + u64::from(number < whole % lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        for whole in 0..20 {
            let parts = (0..4).map(|number| share(whole, 4, number));
            assert_eq!(parts.sum::<u64>(), u64::from(whole));
        }
    }
}
