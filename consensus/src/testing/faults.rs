//! The schedule of what goes wrong, drawn before the run. What came later to
//! be drawn has dice of its own, so that seeds go on deciding what they did.

use std::collections::BTreeSet;
use std::time::Duration;

use super::config::SimulationConfig;
use super::dice::{Apart, Dice};
use super::network::Link;
use super::twins::{Place, Twins};
use crate::{ReplicaId, ReplicaSet};

/// Something that goes wrong, or well again.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Crash(Crash),
    Restart(Place),
    Pause(Place),
    Resume(Place),
    /// This one's state is altered behind its back.
    AlterState(Place),
    /// From now on others meet other copies of twins.
    Regroup(Twins),
    Cut {
        number: u32,
        links: BTreeSet<Link>,
    },
    Mend(u32),
    Heal,
}

/// A crash to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crash {
    pub(crate) node: Place,
    pub(crate) point: CrashPoint,
    pub(crate) downtime: Duration,
    pub(crate) loses_disk: bool,
}

/// Where in its work the crash meets the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// Wherever it is.
    Anywhere,
    /// While it syncs: what is written may be lost, nothing after it was sent.
    BeforeSync,
    /// What is written is durable, and nothing after it was sent.
    AfterSync,
    /// Some have got the message, others not.
    AmidBroadcast,
    /// The block is durable, and the replica does not know.
    AfterExecution,
}

const POINTS: [CrashPoint; 5] = [
    CrashPoint::Anywhere,
    CrashPoint::BeforeSync,
    CrashPoint::AfterSync,
    CrashPoint::AmidBroadcast,
    CrashPoint::AfterExecution,
];

/// What goes wrong when.
pub(crate) fn schedule(
    config: &SimulationConfig,
    replicas: &ReplicaSet,
    dice: &mut Dice,
) -> Vec<(Duration, Fault)> {
    let faults = &config.faults;
    let all: Vec<ReplicaId> = replicas.ids().collect();
    let during = Duration::ZERO..=faults.heal_after;
    let downtime = Duration::ZERO..=faults.heal_after / 4;
    let mut planned = Vec::new();
    for _ in 0..faults.crashes {
        let crash = Crash {
            node: Place::first(all[dice.below(all.len())]),
            point: POINTS[dice.below(POINTS.len())],
            downtime: dice.time(&downtime),
            loses_disk: false,
        };
        planned.push((dice.time(&during), Fault::Crash(crash)));
    }
    for _ in 0..faults.network_restarts {
        let at = dice.time(&during);
        for node in &all {
            let crash = Crash {
                node: Place::first(*node),
                point: CrashPoint::Anywhere,
                downtime: dice.time(&downtime),
                loses_disk: false,
            };
            planned.push((at, Fault::Crash(crash)));
        }
    }
    for node in disks_lost(config, replicas, dice) {
        let crash = Crash {
            node: Place::first(node),
            point: POINTS[dice.below(POINTS.len())],
            downtime: dice.time(&downtime),
            loses_disk: true,
        };
        planned.push((dice.time(&during), Fault::Crash(crash)));
    }
    for number in 0..faults.partitions {
        let from = dice.time(&during);
        let links = partition(&all, dice);
        let mend = from.saturating_add(dice.time(&downtime));
        planned.push((from, Fault::Cut { number, links }));
        planned.push((mend, Fault::Mend(number)));
    }
    planned.extend(pauses(config, &all));
    planned.extend(regroupings(config, replicas));
    planned.extend(alterations(config));
    planned.push((faults.heal_after, Fault::Heal));
    planned
}

/// Who is paused when, and when they go on.
fn pauses(config: &SimulationConfig, all: &[ReplicaId]) -> Vec<(Duration, Fault)> {
    let mut dice = Dice::apart(config.seed, Apart::Pauses);
    let heal_after = config.faults.heal_after;
    let mut planned = Vec::new();
    for _ in 0..config.faults.pauses {
        let node = Place::first(all[dice.below(all.len())]);
        let from = dice.time(&(Duration::ZERO..=heal_after));
        let time = dice.time(&(Duration::ZERO..=heal_after / 2));
        planned.push((from, Fault::Pause(node)));
        planned.push((from.saturating_add(time), Fault::Resume(node)));
    }
    planned
}

/// Who meets which copies of twins: from the beginning, and then anew a few times.
fn regroupings(config: &SimulationConfig, replicas: &ReplicaSet) -> Vec<(Duration, Fault)> {
    let faults = &config.faults;
    if faults.twins.is_empty() {
        return Vec::new();
    }
    let mut dice = Dice::apart(config.seed, Apart::Twins);
    let times = (0..dice.below(4)).map(|_| dice.time(&(Duration::ZERO..=faults.heal_after)));
    let times: Vec<_> = times.collect();
    let mut regroup = |at| {
        let twins = Twins::drawn(&faults.twins, replicas, &mut dice);
        (at, Fault::Regroup(twins))
    };
    let first = regroup(Duration::ZERO);
    let later = times.into_iter().map(regroup);
    [first].into_iter().chain(later).collect()
}

/// Whose state is altered when. There is something to be executed afterwards.
fn alterations(config: &SimulationConfig) -> Vec<(Duration, Fault)> {
    let mut dice = Dice::apart(config.seed, Apart::Alterations);
    let during = Duration::ZERO..=config.faults.heal_after / 2;
    let ids = config.faults.states_altered.iter();
    ids.map(|id| (dice.time(&during), Fault::AlterState(Place::first(*id))))
        .collect()
}

/// Who loses the disk: never more than `f`, whatever is asked for.
fn disks_lost(config: &SimulationConfig, replicas: &ReplicaSet, dice: &mut Dice) -> Vec<ReplicaId> {
    let faulty = config.faults.faulty();
    let mut nodes: Vec<ReplicaId> = replicas.ids().filter(|id| !faulty.contains(id)).collect();
    dice.shuffle(&mut nodes);
    let left = replicas.f().saturating_sub(faulty.len());
    let most = usize::try_from(config.faults.disk_losses).map_or(left, |of| of.min(left));
    nodes.truncate(most);
    nodes
}

/// The links between two groups, in both directions or in one.
fn partition(all: &[ReplicaId], dice: &mut Dice) -> BTreeSet<Link> {
    let mut nodes = all.to_vec();
    dice.shuffle(&mut nodes);
    let (one, other) = nodes.split_at(dice.below(nodes.len() + 1));
    let one_way = dice.chance(0.4);
    let there = one.iter().flat_map(|a| other.iter().map(|b| (*a, *b)));
    let back = one.iter().flat_map(|a| other.iter().map(|b| (*b, *a)));
    there.chain(back.filter(|_| !one_way)).collect()
}
