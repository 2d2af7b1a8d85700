//! The protocol in the deterministic simulator.

use std::ops::Range;
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use consensus::testing::{
    Failure as Broken, Shrunk, Simulation, SimulationConfig, Summary, shrink,
};
use serde_json::{Value, json};

use crate::args::{Global, SimulateArgs};
use crate::exit::{Exit, Failure, Outcome};

/// How many simulations are spent on making a failing one smaller.
const TRIES: u32 = 200;

/// Seeds from one to before another.
#[derive(Clone, Debug)]
pub(crate) struct SeedRange(Range<u64>);

impl FromStr for SeedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once("..").and_then(|(from, to)| {
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            (from < to).then_some(from..to)
        });
        range
            .map(Self)
            .ok_or_else(|| "expected A..B with A < B, such as 0..1000".to_owned())
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trouble {
    /// Everything below
    All,
    /// Nothing
    None,
    /// Messages get lost
    Loss,
    /// Messages arrive twice
    Duplication,
    /// Messages overtake each other by far
    Reordering,
    /// Replicas crash and come back
    Crashes,
    /// Links are cut
    Partitions,
    /// Replicas stand still for a while
    Pauses,
    /// Clocks and timers are wrong
    Clocks,
    /// Disks are lost
    Disks,
    /// States are altered unnoticed
    States,
    /// Replicas lie, or are there twice
    Byzantine,
}

/// A network in which only the troubles asked for happen.
fn config(args: &SimulateArgs, seed: u64) -> SimulationConfig {
    let mut config = SimulationConfig::drawn(args.replicas, seed);
    let asked = |trouble| args.faults.contains(&Trouble::All) || args.faults.contains(&trouble);
    let faults = &mut config.faults;
    if !asked(Trouble::Loss) {
        faults.loss = 0.0;
    }
    if !asked(Trouble::Duplication) {
        faults.duplication = 0.0;
    }
    if !asked(Trouble::Reordering) {
        faults.straggling = 0.0;
    }
    if !asked(Trouble::Crashes) {
        faults.crashes = 0;
        faults.network_restarts = 0;
    }
    if !asked(Trouble::Partitions) {
        faults.partitions = 0;
    }
    if !asked(Trouble::Pauses) {
        faults.pauses = 0;
    }
    if !asked(Trouble::Clocks) {
        faults.clock_skew = Duration::ZERO;
        faults.wrong_clocks.clear();
        faults.timer_drift = 0;
    }
    if !asked(Trouble::Disks) {
        faults.disk_losses = 0;
    }
    if !asked(Trouble::States) {
        faults.states_altered.clear();
    }
    if !asked(Trouble::Byzantine) {
        faults.byzantine.clear();
        faults.twins.clear();
    }
    config
}

pub(crate) fn simulate(global: &Global, args: &SimulateArgs) -> Outcome {
    let seeds = match args.seed {
        Some(seed) => seed..seed.saturating_add(1),
        None => args.seeds.0.clone(),
    };
    let count = seeds.end - seeds.start;
    let (summary, mut broken) = run(args, seeds);
    broken.sort_by_key(|it| it.seed);
    let failed: Vec<u64> = broken.iter().map(|it| it.seed).collect();
    let answer = answer(count, &failed, &summary);
    global.output.print(&answer, |_| {
        sentences(args.replicas, count, failed.len(), &summary)
    });
    match broken.into_iter().next() {
        None => Ok(()),
        Some(first) => {
            let message = format!("{} of {count} seeds broke an invariant", failed.len());
            let config = config(args, first.seed);
            let shrunk = shrink(&config, Box::new(first), TRIES);
            Err(Failure::new(Exit::Failed, "INVARIANT_BROKEN", message)
                .cause(story(&shrunk))
                .shown())
        }
    }
}

/// What is left of the first failure, and how it comes about.
fn story(shrunk: &Shrunk) -> String {
    let Shrunk {
        config,
        failure,
        left_out,
        tries,
    } = shrunk;
    let without = if left_out.is_empty() {
        "nothing".to_owned()
    } else {
        left_out.join(", ")
    };
    format!(
        "after {tries} attempts at a smaller failure it does without {without}\n\
         what remains: {config:#?}\n{failure}"
    )
}

/// What came of it, for programs.
fn answer(count: u64, failed: &[u64], summary: &Summary) -> Value {
    json!({
        "seeds": count,
        "failed": failed,
        "steps": summary.steps,
        "virtual_seconds": summary.virtual_time.as_secs(),
        "view_changes": summary.view_changes,
        "crashes": summary.crashes,
        "states_altered": summary.states_altered,
        "halts": summary.halts,
        "twins": summary.twins,
        "byzantine_actions": summary.byzantine_actions,
        "contradictions": summary.contradictions,
        "messages": summary.messages_sent,
        "messages_lost": summary.messages_lost,
        "messages_duplicated": summary.messages_duplicated,
        "partitions": summary.partitions,
        "pauses": summary.pauses,
        "batches_refused": summary.batches_refused,
        "disks_lost": summary.disks_lost,
        "requests": summary.requests,
        "trace_hash": format!("{:016x}", summary.trace_hash),
    })
}

/// What came of it, for people.
fn sentences(replicas: u32, count: u64, failed: usize, summary: &Summary) -> String {
    format!(
        "{count} seeds with {replicas} replicas, {failed} failed\n\
         {} steps in {} virtual seconds: {} messages, {} lost, {} twice; \
         {} crashes, {} partitions, {} pauses, {} disks lost; \
         {} states altered, {} halts; {} twins, {} lies, {} of them proved; \
         {} batches of a wrong time refused; {} views; {} requests, each executed once",
        summary.steps,
        summary.virtual_time.as_secs(),
        summary.messages_sent,
        summary.messages_lost,
        summary.messages_duplicated,
        summary.crashes,
        summary.partitions,
        summary.pauses,
        summary.disks_lost,
        summary.states_altered,
        summary.halts,
        summary.twins,
        summary.byzantine_actions,
        summary.contradictions,
        summary.batches_refused,
        summary.view_changes,
        summary.requests,
    )
}

/// Runs every seed, on as many threads as there are processors.
fn run(args: &SimulateArgs, seeds: Range<u64>) -> (Summary, Vec<Broken>) {
    let threads = thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let (sender, verdicts) = mpsc::channel();
    thread::scope(|scope| {
        for offset in 0..threads {
            let (sender, seeds) = (sender.clone(), seeds.clone());
            scope.spawn(move || {
                let step = usize::try_from(threads).unwrap_or(1);
                for seed in seeds
                    .skip(usize::try_from(offset).unwrap_or(0))
                    .step_by(step)
                {
                    if sender.send(Simulation::run(&config(args, seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut summary, mut broken) = (Summary::default(), Vec::new());
        for verdict in verdicts {
            match verdict {
                Ok(of_one) => summary += of_one,
                Err(failure) => broken.push(*failure),
            }
        }
        (summary, broken)
    })
}
