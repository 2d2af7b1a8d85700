//! The simulator finds bugs: each of three that were planted is found within
//! the seeds that hold without it.

mod sweep;

use consensus::PlantedBug;
use consensus::testing::{Failure, Simulation, SimulationConfig};
use sweep::sweep;

/// As many as are run of each size of network.
const SEEDS: u64 = 1000;

fn with_bug(replicas: u32, seed: u64, bug: Option<PlantedBug>) -> SimulationConfig {
    SimulationConfig {
        planted: bug,
        ..SimulationConfig::drawn(replicas, seed)
    }
}

/// What gives the bug away; the same run without it gives nothing away.
fn found(replicas: u32, bug: PlantedBug) -> Failure {
    let sweep = sweep(SEEDS, |seed| with_bug(replicas, seed, Some(bug)));
    let Some(failure) = sweep.failure else {
        panic!("{bug:?} is not found with {replicas} replicas within {SEEDS} seeds");
    };
    println!("{bug:?} is found by {failure}");
    let sound = Simulation::run(&with_bug(replicas, failure.seed, None));
    assert!(sound.is_ok(), "without the bug, its seed holds");
    *failure
}

#[test]
fn a_prepare_quorum_one_too_small_is_found() {
    for replicas in [4, 7] {
        let failure = found(replicas, PlantedBug::PrepareQuorumOneTooSmall);
        assert_eq!(failure.invariant, "quorum_backed");
    }
}

#[test]
fn a_vote_that_leaves_before_it_is_on_disk_is_found() {
    for replicas in [4, 7] {
        let failure = found(replicas, PlantedBug::VoteBeforePersist);
        assert_eq!(failure.invariant, "persist_before_send");
    }
}

#[test]
fn execution_out_of_order_is_found() {
    for replicas in [4, 7] {
        let failure = found(replicas, PlantedBug::ExecuteOutOfOrder);
        assert_eq!(failure.invariant, "total_order");
    }
}
