//! One simulated node: a replica and what carries out its effects.
//!
//! Here: its life (start, crash, lost disk) and what reaches it. [`effects`]
//! carries out what the replica asks, [`pool`] holds requests, [`patience`]
//! watches how long they wait, [`committer`] executes and catches up, [`pause`]
//! stops it for a while, [`clock`] says what time it takes it to be.

mod clock;
mod committer;
mod divergence;
mod effects;
mod patience;
mod pause;
mod pool;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crypto::SigningKey;

pub(crate) use self::clock::Clock;
use self::committer::Committer;
pub(crate) use self::divergence::Divergence;
use self::patience::Patience;
use self::pool::Pool;
use super::agenda::Event;
use super::disk::{Contents, Disk, Mark};
use super::faults::{Crash, CrashPoint, Fault};
use super::invariants::Observation;
use super::ledger::{Request, Served};
use super::network::Packet;
use super::report::Violation;
use super::trace::{Happening, Note};
use super::twins::Place;
use super::world::World;
use crate::byzantine::{Byzantine, Modes};
use crate::{
    BatchDigest, CheckpointDigest, Config, Effect, Input, Record, Replica, ReplicaId,
    SequenceNumber, Start, Timer, Verified, View,
};

/// What a process waits for.
pub(crate) enum Wake {
    /// Everything written up to here is durable.
    Synced(Mark),
    /// A timer has run down, if this is still its last setting.
    Timer { timer: Timer, setting: u64 },
    /// A batch whose requests are held was examined.
    Checked {
        view: View,
        sequence: SequenceNumber,
        digest: BatchDigest,
        verdict: Result<(), String>,
    },
    /// The primary makes a batch of what is pending.
    Propose,
    /// Requests that are lacking are asked for again.
    FetchRequests,
    /// The batch at the head of the jobs was executed.
    BlockExecuted,
    /// The replica learns of it.
    Executed {
        sequence: SequenceNumber,
        digest: CheckpointDigest,
    },
    /// Blocks that a peer served were executed again.
    BlocksFetched(Vec<Served>),
    /// The answer to this question for blocks has not come.
    FetchBlocks { question: u64 },
    /// The replica learns how far it has caught up.
    CaughtUp,
    /// A connection to this peer stands anew.
    Connected(ReplicaId),
    /// The connection to this peer is gone.
    Disconnected(ReplicaId),
    /// A request may have waited too long.
    Impatience,
}

/// A node, up or down.
pub(crate) struct Node {
    place: Place,
    config: Config,
    key: SigningKey,
    disk: Disk,
    incarnation: u32,
    live: Option<Process>,
    /// A crash that waits for its point.
    doom: Option<Crash>,
    /// While it is paused, what is to reach it when it goes on.
    piled_up: Option<Vec<Event>>,
    /// It has found itself wrong.
    halted: bool,
    clock: Clock,
    /// It has lost its disk, and nothing on the new one says so yet.
    amnesiac: bool,
    /// What is wrong with it.
    byzantine: Option<Byzantine>,
}

/// What a crash ends.
struct Process {
    replica: Replica,
    /// Effects that are not carried out yet, in their order.
    effects: VecDeque<Effect>,
    /// The last record written: no effect but another record before it is durable.
    barrier: Mark,
    syncing: bool,
    /// How often each timer was set.
    timers: BTreeMap<Timer, u64>,
    pool: Pool,
    patience: Patience,
    committer: Committer,
}

impl Node {
    pub(crate) fn new(config: Config, key: SigningKey, clock: Clock) -> Self {
        Self {
            place: Place::first(config.id),
            config,
            key,
            disk: Disk::default(),
            incarnation: 0,
            live: None,
            doom: None,
            piled_up: None,
            halted: false,
            clock,
            amnesiac: false,
            byzantine: None,
        }
    }

    /// From now on what it says is distorted.
    pub(crate) fn with_faults(mut self, modes: Option<&Modes>, seed: u64) -> Self {
        let distortion =
            |modes: &Modes| Byzantine::new(&self.config, self.key.clone(), modes.clone(), seed);
        self.byzantine = modes.map(distortion);
        self
    }

    /// In another place than its twin, under the same identity.
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    pub(crate) fn id(&self) -> ReplicaId {
        self.config.id
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn is_up(&self) -> bool {
        self.live.is_some()
    }

    /// What a power cut would leave of its disk.
    pub(crate) fn durable(&self) -> &Contents {
        self.disk.durable()
    }

    /// What its disk holds for the process that runs.
    pub(crate) fn contents(&self) -> &Contents {
        self.disk.current()
    }

    fn note(&self, world: &mut World, what: Happening) {
        world.note(Some(self.place), what);
    }

    fn wake_after(&self, delay: Duration, wake: Wake, world: &mut World) {
        let (node, incarnation) = (self.place, self.incarnation);
        let event = Event::Wake {
            node,
            incarnation,
            wake,
        };
        world.after(delay, event);
    }

    /// Starts the process, unless it runs.
    pub(crate) fn start(&mut self, world: &mut World) -> Result<(), Violation> {
        if self.is_up() || self.halted {
            return Ok(());
        }
        self.incarnation += 1;
        if planted!(ForgetApplied) {
            self.disk.forget_applied();
        }
        let contents = self.disk.current();
        if self.amnesiac {
            assert!(contents.is_empty(), "the first write says that it listens");
        }
        let (start, how) = if self.amnesiac {
            (Start::Amnesiac, "without its disk")
        } else {
            let mut records = contents.records();
            world.dice.shuffle(&mut records);
            let position = contents.ledger.position();
            (Start::Recovered { position, records }, "with its disk")
        };
        self.note(world, Happening::Starts { how });
        world.observe(&Observation::Starts {
            node: self.id(),
            tip: self.disk.current().ledger.tip(),
        })?;
        let (replica, effects) = Replica::start(self.config.clone(), self.key.clone(), start);
        self.live = Some(Process {
            replica,
            effects: VecDeque::new(),
            barrier: self.disk.synced(),
            syncing: false,
            timers: BTreeMap::new(),
            pool: Pool::of(self.disk.current(), world.agenda.now()),
            patience: Patience::default(),
            committer: Committer::default(),
        });
        self.take(effects, world)
    }

    /// A crash is due: at once, or where its point is.
    pub(crate) fn doom(&mut self, crash: Crash, world: &mut World) -> Result<(), Violation> {
        if !self.is_up() && !crash.loses_disk {
            return Ok(());
        }
        if crash.point == CrashPoint::Anywhere || !self.is_up() {
            return self.crash(crash, world);
        }
        // A lost disk is never given up for a mere crash.
        if self.doom.is_none_or(|doom| !doom.loses_disk) {
            self.doom = Some(crash);
        }
        Ok(())
    }

    /// No crash waits any more.
    pub(crate) fn reprieve(&mut self) {
        self.doom = None;
    }

    /// Crashes if a crash waits for this point; says whether it does.
    fn meets(&mut self, point: CrashPoint, world: &mut World) -> Result<bool, Violation> {
        let Some(crash) = self.doom.filter(|doom| doom.point == point) else {
            return Ok(false);
        };
        self.doom = None;
        self.crash(crash, world)?;
        Ok(true)
    }

    fn crash(&mut self, crash: Crash, world: &mut World) -> Result<(), Violation> {
        self.piled_up = None;
        if self.live.take().is_some() {
            let unsynced = self.disk.unsynced();
            let kept = world.dice.below(unsynced + 1);
            self.disk.crash(kept);
            let lost = unsynced - kept;
            self.note(world, Happening::Crashes { kept, lost });
            world.summary.crashes += 1;
            world.summary.writes_lost += lost as u64;
        }
        let has_listening = |contents: &Contents| {
            contents
                .records()
                .iter()
                .any(|record| matches!(record, Record::Listening { .. }))
        };
        self.amnesiac = self.amnesiac && !has_listening(self.disk.durable());
        if crash.loses_disk {
            self.disk.lose();
            self.amnesiac = true;
            self.note(world, Happening::LosesDisk);
            world.observe(&Observation::LosesDisk { node: self.id() })?;
            world.summary.disks_lost += 1;
        }
        let restart = Fault::Restart(self.place);
        world.after(crash.downtime, Event::Fault(restart));
        Ok(())
    }

    /// Something reaches the replica.
    fn step(&mut self, input: Input, world: &mut World) -> Result<(), Violation> {
        let node = self.id();
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        world.observe(&Observation::Takes {
            node,
            input: &input,
        })?;
        let effects = process.replica.step(input);
        self.take(effects, world)
    }

    /// The replica has answered with these effects.
    fn take(&mut self, effects: Vec<Effect>, world: &mut World) -> Result<(), Violation> {
        let node = self.id();
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        world.observe(&Observation::Answers {
            node,
            effects: &effects,
        })?;
        process.replica.check_invariants();
        process.effects.extend(effects);
        self.carry_out(world)?;
        self.consider_proposing(world);
        self.watch_requests(world)
    }

    /// A packet reaches the node.
    pub(crate) fn arrival(
        &mut self,
        from: ReplicaId,
        packet: Packet,
        world: &mut World,
    ) -> Result<(), Violation> {
        if !self.is_up() {
            return Ok(());
        }
        match packet {
            Packet::Verified(message) => self.receive(from, message, world),
            Packet::Bytes { bytes, corrupted } => match world.door.open(&bytes) {
                Ok(message) => self.receive(from, message, world),
                Err(reason) if corrupted => {
                    world.summary.messages_refused += 1;
                    self.note(world, Happening::Rejects { from, reason });
                    Ok(())
                }
                Err(reason) => Err(Violation {
                    invariant: "well_formed",
                    message: format!("{} cannot take what {from} sent: {reason}", self.id()),
                }),
            },
            Packet::Requests(requests) => {
                self.receive_requests(&requests, world);
                Ok(())
            }
            Packet::RequestsWanted(wanted) => {
                self.serve_requests(from, &wanted, world);
                Ok(())
            }
            Packet::BlocksWanted { after } => {
                self.serve_blocks(from, after, world);
                Ok(())
            }
            Packet::Blocks(served) => self.receive_blocks(served, world),
        }
    }

    fn receive(
        &mut self,
        from: ReplicaId,
        message: Verified,
        world: &mut World,
    ) -> Result<(), Violation> {
        let what = Note::of_message(message.message());
        self.note(world, Happening::Receives { from, what });
        self.step(Input::Message { from, message }, world)
    }

    /// What a process of this incarnation waited for has come.
    pub(crate) fn wake(
        &mut self,
        incarnation: u32,
        wake: Wake,
        world: &mut World,
    ) -> Result<(), Violation> {
        if !self.is_up() || incarnation != self.incarnation {
            return Ok(());
        }
        match wake {
            Wake::Synced(mark) => self.on_synced(mark, world),
            Wake::Timer { timer, setting } => {
                let set = |process: &Process| process.timers.get(&timer) == Some(&setting);
                if self.live.as_ref().is_some_and(set) {
                    self.step(Input::TimerFired(timer), world)?;
                }
                Ok(())
            }
            Wake::Checked {
                view,
                sequence,
                digest,
                verdict,
            } => {
                let input = Input::BatchChecked {
                    view,
                    sequence,
                    digest,
                    verdict,
                };
                self.step(input, world)
            }
            Wake::Propose => self.propose(world),
            Wake::FetchRequests => {
                self.fetch_requests(world);
                Ok(())
            }
            Wake::BlockExecuted => self.on_block_executed(world),
            Wake::Executed { sequence, digest } => self.on_executed(sequence, digest, world),
            Wake::BlocksFetched(served) => self.on_blocks_fetched(served, world),
            Wake::FetchBlocks { question } => {
                self.fetch_blocks_again(question, world);
                Ok(())
            }
            Wake::CaughtUp => self.on_caught_up(world),
            Wake::Connected(peer) => self.step(Input::Connected(peer), world),
            Wake::Disconnected(peer) => self.step(Input::Disconnected(peer), world),
            Wake::Impatience => self.on_impatience(world),
        }
    }

    /// The connection to `peer` is gone, as is noticed in a while.
    pub(crate) fn disconnect(&self, peer: ReplicaId, world: &mut World) {
        let delay = world.dice.micros(100..=5_000);
        self.wake_after(delay, Wake::Disconnected(peer), world);
    }

    /// A connection to `peer` stands anew, in a while.
    pub(crate) fn connect(&self, peer: ReplicaId, world: &mut World) {
        let delay = world.dice.micros(1_000..=50_000);
        self.wake_after(delay, Wake::Connected(peer), world);
    }

    /// A client submits a request, or asks again for its receipt.
    pub(crate) fn submission(&mut self, number: u32, world: &mut World) -> Result<(), Violation> {
        let node = self.id();
        if !self.is_up() {
            return Ok(());
        }
        let request = Request { number };
        let Some(receipt) = self.contents().ledger.receipt(request.digest()) else {
            self.submit(request, world);
            return Ok(());
        };
        let sequence = receipt.sequence;
        let request = number;
        self.note(world, Happening::ShowsReceipt { request, sequence });
        world.summary.receipts += 1;
        let receipt = &receipt;
        world.observe(&Observation::Shows { node, receipt })?;
        if let Some(delay) = world.network.client_delay(&mut world.dice) {
            world.after(delay, Event::Reply { request });
        }
        Ok(())
    }
}
