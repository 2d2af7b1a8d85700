//! What a simulation is told; everything else its seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::dice::Dice;
#[cfg(feature = "planted-bugs")]
use crate::PlantedBug;
use crate::ReplicaId;
use crate::byzantine::{Mode, Modes};

/// One simulation.
#[derive(Clone, Debug)]
pub struct SimulationConfig {
    /// `n`.
    pub replicas: u32,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// How many requests the clients submit.
    pub requests: u32,
    /// How messages travel.
    pub links: Links,
    /// What goes wrong.
    pub faults: Faults,
    /// As in [`Config`](crate::Config).
    pub checkpoint_interval: u64,
    /// As in [`Config`](crate::Config).
    pub log_window: u64,
    /// As in [`Config`](crate::Config).
    pub max_in_flight: u64,
    /// As in [`Config`](crate::Config).
    pub max_batch_requests: usize,
    /// As in [`Config`](crate::Config).
    pub status_interval: Duration,
    /// As in [`Config`](crate::Config).
    pub request_timeout: Duration,
    /// As in [`Config`](crate::Config).
    pub request_timeout_cap: Duration,
    /// How far ahead of its own clock a backup lets a batch be.
    pub max_timestamp_ahead: Duration,
    /// A bug in every replica, to see that it is found.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

/// How messages between replicas travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Verified once as they leave and handed to every receiver: fast.
    Verified,
    /// As bytes, decoded and verified by every receiver.
    Bytes,
}

/// What goes wrong until the network heals. Counts are of the whole run.
#[derive(Clone, Debug)]
pub struct Faults {
    /// When the network heals: nothing goes wrong any more and everybody is up.
    pub heal_after: Duration,
    /// The share of packets that get lost.
    pub loss: f64,
    /// The share of packets that arrive twice.
    pub duplication: f64,
    /// The share of messages of which a bit is flipped, with [`Links::Bytes`].
    /// Of a STATUS, which carries no signature, it may come in as a lie.
    pub corruption: f64,
    /// How long a packet travels. Packets overtake each other.
    pub delay: RangeInclusive<Duration>,
    /// The share of packets that travel ten times as long.
    pub straggling: f64,
    /// How many times some replica crashes and is started again.
    pub crashes: u32,
    /// How many times all replicas crash together.
    pub network_restarts: u32,
    /// How many times some replicas are cut off from others, one way or both.
    pub partitions: u32,
    /// How many times some replica is paused, as by SIGSTOP, and goes on: what
    /// reached it and what it waited for meanwhile come all at once.
    pub pauses: u32,
    /// Who is faulty in which ways, from the beginning to the end. They count
    /// towards `f`, beyond which nothing is promised.
    pub byzantine: BTreeMap<ReplicaId, Modes>,
    /// Who is there twice, under one key, with a state each, and others meet one
    /// or the other. They count towards `f`.
    pub twins: BTreeSet<ReplicaId>,
    /// Whose state is altered behind their back, as by a bad disk or bad memory:
    /// from then on they execute to other outcomes than the others, and are to
    /// halt when they learn of it. They count towards `f`.
    pub states_altered: BTreeSet<ReplicaId>,
    /// By how much clocks differ from the true time at most, ahead or behind. Up
    /// to half of [`max_timestamp_ahead`](SimulationConfig::max_timestamp_ahead)
    /// nobody refuses the batches of another for their time.
    pub clock_skew: Duration,
    /// Whose clocks are further off than agreed, by so many milliseconds. They
    /// say nothing but what is so to their knowledge, and are held to all that a
    /// correct replica is; but they count towards `f`.
    pub wrong_clocks: BTreeMap<ReplicaId, i64>,
    /// By how many thousandths timers run too fast or too slowly at most.
    pub timer_drift: u32,
    /// How many other replicas lose their disk in a crash: at most what those
    /// that are faulty leave of `f`.
    pub disk_losses: u32,
}

impl SimulationConfig {
    /// A network of `replicas` in which everything is drawn from `seed`, the
    /// parameters of the protocol and the severity of the faults too.
    #[must_use]
    pub fn drawn(replicas: u32, seed: u64) -> Self {
        // Not the stream that the simulation itself draws from.
        let mut dice = Dice::new(!seed);
        let checkpoint_interval = [1, 1, 1, 2, 4][dice.below(5)];
        let log_window = checkpoint_interval * 2 * dice.between(1..=8);
        let request_timeout = Duration::from_millis(dice.between(100..=800));
        let mut config = Self {
            replicas,
            seed,
            requests: u32::try_from(dice.between(30..=60)).unwrap_or(30),
            links: Links::Verified,
            faults: Faults::drawn(replicas, &mut dice),
            checkpoint_interval,
            log_window,
            max_in_flight: dice.between(1..=log_window.min(8)),
            max_batch_requests: [1, 2, 4, 8][dice.below(4)],
            status_interval: Duration::from_millis(dice.between(50..=150)),
            request_timeout,
            request_timeout_cap: request_timeout * [1, 4, 16][dice.below(3)],
            #[cfg(feature = "planted-bugs")]
            planted: None,
            max_timestamp_ahead: Duration::MAX,
        };
        // Last, so that nothing shifts of what was drawn before there were any.
        config.faults.pauses = up_to(&mut dice, 4);
        config.draw_clocks(&mut dice);
        config.faults.draw_twins(replicas, &mut dice);
        let altered = config.faults.still_correct(replicas, &mut dice);
        if dice.chance(0.3) {
            config.faults.states_altered.extend(altered);
        }
        config.faults.draw_further_lies(&mut dice);
        config
    }

    fn draw_clocks(&mut self, dice: &mut Dice) {
        let ahead = dice.between(100..=1_000);
        self.max_timestamp_ahead = Duration::from_millis(ahead);
        let faults = &mut self.faults;
        faults.clock_skew = Duration::from_millis(dice.between(0..=ahead / 2));
        faults.timer_drift = [0, 0, 20, 100][dice.below(4)];
        let wrong = dice.chance(0.4);
        for id in faults.still_correct(self.replicas, dice) {
            let by = i64::try_from(dice.between(ahead / 2..=ahead * 4)).unwrap_or(0);
            let by = if dice.chance(0.5) { by } else { -by };
            if wrong {
                faults.wrong_clocks.insert(id, by);
            }
        }
    }
}

fn up_to(dice: &mut Dice, most: u64) -> u32 {
    u32::try_from(dice.between(0..=most)).unwrap_or(0)
}

impl Faults {
    /// Who counts towards `f` from the beginning to the end.
    pub(crate) fn faulty(&self) -> BTreeSet<ReplicaId> {
        let mut faulty = self.incorrect();
        faulty.extend(self.wrong_clocks.keys());
        faulty
    }

    /// Who is held to nothing, or to little.
    pub(crate) fn incorrect(&self) -> BTreeSet<ReplicaId> {
        let byzantine = self.byzantine.keys();
        let others = self.twins.iter().chain(&self.states_altered);
        byzantine.chain(others).copied().collect()
    }

    /// Some of the faulty replicas, and of those that may still be, are twins.
    fn draw_twins(&mut self, replicas: u32, dice: &mut Dice) {
        let wanted = dice.chance(0.25);
        let liars = self.byzantine.keys().copied();
        let candidates: Vec<_> = liars.chain(self.still_correct(replicas, dice)).collect();
        for id in candidates {
            if dice.chance(0.7) && wanted {
                self.byzantine.remove(&id);
                self.twins.insert(id);
            }
        }
    }

    /// Some of the liars name requests that there are not, beside what they do.
    fn draw_further_lies(&mut self, dice: &mut Dice) {
        for lie in [Mode::InventRequests, Mode::KeepBack] {
            for modes in self.byzantine.values_mut() {
                if dice.chance(0.15) {
                    *modes = modes.iter().cloned().chain([lie.clone()]).collect();
                }
            }
        }
    }

    /// Some of the others, no more than are left of `f`.
    fn still_correct(&self, replicas: u32, dice: &mut Dice) -> Vec<ReplicaId> {
        let faulty = self.faulty();
        let mut correct: Vec<_> = (0..replicas).map(ReplicaId).collect();
        correct.retain(|id| !faulty.contains(id));
        dice.shuffle(&mut correct);
        let left = most_faulty(replicas).saturating_sub(faulty.len());
        correct.truncate(dice.below(left + 1));
        correct
    }

    /// Nothing goes wrong; packets still overtake each other.
    #[must_use]
    pub fn none() -> Self {
        Self {
            heal_after: Duration::from_secs(2),
            loss: 0.0,
            duplication: 0.0,
            corruption: 0.0,
            delay: Duration::from_millis(1)..=Duration::from_millis(10),
            straggling: 0.0,
            crashes: 0,
            network_restarts: 0,
            partitions: 0,
            pauses: 0,
            byzantine: BTreeMap::new(),
            twins: BTreeSet::new(),
            states_altered: BTreeSet::new(),
            clock_skew: Duration::from_millis(25),
            wrong_clocks: BTreeMap::new(),
            timer_drift: 0,
            disk_losses: 0,
        }
    }

    fn drawn(replicas: u32, dice: &mut Dice) -> Self {
        Self {
            heal_after: Duration::from_millis(dice.between(1_000..=3_000)),
            loss: dice.share(0.3),
            duplication: dice.share(0.2),
            corruption: 0.0,
            delay: Duration::from_millis(1)..=Duration::from_millis(dice.between(2..=30)),
            straggling: dice.share(0.1),
            crashes: up_to(dice, 2 + u64::from(replicas)),
            network_restarts: up_to(dice, 1),
            partitions: up_to(dice, 4),
            disk_losses: up_to(dice, u64::from((replicas.max(1) - 1) / 3)),
            byzantine: byzantine(replicas, dice),
            ..Self::none()
        }
    }
}

/// `f`.
fn most_faulty(replicas: u32) -> usize {
    (replicas.max(1) as usize - 1) / 3
}

/// Up to `f` of the replicas, each with a fault or two, or with all of them by turns.
fn byzantine(replicas: u32, dice: &mut Dice) -> BTreeMap<ReplicaId, Modes> {
    let mut all: Vec<_> = (0..replicas).map(ReplicaId).collect();
    dice.shuffle(&mut all);
    let most = u64::from((replicas.max(1) - 1) / 3);
    let count = usize::try_from(dice.between(0..=most)).unwrap_or(0);
    all.truncate(count);
    all.into_iter()
        .map(|id| {
            let first = mode(replicas, dice);
            let modes = if dice.chance(0.3) {
                [first, mode(replicas, dice)].into_iter().collect()
            } else {
                first.into()
            };
            (id, modes)
        })
        .collect()
}

fn mode(replicas: u32, dice: &mut Dice) -> Mode {
    match dice.below(16) {
        0 => Mode::Silent,
        1 => Mode::Delay(Duration::from_millis(dice.between(10..=1_000))),
        2 => Mode::Drop(
            (0..replicas)
                .map(ReplicaId)
                .filter(|_| dice.chance(0.4))
                .collect(),
        ),
        3 | 4 => Mode::Equivocate,
        5 => Mode::WrongDigest,
        6 => Mode::Censor(dice.between(0..=9).to_string()),
        7 => Mode::CorruptSignatures,
        8 => Mode::Replay,
        9 | 10 => Mode::LieViewChange,
        11 => Mode::LieSync,
        12 => Mode::SkipSequences,
        13 => Mode::WrongTimes,
        _ => Mode::Chaotic,
    }
}
