//! The simulator finds bugs: each that was planted breaks an invariant on the
//! seed that found it, and without the bug that seed holds.
//!
//! `SIMULATION_SEEDS` has each bug searched for anew, from seed 0 on: up to that
//! number, or with `long` up to 3,000.

use std::time::Duration;

use consensus::PlantedBug;
use consensus::testing::{Simulation, SimulationConfig, shrink};

/// A bug, and where it was found.
struct Found {
    bug: PlantedBug,
    replicas: u32,
    seed: u64,
    invariant: &'static str,
}

const fn found(bug: PlantedBug, replicas: u32, seed: u64, invariant: &'static str) -> Found {
    Found {
        bug,
        replicas,
        seed,
        invariant,
    }
}

const FOUND: [Found; 37] = [
    found(PlantedBug::PrepareQuorumOneTooSmall, 4, 0, "quorum_backed"),
    found(PlantedBug::VoteBeforePersist, 4, 0, "persist_before_send"),
    found(PlantedBug::ExecuteOutOfOrder, 4, 0, "total_order"),
    found(PlantedBug::CountMessages, 4, 0, "quorum_backed"),
    found(PlantedBug::CountThePrimarysPrepare, 4, 28, "quorum_backed"),
    found(PlantedBug::IgnoreDigests, 4, 22, "quorum_backed"),
    found(PlantedBug::EarliestPrepared, 4, 41, "agreement"),
    found(PlantedBug::LastPreparedForgotten, 4, 3, "agreement"),
    found(PlantedBug::NoNullRequests, 4, 13, "liveness"),
    found(PlantedBug::VoteAfterViewChange, 4, 3, "leaves_for_good"),
    found(PlantedBug::NeverSayAgain, 4, 0, "liveness"),
    found(PlantedBug::JoinOne, 4, 9, "liveness"),
    found(PlantedBug::JoinNobody, 4, 30, "liveness"),
    found(PlantedBug::NoSync, 4, 0, "persist_before_send"),
    found(PlantedBug::ForgetPrepared, 4, 95, "agreement"),
    found(PlantedBug::ExecuteAgain, 4, 0, "assertion"),
    found(PlantedBug::ExecuteAgainAfterCatchUp, 4, 0, "assertion"),
    found(PlantedBug::BelieveBlocks, 4, 53, "agreement"),
    found(PlantedBug::IgnoreOwnDivergence, 4, 10, "own_divergence"),
    found(PlantedBug::BelieveTimes, 4, 7, "timely"),
    found(PlantedBug::NoHighWatermark, 4, 1, "assertion"),
    found(PlantedBug::ForgetWhatIsUnderWay, 4, 2, "assertion"),
    found(PlantedBug::EnterEarlierViews, 4, 0, "assertion"),
    found(PlantedBug::FreshnessOfReproposals, 4, 13, "liveness"),
    found(PlantedBug::ForgetApplied, 4, 0, "exactly_once"),
    found(PlantedBug::ForgetProposed, 4, 1, "no_equivocation"),
    found(PlantedBug::ViewChangeAnew, 4, 4, "no_equivocation"),
    found(PlantedBug::ForgetReproposals, 4, 2, "no_equivocation"),
    found(PlantedBug::SameIsContradiction, 4, 0, "no_framing"),
    found(PlantedBug::VoteAfterAmnesia, 4, 0, "silence_after_amnesia"),
    found(
        PlantedBug::LeaveWhileListening,
        4,
        0,
        "silence_after_amnesia",
    ),
    found(PlantedBug::VoteUnexamined, 4, 0, "held_in_full"),
    found(PlantedBug::CertificateOneTooSmall, 4, 0, "certificates"),
    found(PlantedBug::LastPlaceCounts, 4, 11, "durability"),
    found(PlantedBug::FetchedNotSynced, 4, 2, "durability"),
    found(PlantedBug::KeepRecords, 4, 1, "bounded"),
    found(PlantedBug::AnswerEveryStatus, 4, 2, "bounded"),
];

/// The network in which a bug is looked for. Some need trouble of their kind.
fn network(of: &Found, seed: u64, planted: bool) -> SimulationConfig {
    let mut config = SimulationConfig::drawn(of.replicas, seed);
    config.planted = planted.then_some(of.bug);
    match of.bug {
        // Many views, and batches that prepare at few.
        PlantedBug::EarliestPrepared => {
            config.faults.loss = 0.3;
            config.faults.straggling = 0.2;
            config.request_timeout = Duration::from_millis(40);
            config.request_timeout_cap = Duration::from_millis(320);
        }
        // Many restarts while something is under way.
        PlantedBug::ForgetProposed | PlantedBug::ViewChangeAnew => {
            config.faults.network_restarts = 4;
        }
        // Besides, many views, and batches that some lack.
        PlantedBug::ForgetReproposals => {
            config.faults.network_restarts = 4;
            config.faults.loss = 0.3;
            config.request_timeout = Duration::from_millis(40);
            config.request_timeout_cap = Duration::from_millis(320);
        }
        // A lost disk, and others who still have what was voted for before.
        PlantedBug::VoteAfterAmnesia | PlantedBug::LeaveWhileListening => {
            let faults = &mut config.faults;
            faults.byzantine.clear();
            faults.twins.clear();
            faults.wrong_clocks.clear();
            faults.states_altered.clear();
            faults.disk_losses = 1;
            faults.loss = 0.3;
            config.checkpoint_interval = 16;
            config.log_window = 32;
        }
        // Who was cut off fetches the last blocks, and nothing comes after them.
        PlantedBug::FetchedNotSynced => {
            config.faults.crashes = 0;
            config.faults.network_restarts = 0;
            config.faults.disk_losses = 0;
            config.faults.partitions = 8;
            config.requests = 15;
            config.checkpoint_interval = 1;
            config.log_window = 4;
            config.max_in_flight = config.max_in_flight.min(4);
        }
        _ => {}
    }
    config
}

/// What nothing has broken is perhaps what nothing can break.
#[test]
fn every_invariant_is_broken_by_some_bug() {
    let mut left = Simulation::invariants();
    left.retain(|name| FOUND.iter().all(|of| of.invariant != *name));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_planted_bug_is_found_and_none_without_it() {
    let mut wrong = Vec::new();
    for of in &FOUND {
        let bug = of.bug;
        match Simulation::run(&network(of, of.seed, true)) {
            Err(failure) if failure.invariant == of.invariant => {}
            Err(failure) => wrong.push(format!("{bug:?} breaks {}", failure.invariant)),
            Ok(_) => wrong.push(format!("{bug:?} is not found on seed {}", of.seed)),
        }
        if let Err(failure) = Simulation::run(&network(of, of.seed, false)) {
            wrong.push(format!("without {bug:?}: {failure}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The search that found them, as long as it is asked to be.
#[test]
fn planted_bugs_are_found_by_searching() {
    #[allow(
        clippy::disallowed_methods,
        reason = "the fence is around the crate, not around its tests"
    )]
    let asked = std::env::var("SIMULATION_SEEDS").ok();
    let seeds: u64 = match asked.as_deref() {
        None => 0,
        Some("long") => 3_000,
        Some(number) => number.parse().expect("a number of seeds"),
    };
    for of in FOUND.iter().filter(|_| seeds > 0) {
        let (bug, invariant) = (of.bug, of.invariant);
        let is_it = |seed: &u64| {
            let found = Simulation::run(&network(of, *seed, true));
            found.is_err_and(|failure| failure.invariant == invariant)
                && Simulation::run(&network(of, *seed, false)).is_ok()
        };
        match (0..seeds).find(is_it) {
            Some(seed) => println!("{bug:?} breaks {invariant} on seed {seed}"),
            None => panic!("{bug:?} does not break {invariant} within {seeds} seeds"),
        }
    }
}

/// What a failure needs is what is left of it in the end.
#[test]
fn a_failure_shrinks_to_what_it_needs() {
    const TRIES: u32 = 150;
    for bug in [PlantedBug::BelieveTimes, PlantedBug::IgnoreOwnDivergence] {
        let of = FOUND.iter().find(|of| of.bug == bug).expect("it is found");
        let config = network(of, of.seed, true);
        let failure = Simulation::run(&config).expect_err("it is found");
        let shrunk = shrink(&config, failure, TRIES);
        println!(
            "{bug:?} without {}: {:?}",
            shrunk.left_out.join(", "),
            shrunk.config
        );
        assert_eq!(shrunk.failure.invariant, of.invariant);
        assert!(shrunk.tries <= TRIES && !shrunk.left_out.is_empty());
        let again = Simulation::run(&shrunk.config).expect_err("it still fails");
        assert_eq!(again.invariant, of.invariant);
        assert_eq!(again.trace, shrunk.failure.trace, "and in the same way");
        assert!(shrunk.config.requests < config.requests / 2);
        // Crashes may be what makes a faulty replica the primary.
        let left = &shrunk.config.faults;
        let needless = left.partitions + left.pauses + left.disk_losses + left.timer_drift;
        assert_eq!(needless, 0, "{bug:?} needs none of them");
        assert!(left.loss + left.duplication + left.straggling <= 0.0);
        let lies = left.byzantine.len() + left.twins.len();
        let errors = left.wrong_clocks.len() + left.states_altered.len();
        assert_eq!(
            lies + errors,
            1,
            "{bug:?} shows where one replica is faulty"
        );
    }
}
