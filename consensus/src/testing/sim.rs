//! The loop: takes the next event off the agenda until everything is done.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crypto::{Domain, SigningKey};

use super::agenda::{Agenda, Event};
use super::client::Clients;
use super::config::SimulationConfig;
use super::dice::{Apart, Dice};
use super::disk::Contents;
use super::door::Door;
use super::faults::{self, Fault};
use super::invariants::{Invariants, Observation};
use super::network::Network;
use super::node::{Clock, Node};
use super::report::{Failure, Summary, Violation};
use super::trace::{Happening, Trace};
use super::world::World;
use crate::{Config, ReplicaId, ReplicaSet, SequenceNumber, Verifier};

/// How many status intervals nothing is done in the end, to see that nothing is.
const IDLE_INTERVALS: u32 = 4;

/// How many events are too many: the network does not come to rest.
const STEPS: u64 = 5_000_000;

/// A network of simulated nodes.
pub struct Simulation {
    nodes: Vec<Node>,
    clients: Clients,
    world: World,
    /// Who was up before the current event.
    up: Vec<bool>,
    status_interval: Duration,
    healed_at: Option<Duration>,
    /// Since when there is nothing left to do, and the packets sent until then.
    idle_since: Option<(Duration, u64)>,
}

impl Simulation {
    /// Runs one simulation to its end.
    ///
    /// # Errors
    ///
    /// The first invariant that broke; a replica's own assertions are the
    /// invariant `assertion`.
    ///
    /// # Panics
    ///
    /// When `config` is unsound: no replica at all, for instance.
    pub fn run(config: &SimulationConfig) -> Result<Summary, Box<Failure>> {
        #[cfg(feature = "planted-bugs")]
        crate::planted::plant(config.planted);
        let mut simulation = Self::new(config);
        let verdict = catch_unwind(AssertUnwindSafe(|| simulation.drive(config)))
            .unwrap_or_else(|panic| Err(assertion(panic.as_ref())));
        match verdict {
            Ok(()) => Ok(simulation.summary(config)),
            Err(Violation { invariant, message }) => Err(Box::new(Failure {
                replicas: config.replicas,
                seed: config.seed,
                invariant,
                message,
                byzantine: config.faults.byzantine.clone(),
                trace: simulation.world.trace.render(),
            })),
        }
    }

    fn new(config: &SimulationConfig) -> Self {
        let keys: Vec<_> = (0..config.replicas).map(signing_key).collect();
        let replicas = ReplicaSet::new(keys.iter().map(SigningKey::public).collect())
            .expect("there is a replica, and not too many");
        let mut dice = Dice::new(config.seed);
        let mut timers = Dice::apart(config.seed, Apart::Timers);
        let protocol = |id| Config {
            id,
            replicas: replicas.clone(),
            network: Domain::Genesis.hash(b"simulation"),
            checkpoint_interval: config.checkpoint_interval,
            log_window: config.log_window,
            max_in_flight: config.max_in_flight,
            max_batch_requests: config.max_batch_requests,
            status_interval: config.status_interval,
            request_timeout: config.request_timeout,
            request_timeout_cap: config.request_timeout_cap,
        };
        let nodes = replicas
            .ids()
            .zip(keys)
            .map(|(id, key)| {
                let clock = Clock::drawn(config, id, &mut dice, &mut timers);
                let node = Node::new(protocol(id), key, clock);
                node.with_faults(config.faults.byzantine.get(&id), config.seed)
            })
            .collect();
        let clients = Clients::new(config.requests);
        let requests: BTreeSet<_> = clients.digests().collect();
        let any = protocol(ReplicaId(0));
        let clocks = config.faults.clock_skew;
        let timely_within = config.max_timestamp_ahead.saturating_add(clocks);
        let byzantine: BTreeSet<_> = config.faults.byzantine.keys().copied().collect();
        let world = World {
            links: config.links,
            agenda: Agenda::default(),
            dice,
            network: Network::new(&config.faults),
            door: Door::new(Verifier::new(&any)),
            trace: Trace::new(replicas.n()),
            invariants: Invariants::new(&any, &byzantine, requests, timely_within),
            byzantine,
            summary: Summary::default(),
            replicas,
        };
        Self {
            nodes,
            clients,
            up: vec![false; world.replicas.n()],
            world,
            status_interval: config.status_interval,
            healed_at: None,
            idle_since: None,
        }
    }

    fn drive(&mut self, config: &SimulationConfig) -> Result<(), Violation> {
        let world = &mut self.world;
        for (at, fault) in faults::schedule(config, &world.replicas, &mut world.dice) {
            world.after(at, Event::Fault(fault));
        }
        self.clients.begin(config.faults.heal_after, world);
        for node in &mut self.nodes {
            node.start(world)?;
        }
        while let Some(event) = self.world.agenda.next() {
            self.world.summary.steps += 1;
            if self.world.summary.steps > STEPS {
                return Err(Violation {
                    invariant: "bounded",
                    message: format!("no rest after {STEPS} events"),
                });
            }
            if self.play(event)? {
                return Ok(());
            }
            self.notice_crashes();
        }
        unreachable!("inspections go on until the end")
    }

    /// Whether this was the last event.
    fn play(&mut self, event: Event) -> Result<bool, Violation> {
        let addressed = event.process();
        let reaches = match addressed {
            Some(id) => node(&mut self.nodes, id).pile_up(event),
            None => Some(event),
        };
        let Some(event) = reaches else {
            return Ok(false);
        };
        let world = &mut self.world;
        match event {
            Event::Arrival { from, to, packet } => {
                node(&mut self.nodes, to).arrival(from, packet, world)?;
            }
            Event::Wake {
                node: id,
                incarnation,
                wake,
            } => node(&mut self.nodes, id).wake(incarnation, wake, world)?,
            Event::ClientTurn(number) => self.clients.turn(number, world),
            Event::Submission { to, request } => {
                node(&mut self.nodes, to).submission(request, world)?;
            }
            Event::Reply { request } => self.clients.reply(request),
            Event::Fault(fault) => self.strike(fault)?,
            Event::Inspection => return self.inspect(),
        }
        Ok(false)
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Violation> {
        let world = &mut self.world;
        match fault {
            Fault::Crash(crash) => node(&mut self.nodes, crash.node).doom(crash, world)?,
            Fault::Restart(id) => self.restart(id)?,
            Fault::Pause(id) => node(&mut self.nodes, id).pause(world),
            Fault::Resume(id) => node(&mut self.nodes, id).resume(world),
            Fault::Cut { number, links } => {
                let count = links.len();
                world.note(None, Happening::Cut { links: count });
                world.summary.partitions += 1;
                world.network.cut(number, links);
            }
            Fault::Mend(number) => {
                world.note(None, Happening::Mended);
                world.network.mend(number);
            }
            Fault::Heal => {
                world.note(None, Happening::Healed);
                world.network.heal();
                self.healed_at = Some(world.agenda.now());
                world.after(Duration::ZERO, Event::Inspection);
                for id in world.replicas.ids() {
                    node(&mut self.nodes, id).reprieve();
                    node(&mut self.nodes, id).resume(&mut self.world);
                    self.restart(id)?;
                }
            }
        }
        Ok(())
    }

    /// Most of the others notice when a node goes down.
    fn notice_crashes(&mut self) {
        let now_up: Vec<bool> = self.nodes.iter().map(Node::is_up).collect();
        let before = std::mem::replace(&mut self.up, now_up);
        for id in self.world.replicas.ids() {
            let at = id.0 as usize;
            if !before[at] || self.up[at] {
                continue;
            }
            for peer in self.world.peers(id) {
                if self.world.dice.chance(0.75) {
                    node(&mut self.nodes, peer).disconnect(id, &mut self.world);
                }
            }
        }
    }

    /// Starts a node that is down; most of the others notice.
    fn restart(&mut self, id: ReplicaId) -> Result<(), Violation> {
        let world = &mut self.world;
        let restarted = node(&mut self.nodes, id);
        if restarted.is_up() {
            return Ok(());
        }
        restarted.start(world)?;
        for peer in world.peers(id) {
            if world.dice.chance(0.75) {
                node(&mut self.nodes, peer).connect(id, world);
                node(&mut self.nodes, id).connect(peer, world);
            }
        }
        Ok(())
    }

    /// Looks whether there is anything left to do. Whether this was the end.
    fn inspect(&mut self) -> Result<bool, Violation> {
        let now = self.world.agenda.now();
        let sent = self.world.network.traffic().sent;
        if let Some((since, before)) = self.idle_since {
            let time = now.saturating_sub(since);
            let packets = sent - before;
            self.world.observe(&Observation::Idles { time, packets })?;
            let nodes: Vec<(ReplicaId, &Contents)> = correct(&self.nodes, &self.world.byzantine)
                .map(|node| (node.id(), node.contents()))
                .collect();
            let ends = Observation::Ends { nodes: &nodes };
            self.world.invariants.observe(&ends)?;
            return Ok(true);
        }
        let healed_at = self.healed_at.expect("inspections begin with the healing");
        let healed_for = now.saturating_sub(healed_at);
        let pause = match self.unfinished() {
            None => {
                self.idle_since = Some((now, sent));
                self.world.summary.recovery_time = healed_for;
                self.status_interval * IDLE_INTERVALS
            }
            Some(unfinished) => {
                self.world.observe(&Observation::Waits {
                    healed_for,
                    unfinished: &unfinished,
                })?;
                self.status_interval / 2
            }
        };
        self.world.after(pause, Event::Inspection);
        Ok(false)
    }

    /// What is still to be done, in words.
    fn unfinished(&self) -> Option<String> {
        if let Some(number) = self.clients.waiting() {
            return Some(format!("request {number} has no receipt"));
        }
        let tip = self.highest();
        correct(&self.nodes, &self.world.byzantine).find_map(|node| {
            let (id, ledger) = (node.id(), &node.contents().ledger);
            let certified = ledger.newest_certificate().map(|of| of.checkpoint.sequence);
            if !node.is_up() {
                Some(format!("{id} is down"))
            } else if ledger.tip() < tip {
                Some(format!("{id} has executed {} of {tip}", ledger.tip()))
            } else if certified.unwrap_or_default() < tip {
                Some(format!(
                    "{id} has certificates up to {certified:?} of {tip}"
                ))
            } else {
                None
            }
        })
    }

    fn highest(&self) -> SequenceNumber {
        let correct = correct(&self.nodes, &self.world.byzantine);
        let tips = correct.map(|node| node.contents().ledger.tip());
        tips.max().unwrap_or_default()
    }

    fn summary(&self, config: &SimulationConfig) -> Summary {
        let traffic = self.world.network.traffic();
        let uncertified = self
            .nodes
            .iter()
            .map(|node| node.contents().ledger.uncertified() as u64);
        Summary {
            virtual_time: self.world.agenda.now(),
            messages_sent: traffic.sent,
            messages_lost: traffic.lost,
            messages_duplicated: traffic.doubled,
            messages_corrupted: traffic.corrupted,
            blocks: self.highest().0,
            uncertified_blocks: uncertified.sum(),
            requests: u64::from(config.requests),
            trace_hash: self.world.trace.hash(),
            ..self.world.summary.clone()
        }
    }
}

fn node(nodes: &mut [Node], id: ReplicaId) -> &mut Node {
    &mut nodes[id.0 as usize]
}

fn correct<'a>(
    nodes: &'a [Node],
    byzantine: &'a BTreeSet<ReplicaId>,
) -> impl Iterator<Item = &'a Node> {
    let nodes = nodes.iter();
    nodes.filter(|node| !byzantine.contains(&node.id()))
}

fn signing_key(id: u32) -> SigningKey {
    SigningKey::from_seed(&Domain::Genesis.hash(&id.to_le_bytes()).0)
}

/// A panic as a broken invariant.
fn assertion(panic: &(dyn Any + Send)) -> Violation {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Violation {
        invariant: "assertion",
        message: text.unwrap_or("an assertion failed").to_owned(),
    }
}
