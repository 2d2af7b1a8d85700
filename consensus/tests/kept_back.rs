//! What a replica says of earlier views may come late, or never, or be taken back: it
//! stops nobody.

mod world;

use std::time::Duration;

use consensus::message::ViewChange;
use consensus::{
    Input, Message, PreparedCertificate, Replica, ReplicaId, SequenceNumber, Timer, View,
};
use world::{Envelope, Sizes, World, request, sign};

const LIAR: ReplicaId = ReplicaId(3);
const CORRECT: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

/// Four replicas, of which the last says what the test has it say.
fn with_a_liar() -> World {
    let mut world = World::new(Sizes::of(4));
    world.names.learn_request("a");
    world.node(LIAR).replica = None;
    world.network.clear();
    world
}

fn replica(world: &World, id: ReplicaId) -> &Replica {
    world.replica(u8::try_from(id.0).unwrap())
}

fn says(world: &mut World, message: &Message) {
    for to in CORRECT {
        world.deliver(Envelope {
            from: LIAR,
            to,
            message: message.clone(),
        });
    }
    world.run(&[LIAR]);
}

/// Everybody else leaves its view, or the one that it is on its way to, and what was
/// lost on the way is said again.
fn all_leave(world: &mut World) {
    for id in CORRECT {
        let input = if replica(world, id).is_active() {
            Input::Overdue(true)
        } else {
            Input::TimerFired(Timer::NewView)
        };
        world.step(id, input);
    }
    for _ in 0..3 {
        world.run(&[LIAR]);
        for id in CORRECT {
            world.step(id, Input::TimerFired(Timer::Status));
        }
    }
    world.run(&[LIAR]);
}

fn propose(world: &mut World, id: ReplicaId, timestamp_ms: u64) {
    let input = Input::Propose {
        timestamp_ms,
        requests: vec![request("a")],
    };
    world.step(id, input);
}

fn propose_where_there_is_room(world: &mut World, timestamp_ms: u64) {
    for id in CORRECT {
        if replica(world, id).room() > 0 {
            propose(world, id, timestamp_ms);
        }
    }
    world.run(&[LIAR]);
}

/// That the liar wants this view, with what it says that prepared at it.
fn wants(view: u64, prepared: Vec<PreparedCertificate>) -> Message {
    let vote = ViewChange {
        view: View(view),
        stable: None,
        prepared,
    };
    Message::ViewChange(sign(vote, LIAR))
}

/// The longest timeout that one of the others has for its primary.
fn longest_timeout(world: &World) -> Option<Duration> {
    let timeouts = CORRECT.map(|id| replica(world, id).request_timeout());
    timeouts.into_iter().flatten().max()
}

/// A batch prepares at the liar alone, which says nothing of it; the others go on in
/// view 1, and some vote for another batch there.
fn kept_back(world: &mut World) -> PreparedCertificate {
    let [zero, one, two] = CORRECT;
    propose(world, zero, 5);
    to_one_alone(world, one);
    let pre_prepare = world.nodes[0].sent.iter().find_map(|sent| match sent {
        Message::PrePrepare(proposed) => Some(proposed.pre_prepare.clone()),
        _ => None,
    });
    let prepare = world.nodes[1].sent.iter().find_map(|sent| match sent {
        Message::Prepare(prepare) => Some(prepare.clone()),
        _ => None,
    });
    let prepare = prepare.expect("it voted");
    let prepares = vec![
        (one, prepare.signature),
        (LIAR, sign(prepare.body, LIAR).signature),
    ];
    // Of view 0 nothing more is heard.
    world.step(one, Input::Overdue(true));
    world.step(two, Input::Overdue(true));
    world
        .network
        .retain(|of| !matches!(of.message, Message::PrePrepare(_) | Message::Prepare(_)));
    world.run(&[LIAR]);
    for id in CORRECT {
        let replica = replica(world, id);
        assert!(replica.is_active() && replica.view() == View(1));
    }
    propose(world, one, 6);
    to_one_alone(world, zero);
    PreparedCertificate {
        pre_prepare: pre_prepare.expect("it was proposed"),
        prepares,
    }
}

/// What was proposed reaches this one, which votes for it; its vote reaches nobody.
fn to_one_alone(world: &mut World, id: ReplicaId) {
    for envelope in std::mem::take(&mut world.network) {
        if envelope.to == id {
            world.deliver(envelope);
        }
    }
    world.check(id, Ok(()));
    world.network.clear();
}

#[test]
fn a_certificate_that_was_kept_back_stops_nobody() {
    for restarts in [false, true] {
        let mut world = with_a_liar();
        let certificate = kept_back(&mut world);
        for view in 2..20 {
            says(&mut world, &wants(view, vec![certificate.clone()]));
            all_leave(&mut world);
            for id in CORRECT.into_iter().filter(|_| restarts) {
                world.start(id);
                world.run(&[LIAR]);
            }
            propose_where_there_is_room(&mut world, 100 + view);
        }
        for id in CORRECT {
            let executed = replica(&world, id).last_executed();
            assert!(executed > SequenceNumber(4), "{id} is at {executed}");
        }
    }
}

/// Views that do not last are each given twice the time of the one before, up to a
/// limit: a network that heals does not wait for as long as it was broken.
#[test]
fn timeouts_double_up_to_their_cap() {
    let mut world = with_a_liar();
    let config = world.node(LIAR).config.clone();
    let mut longest = Vec::new();
    for _ in 0..40 {
        all_leave(&mut world);
        longest.extend(longest_timeout(&world));
    }
    assert!(longest.is_sorted(), "{longest:?}");
    assert_eq!(longest.first(), Some(&config.request_timeout));
    assert_eq!(longest.last(), Some(&config.request_timeout_cap));
}

/// A calm view is calm, although one replica says that it suspects, as one may alone.
#[test]
fn one_that_always_suspects_keeps_no_timeout_long() {
    let timeout_after = |suspects: bool| {
        let mut world = with_a_liar();
        for view in 1..9 {
            all_leave(&mut world);
            for _ in 0..4 {
                says(&mut world, &world::status(View(view), suspects));
                for id in CORRECT {
                    world.step(id, Input::TimerFired(Timer::FallBack));
                }
            }
        }
        longest_timeout(&world)
    };
    assert_eq!(timeout_after(true), timeout_after(false));
}

/// One that has lied about where it goes and does so no more is needed when another
/// one fails.
#[test]
fn whoever_wanted_a_far_view_and_wants_the_next_one_counts() {
    let mut world = with_a_liar();
    says(&mut world, &wants(1_000_000, Vec::new()));
    let [zero, one, two] = CORRECT;
    world.node(zero).replica = None;
    world.step(one, Input::Overdue(true));
    world.step(two, Input::Overdue(true));
    world.run(&[zero, LIAR]);
    let is_in_view = |world: &World, id| {
        let replica = replica(world, id);
        replica.is_active() && replica.view() == View(1)
    };
    assert!(!is_in_view(&world, one), "two are no quorum");
    for to in [one, two] {
        world.deliver(Envelope {
            from: LIAR,
            to,
            message: wants(1, Vec::new()),
        });
    }
    world.run(&[zero, LIAR]);
    assert!(is_in_view(&world, one) && is_in_view(&world, two));
    says(&mut world, &wants(1, Vec::new()));
    assert!(is_in_view(&world, one), "what is late changes nothing");
}
