//! Executes what the replica asks for, one after the other, and catches up
//! from blocks of peers.

use std::collections::VecDeque;
use std::sync::Arc;

use crypto::Domain;

use super::{Node, Wake};
use crate::byzantine::Byzantine;
use crate::testing::disk::Write;
use crate::testing::faults::CrashPoint;
use crate::testing::invariants::Observation;
use crate::testing::ledger::{Block, Ledger, Served};
use crate::testing::network::Packet;
use crate::testing::report::Violation;
use crate::testing::trace::Happening;
use crate::testing::world::World;
use crate::{Batch, CheckpointDigest, Input, ReplicaId, RequestDigest, SequenceNumber};

/// How many questions in a row may stay without an answer that helps.
const QUESTIONS: u64 = 8;

/// How many blocks are served at once.
const SERVED: usize = 4;

/// Something the replica waits for.
enum Job {
    Execute {
        sequence: SequenceNumber,
        timestamp_ms: u64,
        batch: Batch,
    },
    CatchUp {
        through: SequenceNumber,
    },
}

/// How far the first job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Not begun.
    #[default]
    Waiting,
    /// A batch is being executed.
    Executing,
    /// A peer was asked for blocks.
    Asking,
    /// Blocks that a peer served are being executed.
    ExecutingServed,
    /// The replica is about to learn how far it has caught up.
    Answering,
}

/// The jobs of a process.
#[derive(Default)]
pub(super) struct Committer {
    jobs: VecDeque<Job>,
    phase: Phase,
    /// How many questions for blocks were asked.
    asked: u64,
    /// Which of them was the first since blocks came.
    first: u64,
}

impl Committer {
    /// The requests of every batch that is to be executed.
    pub(super) fn executing(&self) -> impl Iterator<Item = &RequestDigest> {
        self.jobs.iter().flat_map(|job| match job {
            Job::Execute { batch, .. } => batch.requests.as_slice(),
            Job::CatchUp { .. } => &[],
        })
    }

    /// The requests of the next batch to execute.
    pub(super) fn to_execute(&self) -> impl Iterator<Item = &RequestDigest> {
        let batch = match self.jobs.front() {
            Some(Job::Execute { batch, .. }) => batch.requests.as_slice(),
            _ => &[],
        };
        batch.iter()
    }
}

impl Node {
    pub(super) fn execute(
        &mut self,
        sequence: SequenceNumber,
        timestamp_ms: u64,
        batch: Batch,
        world: &mut World,
    ) {
        self.note(world, Happening::Executes { sequence });
        let job = Job::Execute {
            sequence,
            timestamp_ms,
            batch,
        };
        self.add(job, world);
    }

    pub(super) fn catch_up(&mut self, through: SequenceNumber, world: &mut World) {
        world.summary.catch_ups += 1;
        self.note(world, Happening::CatchesUp { through });
        self.add(Job::CatchUp { through }, world);
    }

    fn add(&mut self, job: Job, world: &mut World) {
        if let Some(process) = &mut self.live {
            process.committer.jobs.push_back(job);
        }
        self.work(world);
    }

    /// Begins with the next job, if none is under way and nothing lacks for it.
    pub(super) fn work(&mut self, world: &mut World) {
        let ledger = &self.disk.current().ledger;
        let Some(process) = &mut self.live else {
            return;
        };
        let committer = &mut process.committer;
        let (Phase::Waiting, Some(job)) = (committer.phase, committer.jobs.front()) else {
            return;
        };
        match job {
            Job::Execute { batch, .. } => {
                let held = |request| process.pool.get(request, ledger).is_some();
                if !batch.requests.iter().all(held) {
                    self.fetch_if_needed(world);
                    return;
                }
                committer.phase = Phase::Executing;
                let delay = world.dice.micros(200..=5_000);
                self.wake_after(delay, Wake::BlockExecuted, world);
            }
            Job::CatchUp { .. } => {
                committer.first = committer.asked;
                self.fetch_blocks(world);
            }
        }
    }

    fn finish_job(&mut self) {
        if let Some(process) = &mut self.live {
            process.committer.jobs.pop_front();
            process.committer.phase = Phase::Waiting;
        }
    }

    /// The block is made durable; a moment later the replica learns of it.
    pub(super) fn on_block_executed(&mut self, world: &mut World) -> Result<(), Violation> {
        let ledger = &self.disk.current().ledger;
        let Some(process) = &self.live else {
            return Ok(());
        };
        let Some(Job::Execute {
            sequence,
            timestamp_ms,
            batch,
        }) = process.committer.jobs.front()
        else {
            unreachable!("the first job stays until it is done");
        };
        let held = |digest| process.pool.get(digest, ledger);
        let requests = batch.requests.iter().filter_map(held).collect();
        let block = Arc::new(ledger.execute(*sequence, *timestamp_ms, batch, requests));
        let (sequence, digest) = (block.sequence, block.outcome);
        world.summary.duplicates += (block.batch.requests.len() - block.applied.len()) as u64;
        self.store(block, false, world)?;
        if self.meets(CrashPoint::AfterExecution, world)? {
            return Ok(());
        }
        let delay = world.dice.micros(50..=1_000);
        self.wake_after(delay, Wake::Executed { sequence, digest }, world);
        // The sync took the records along.
        self.carry_out(world)
    }

    pub(super) fn on_executed(
        &mut self,
        sequence: SequenceNumber,
        digest: CheckpointDigest,
        world: &mut World,
    ) -> Result<(), Violation> {
        self.finish_job();
        self.step(Input::Executed { sequence, digest }, world)?;
        self.work(world);
        Ok(())
    }

    /// Writes a block and syncs.
    fn store(
        &mut self,
        block: Arc<Block>,
        fetched: bool,
        world: &mut World,
    ) -> Result<(), Violation> {
        world.observe(&Observation::Stores {
            node: self.id(),
            block: &block,
            now_ms: world.clock_ms(),
        })?;
        let happening = Happening::Stores {
            sequence: block.sequence,
            outcome: block.outcome,
            fetched,
        };
        self.note(world, happening);
        if let Some(process) = &mut self.live {
            process.pool.forget(&block.batch.requests);
        }
        let mark = self.disk.write(Write::Block(block));
        if !(fetched && planted!(FetchedNotSynced)) {
            self.disk.sync(mark);
        }
        Ok(())
    }

    fn caught_up_through(&self) -> Option<SequenceNumber> {
        match self.live.as_ref()?.committer.jobs.front()? {
            Job::CatchUp { through } => Some(*through),
            Job::Execute { .. } => None,
        }
    }

    /// Asks some peer for the next blocks, or tells the replica how far it came.
    fn fetch_blocks(&mut self, world: &mut World) {
        let tip = self.contents().ledger.tip();
        let reached = self
            .caught_up_through()
            .is_some_and(|through| tip >= through);
        let peer = world.any_peer(self.id());
        let Some(process) = &mut self.live else {
            return;
        };
        let committer = &mut process.committer;
        committer.asked += 1;
        let question = committer.asked;
        let given_up = question - committer.first > QUESTIONS;
        let (false, false, Some(peer)) = (reached, given_up, peer) else {
            committer.phase = Phase::Answering;
            let delay = world.dice.micros(50..=1_000);
            self.wake_after(delay, Wake::CaughtUp, world);
            return;
        };
        committer.phase = Phase::Asking;
        let after = tip;
        world.send(self.place, peer, &Packet::BlocksWanted { after });
        let patience = world.dice.micros(30_000..=90_000);
        self.wake_after(patience, Wake::FetchBlocks { question }, world);
    }

    pub(super) fn fetch_blocks_again(&mut self, question: u64, world: &mut World) {
        let stands = self.live.as_ref().is_some_and(|process| {
            let committer = &process.committer;
            committer.asked == question && committer.phase == Phase::Asking
        });
        if stands {
            self.fetch_blocks(world);
        }
    }

    pub(super) fn serve_blocks(&self, to: ReplicaId, after: SequenceNumber, world: &mut World) {
        let mut served = self.contents().ledger.serve(after, SERVED);
        if self.byzantine.as_ref().is_some_and(Byzantine::lies_in_sync) {
            falsify(&mut served, &self.contents().ledger, world);
        }
        if !served.is_empty() {
            world.send(self.place, to, &Packet::Blocks(served));
        }
    }

    /// Takes in what it asked for, as far as a certificate covers it.
    pub(super) fn receive_blocks(
        &mut self,
        served: Vec<Served>,
        world: &mut World,
    ) -> Result<(), Violation> {
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        let committer = &mut process.committer;
        if committer.phase != Phase::Asking {
            return Ok(());
        }
        let ledger = &self.disk.current().ledger;
        let checked = ledger.check_served(served, |certificate| world.door.believes(certificate));
        let accepted = match checked {
            Ok(accepted) => accepted,
            Err(diverged) => return self.halt(&diverged, world),
        };
        if accepted.is_empty() {
            return Ok(());
        }
        committer.phase = Phase::ExecutingServed;
        let delay = world.dice.micros(500..=5_000);
        self.wake_after(delay, Wake::BlocksFetched(accepted), world);
        Ok(())
    }

    pub(super) fn on_blocks_fetched(
        &mut self,
        served: Vec<Served>,
        world: &mut World,
    ) -> Result<(), Violation> {
        for Served { block, certificate } in served {
            self.store(block, true, world)?;
            if let Some(certificate) = certificate {
                world.observe(&Observation::Certifies {
                    node: self.id(),
                    certificate: &certificate,
                })?;
                self.disk.write(Write::Certificate(certificate));
            }
        }
        if let Some(process) = &mut self.live {
            process.committer.first = process.committer.asked;
        }
        self.fetch_blocks(world);
        self.carry_out(world)
    }

    pub(super) fn on_caught_up(&mut self, world: &mut World) -> Result<(), Violation> {
        let position = self.contents().ledger.position();
        let to = position.last_executed;
        self.note(world, Happening::CaughtUp { to });
        self.finish_job();
        self.step(Input::CaughtUp(position), world)?;
        self.work(world);
        Ok(())
    }
}

/// Alters one of the blocks: what it led to, or when it was, or who says so.
fn falsify(served: &mut [Served], ledger: &Ledger, world: &mut World) {
    if served.is_empty() {
        return;
    }
    let at = world.dice.below(served.len());
    let how = world.dice.below(3);
    let Served { block, certificate } = &mut served[at];
    let mut forged = ledger.another(block);
    match how {
        0 => forged.outcome = CheckpointDigest(Domain::BlockHeader.hash(b"forged")),
        1 => *certificate = None,
        // Another block, and a certificate that says so without being signed so.
        _ => {
            if let Some(certificate) = certificate {
                certificate.checkpoint.digest = forged.outcome;
            }
        }
    }
    *block = Arc::new(forged);
}
