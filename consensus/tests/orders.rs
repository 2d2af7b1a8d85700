//! Whatever the order, and whatever is lost: the same execution everywhere.
//! Chance chooses what happens next; after it has had its way, the network heals.

mod world;

use consensus::message::{Checkpoint, Commit, Prepare, Status};
use consensus::{
    BatchDigest, CheckpointDigest, Effect, Input, Message, Record, ReplicaId, SequenceNumber,
    Timer, Verifier, View,
};
use crypto::Digest;
use proptest::prelude::*;
use world::{Sizes, World, request, sign};

const PRIMARY: ReplicaId = ReplicaId(0);

fn propose(world: &mut World, name: &str) {
    if world.node(PRIMARY).replica.is_some() && world.replica(0).room() > 0 {
        world.names.learn_request(name);
        let input = Input::Propose {
            timestamp_ms: 100,
            requests: vec![request(name)],
        };
        world.step(PRIMARY, input);
    }
}

/// Lets happen one thing of those that can.
fn happen(world: &mut World, choice: usize) {
    let checks = world.nodes.iter().filter(|node| !node.checks.is_empty());
    let executions = world
        .nodes
        .iter()
        .filter(|node| !node.executions.is_empty());
    let checks: Vec<_> = checks.map(|node| node.config.id).collect();
    let executions: Vec<_> = executions.map(|node| node.config.id).collect();
    let messages = world.network.len();
    let all = messages + checks.len() + executions.len();
    if all == 0 {
        return;
    }
    let choice = choice % all;
    if choice < messages {
        let envelope = world.network.swap_remove(choice);
        world.deliver(envelope);
    } else if let Some(id) = checks.get(choice - messages) {
        world.check(*id, Ok(()));
    } else {
        world.execute(executions[choice - messages - checks.len()], None);
    }
}

/// Ticks and deliveries without further loss, until all have come equally far.
fn heal(world: &mut World) {
    let ids: Vec<_> = world.nodes.iter().map(|node| node.config.id).collect();
    for _ in 0..20 {
        world.run(&[]);
        let furthest = world
            .nodes
            .iter()
            .max_by_key(|node| node.certificates.len());
        let furthest = furthest.unwrap().config.id;
        let through = world
            .node(furthest)
            .certificates
            .keys()
            .next_back()
            .copied();
        for id in ids.iter().copied() {
            let behind = world.node(id).replica.as_ref().unwrap().is_catching_up();
            if behind {
                world.caught_up(id, furthest, through.unwrap_or_default());
            }
        }
        world.run(&[]);
        for id in ids.iter().copied() {
            world.step(id, Input::TimerFired(Timer::Status));
        }
    }
    world.run(&[]);
}

fn assert_same_chain(world: &World, blocks: usize) {
    let first = &world.nodes[0].chain;
    assert_eq!(first.len(), blocks, "everything proposed is executed");
    for node in &world.nodes {
        assert_eq!(&node.chain, first, "replica {}", node.config.id);
        let last = first.keys().next_back().copied();
        let certified = node.certificates.keys().next_back().copied();
        assert_eq!(certified, last, "the last outcome is certified everywhere");
    }
}

#[derive(Clone, Copy, Debug)]
enum Chance {
    Propose,
    Happen(usize),
    Lose(usize),
    Repeat(usize),
    Tick(u32),
    Restart(u32),
    /// The next step of this replica is cut off by a crash.
    Crash(u32, usize),
    /// A backup loses its disk, if none has before.
    Wipe(u32),
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        2 => Just(Chance::Propose),
        30 => any::<usize>().prop_map(Chance::Happen),
        3 => any::<usize>().prop_map(Chance::Lose),
        3 => any::<usize>().prop_map(Chance::Repeat),
        1 => (0_u32..4).prop_map(Chance::Tick),
        1 => (0_u32..4).prop_map(Chance::Restart),
        1 => (0_u32..4, 0_usize..4).prop_map(|(id, after)| Chance::Crash(id, after)),
        1 => (1_u32..4).prop_map(Chance::Wipe),
    ]
}

fn take_chance(world: &mut World, chance: Chance, proposed: &mut usize) {
    let messages = world.network.len();
    match chance {
        Chance::Propose => {
            let before = world.log.len();
            propose(world, &format!("r{proposed}"));
            if world.log.len() > before {
                *proposed += 1;
            }
        }
        Chance::Happen(choice) => happen(world, choice),
        Chance::Lose(choice) if messages > 0 => {
            world.network.swap_remove(choice % messages);
        }
        Chance::Repeat(choice) if messages > 0 => {
            let again = world.network[choice % messages].clone();
            world.network.push(again);
        }
        Chance::Lose(_) | Chance::Repeat(_) => {}
        Chance::Tick(id) => world.step(ReplicaId(id), Input::TimerFired(Timer::Status)),
        Chance::Restart(id) => {
            world.node(ReplicaId(id)).crash_after = None;
            world.start(ReplicaId(id));
        }
        Chance::Crash(id, after) => world.node(ReplicaId(id)).crash_after = Some(after),
        Chance::Wipe(_) if world.wiped => {}
        Chance::Wipe(id) => {
            world.node(ReplicaId(id)).crash_after = None;
            world.start_empty(ReplicaId(id));
        }
    }
    for id in (0..4).map(ReplicaId) {
        if world.node(id).replica.is_none() {
            world.start(id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// S10: messages of the normal case may come in any order.
    #[test]
    fn any_order_of_delivery_ends_in_the_same_execution(
        choices in prop::collection::vec(any::<usize>(), 400),
        interval in 1_u64..4,
    ) {
        let mut world = World::new(Sizes { interval, ..Sizes::of(4) });
        for at in 0..4 {
            propose(&mut world, &format!("r{at}"));
        }
        for choice in choices {
            happen(&mut world, choice);
        }
        world.run(&[]);
        assert_same_chain(&world, 4);
    }

    /// Loss, repetition, reordering, restarts, crashes in the middle of a step
    /// and one lost disk: nobody contradicts itself or speaks before it is durable (the
    /// world asserts it), and in the end all have executed the same.
    #[test]
    fn what_was_proposed_survives_loss_and_crashes(
        chances in prop::collection::vec(chance(), 0..400),
        n in prop::sample::select(vec![4_u8, 5, 6, 7]),
        interval in 1_u64..4,
    ) {
        let mut world = World::new(Sizes { interval, ..Sizes::of(n) });
        let mut proposed = 0;
        for chance in chances {
            take_chance(&mut world, chance, &mut proposed);
        }
        for node in &mut world.nodes {
            node.crash_after = None;
        }
        // What the primary stands by it must bring about: no other takes its place here.
        let primary = &world.nodes[0];
        let recorded = primary.records.values().filter_map(|record| match record {
            Record::PrePrepared(of) => Some(of.pre_prepare.body.sequence),
            _ => None,
        });
        let last = recorded.chain(primary.chain.keys().copied()).max();
        let blocks = usize::try_from(last.unwrap_or_default().0).unwrap();
        prop_assert!(blocks <= proposed);
        heal(&mut world);
        assert_same_chain(&world, blocks);
        // And it goes on.
        propose(&mut world, "last");
        world.run(&[]);
        assert_same_chain(&world, blocks + 1);
    }

    /// S1, S2: fewer distinct replicas than a quorum never move a replica to
    /// COMMIT or to execute, however many votes they send.
    #[test]
    fn no_sender_is_counted_twice(
        n in 4_u8..8,
        votes in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), 0_u8..3), 0..60),
    ) {
        let mut world = World::new(Sizes::of(n));
        let quorum = world.nodes[0].config.replicas.quorum();
        let batch = world.batch(&["a"], 100);
        let proposed = World::proposed(PRIMARY, View(0), SequenceNumber(1), batch);
        let digest = proposed.pre_prepare.body.digest;
        let subject = ReplicaId(1);
        let verifier = Verifier::new(&world.node(subject).config);
        let deliver = |world: &mut World, message: Message| {
            if let Ok(message) = verifier.verify(message) {
                world.step(subject, Input::Message { from: PRIMARY, message });
            }
        };
        deliver(&mut world, Message::PrePrepare(proposed));
        world.check(subject, Ok(()));
        // The primary, and others as long as with replica 1 they are no quorum.
        let liars: Vec<u32> = (0..u32::from(n)).filter(|id| *id != 1).take(quorum - 2).collect();
        for (kind, signer, variant) in votes {
            let signer = ReplicaId(liars[signer.index(liars.len())]);
            let other = Digest([variant; 32]);
            let digest = if variant == 0 { digest } else { BatchDigest(other) };
            let (view, sequence) = (View(0), SequenceNumber(1));
            deliver(&mut world, match kind {
                0 => Message::Prepare(sign(Prepare { view, sequence, digest }, signer)),
                1 => Message::Commit(sign(Commit { view, sequence, digest }, signer)),
                _ => {
                    let digest = CheckpointDigest(other);
                    Message::Checkpoint(sign(Checkpoint { sequence, digest }, signer))
                }
            });
        }
        let node = world.node(subject);
        prop_assert!(node.executions.is_empty() && node.certificates.is_empty());
        prop_assert!(!node.sent.iter().any(|sent| matches!(sent, Message::Commit(_))));
        prop_assert!(!world.replica(1).is_catching_up());
    }

    /// S13, D1: well-signed nonsense with extreme numbers breaks nothing and
    /// makes a replica keep or say only so much.
    #[test]
    fn extreme_messages_break_nothing(
        messages in prop::collection::vec(
            (0_u8..6, extreme(), extreme(), extreme(), any::<u8>(), 0_u32..4), 0..120
        ),
    ) {
        let mut world = World::new(Sizes::of(4));
        let mut said = 0;
        for (kind, a, b, c, digest, signer) in messages {
            let signer = ReplicaId(signer);
            let (view, sequence) = (View(a % 5), SequenceNumber(b));
            let batch = BatchDigest(Digest([digest % 3; 32]));
            let outcome = CheckpointDigest(Digest([digest % 3; 32]));
            let message = match kind {
                0 => Message::PrePrepare(World::proposed(
                    signer,
                    view,
                    sequence,
                    consensus::Batch { timestamp_ms: c, requests: Vec::new() },
                )),
                1 => Message::Prepare(sign(Prepare { view, sequence, digest: batch }, signer)),
                2 => Message::Commit(sign(Commit { view: View(a), sequence, digest: batch }, signer)),
                3 => Message::Checkpoint(sign(Checkpoint { sequence, digest: outcome }, signer)),
                4 => Message::CheckpointCertificate(world::certificate(sequence, outcome, &[0, 2, 3])),
                _ => Message::Status(Status {
                    view: View(a),
                    changing: (b % 3 == 0).then(Vec::new),
                    suspects: digest % 3 == 0,
                    listening: false,
                    last_executed: sequence,
                    low: SequenceNumber(c),
                    asks: digest % 2 == 0,
                    slots: Vec::new(),
                    uncertified: Vec::new(),
                }),
            };
            let config = world.nodes[1].config.clone();
            if let Ok(message) = Verifier::new(&config).verify(message) {
                let replica = world.nodes[1].replica.as_mut().unwrap();
                let effects = replica.step(Input::Message { from: signer, message });
                replica.check_invariants();
                said += effects.iter().filter(|of| matches!(of, Effect::Send { .. })).count();
            }
        }
        // Two answers for each peer, of a PRE-PREPARE at most for each place in
        // the window and a status.
        prop_assert!(said <= 3 * 2 * (8 + 1), "{said}");
    }
}

/// Numbers where arithmetic goes wrong, and small ones.
fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0_u64..12,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 1),
        1 => Just(1 << 63),
        1 => Just(u64::from(u32::MAX)),
        1 => any::<u64>(),
    ]
}

/// Answers to questions that no longer stand are let go, and so is what is told twice.
#[test]
fn stale_answers_change_nothing() {
    let mut world = World::new(Sizes::of(4));
    propose(&mut world, "a");
    let envelope = world.network.remove(0);
    world.deliver(envelope);
    let backup = ReplicaId(1);
    let (view, sequence, digest) = world.node(backup).checks[0];
    let answer = |view, sequence, digest| Input::BatchChecked {
        view,
        sequence,
        digest,
        verdict: Ok(()),
    };
    let other = BatchDigest(Digest([9; 32]));
    world.log.clear();
    world.step(backup, answer(View(1), sequence, digest));
    world.step(backup, answer(view, sequence.next(), digest));
    world.step(backup, answer(view, sequence, other));
    assert!(world.log.is_empty(), "{:?}", world.log);
    world.step(backup, answer(view, sequence, digest));
    assert_eq!(world.log.len(), 2, "record and PREPARE: {:?}", world.log);
    world.step(backup, answer(view, sequence, digest));
    assert_eq!(world.log.len(), 2, "once");
    world.node(backup).checks.clear();
    world.run(&[]);
    let (outcome, _) = world.node(backup).chain[&sequence];
    world.log.clear();
    world.step(
        backup,
        Input::Executed {
            sequence,
            digest: outcome,
        },
    );
    assert!(world.log.is_empty(), "{:?}", world.log);
}
