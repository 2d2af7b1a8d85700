//! A journal is worth something only if it is believed in nothing: a replay
//! names the first place where it and the machine part, and nothing that a file
//! can say makes it fail otherwise. That a replay of what did happen finds no
//! difference is seen on every scenario (`world::World::replay`).

mod world;

use consensus::journal::{self, Place, Replay, ReplayError, Report};
use consensus::{Input, ReplicaId, Start};
use proptest::prelude::*;
use world::{Sizes, World, config};

/// What replica 1 wrote while a batch was ordered and the next view begun.
fn journal() -> Vec<Vec<u8>> {
    let mut world = World::new(Sizes::of(4));
    let batch = world.batch(&["a"], 5);
    let requests = batch.requests;
    let propose = Input::Propose {
        timestamp_ms: 5,
        requests,
    };
    world.step(ReplicaId(0), propose);
    world.run(&[]);
    for id in 1..4 {
        world.step(ReplicaId(id), Input::Overdue(true));
    }
    world.run(&[ReplicaId(0)]);
    world.nodes.swap_remove(1).journal
}

fn replay(frames: &[Vec<u8>]) -> Result<Report, ReplayError> {
    let mut replay = Replay::default();
    for frame in frames {
        replay.take(frame)?;
    }
    replay.finish()
}

#[test]
fn a_replay_says_where_the_replica_ends() {
    let report = replay(&journal()).unwrap();
    assert_eq!((report.view.0, report.last_executed.0), (1, 1));
    assert!(report.active && report.effects > 20, "{report:?}");
    assert_eq!(report.unanswered, 0);
}

#[test]
fn an_input_more_or_less_is_a_difference_at_its_place() {
    let frames = journal();
    let without: Vec<_> = frames[..2].iter().chain(&frames[4..]).cloned().collect();
    let error = replay(&without).unwrap_err();
    assert!(
        matches!(&error, ReplayError::Difference { place, .. } if place.start == 1),
        "{error}"
    );
    let mut more = frames[..2].to_vec();
    more.push(journal::input(&Input::Overdue(true)));
    more.push(journal::done(Vec::new(), &[]));
    let error = replay(&more).unwrap_err();
    assert!(
        matches!(
            &error,
            ReplayError::Difference {
                place: Place { start: 1, input: 1 },
                effect: 1,
                recorded: None,
                replayed: Some(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_was_not_recorded_is_not_compared() {
    let frames = journal();
    let inputs: Vec<_> = frames.iter().step_by(2).cloned().collect();
    let report = replay(&inputs[..1]).unwrap();
    assert_eq!((report.unanswered, report.effects), (1, 0));
}

#[test]
fn an_assertion_that_failed_fails_again() {
    let config = config(Sizes::of(4), 0);
    let start = Start::Recovered {
        position: consensus::Position {
            last_executed: consensus::SequenceNumber(3),
            timestamp_ms: 0,
            stable: None,
            outcomes: Vec::new(),
        },
        records: Vec::new(),
    };
    let error = replay(&[journal::started(&config, &start)]).unwrap_err();
    assert!(matches!(error, ReplayError::Stopped { .. }), "{error}");
}

#[test]
fn frames_out_of_place_are_refused() {
    let frames = journal();
    for wrong in [&frames[1..2], &frames[2..3]] {
        let error = replay(wrong).unwrap_err();
        assert!(matches!(error, ReplayError::OutOfPlace), "{error}");
    }
    for wrong in [vec![], vec![9, 9, 9], vec![0]] {
        let error = replay(&[wrong]).unwrap_err();
        assert!(matches!(error, ReplayError::Malformed(_)), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A file says what it likes: the replay ends with a report or an error. A
    /// panic of the machine is an error; any other panic fails this test.
    #[test]
    fn whatever_a_journal_says_there_is_a_verdict(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frames = journal();
        for (at, byte) in changes {
            let frame = at.index(frames.len());
            let at = at.index(frames[frame].len());
            frames[frame][at] = byte;
        }
        let _verdict = replay(&frames);
    }
}
