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
use super::twins::{Place, Twins};
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
    /// The names of all invariants.
    #[must_use]
    pub fn invariants() -> Vec<&'static str> {
        let any = Self::new(&SimulationConfig::drawn(4, 0));
        any.world.invariants.names()
    }

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
                twins: config.faults.twins.clone(),
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
        let mut node = |place: Place| {
            let clock = Clock::drawn(config, place.id, &mut dice, &mut timers);
            let key = signing_key(place.id.0);
            let node = Node::new(protocol(place.id), key, clock).at(place);
            node.with_faults(config.faults.byzantine.get(&place.id), config.seed)
        };
        let first = replicas.ids().map(Place::first);
        let places = first.chain(config.faults.twins.iter().copied().map(Place::second));
        let nodes: Vec<_> = places.map(&mut node).collect();
        let clients = Clients::new(config.requests);
        let requests: BTreeSet<_> = clients.digests().collect();
        let any = protocol(ReplicaId(0));
        let clocks = config.faults.clock_skew;
        let timely_within = config.max_timestamp_ahead.saturating_add(clocks);
        let faults = &config.faults;
        let incorrect = faults.incorrect();
        let byzantine = incorrect.difference(&faults.states_altered);
        let byzantine: BTreeSet<_> = byzantine.copied().collect();
        let world = World {
            links: config.links,
            agenda: Agenda::default(),
            dice,
            network: Network::new(&config.faults),
            door: Door::new(Verifier::new(&any)),
            trace: Trace::new(nodes.iter().map(Node::place).collect()),
            altered: BTreeSet::new(),
            twins: Twins::default(),
            invariants: Invariants::new(&any, &incorrect, requests, timely_within),
            byzantine,
            summary: Summary::default(),
            replicas,
        };
        Self {
            clients,
            up: vec![false; nodes.len()],
            nodes,
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
            Fault::Regroup(twins) => {
                world.note(None, Happening::Regrouped);
                world.twins = twins;
            }
            Fault::AlterState(place) => node(&mut self.nodes, place).alter_state(world),
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
                for place in self.places() {
                    node(&mut self.nodes, place).reprieve();
                    node(&mut self.nodes, place).resume(&mut self.world);
                    self.restart(place)?;
                }
            }
        }
        Ok(())
    }

    /// Most of the others notice when a node goes down.
    fn notice_crashes(&mut self) {
        let now_up: Vec<bool> = self.nodes.iter().map(Node::is_up).collect();
        let before = std::mem::replace(&mut self.up, now_up);
        for (at, place) in self.places().into_iter().enumerate() {
            if !before[at] || self.up[at] {
                continue;
            }
            for peer in self.peers(place) {
                if self.world.dice.chance(0.75) {
                    node(&mut self.nodes, peer).disconnect(place.id, &mut self.world);
                }
            }
        }
    }

    fn places(&self) -> Vec<Place> {
        self.nodes.iter().map(Node::place).collect()
    }

    /// The places of all others.
    fn peers(&self, place: Place) -> Vec<Place> {
        let mut places = self.places();
        places.retain(|peer| peer.id != place.id);
        places
    }

    /// Starts a node that is down; most of the others notice.
    fn restart(&mut self, place: Place) -> Result<(), Violation> {
        let peers = self.peers(place);
        let world = &mut self.world;
        let restarted = node(&mut self.nodes, place);
        if restarted.is_up() || restarted.has_halted() {
            return Ok(());
        }
        restarted.start(world)?;
        for peer in peers {
            if world.dice.chance(0.75) {
                node(&mut self.nodes, peer).connect(place.id, world);
                node(&mut self.nodes, place).connect(peer.id, world);
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
                .map(|node| (node.id(), node.durable()))
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
        if let Some(id) = self.diverged() {
            return Some(format!("{id} is wrong, and has not halted"));
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

    /// Who runs with another outcome than a correct node.
    fn diverged(&self) -> Option<ReplicaId> {
        let right = correct(&self.nodes, &self.world.byzantine).next()?;
        let right = &right.contents().ledger;
        let mut altered = self.nodes.iter().filter(|node| {
            let ledger = &node.contents().ledger;
            let is_altered = self.world.altered.contains(&node.id());
            is_altered && !node.has_halted() && ledger.contradicts(right)
        });
        altered.next().map(Node::id)
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
            twins: config.faults.twins.len() as u64,
            trace_hash: self.world.trace.hash(),
            ..self.world.summary.clone()
        }
    }
}

fn node(nodes: &mut [Node], place: Place) -> &mut Node {
    let mut nodes = nodes.iter_mut();
    let node = nodes.find(|node| node.place() == place);
    node.expect("every place has its node")
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
