//! The replica itself, not a description of it, in a small network of which
//! every state is looked at: four replicas, of which one is Byzantine.
//!
//! A Byzantine replica can say whatever it can sign or put together from what
//! others have signed, to whom it likes, when it likes; the network delivers what
//! was said in any order, late, again or never. What is left out:
//!
//! * The Byzantine one votes for sequence number 1, with one or two batches. A
//!   correct primary proposes one batch, that of view 1 also after what it began with.
//! * There is one change of the view, from 0 to 1. A correct backup may leave
//!   view 0 at any time, as if it and one other suspected the primary.
//! * No STATUS arrives: what it has said again can be delivered again as it is.
//! * Nobody crashes, and nobody catches up.
//!
//! What else a test leaves out, its [`Terms`] say. Which states are alike says
//! the `Hash` of a replica, and which moments need not be looked at [`silence`].

#![allow(
    clippy::disallowed_types,
    reason = "the checker runs on threads, and the fence is for the library"
)]

mod adversary;
mod local;
mod network;
mod silence;
mod tables;
#[path = "../world/mod.rs"]
mod world;

use std::collections::BTreeSet;

use adversary::Adversary;
use consensus::{Batch, ReplicaId, View};
use network::Network;
use stateright::{Checker, HasDiscoveries, Model, Property};
use tables::Terms;

/// What a correct primary of view 0 proposes.
fn proposed() -> Vec<Batch> {
    vec![local::proposal(View(0))]
}

/// What no correct replica proposes.
fn other() -> Vec<Batch> {
    vec![Batch {
        timestamp_ms: 1,
        requests: vec![world::request("other")],
    }]
}

fn either() -> Vec<Batch> {
    [proposed(), other()].concat()
}

/// In view 0 alone one replica lies.
fn normal_case(batches: Vec<Batch>, terms: Terms) -> Network {
    let adversary = Adversary {
        replicas: vec![ReplicaId(0)],
        batches,
        last_vote: View(0),
        last_view: View(0),
        attests: terms.attested,
    };
    Network::new(adversary, terms)
}

/// One replica lies, and votes up to `last_vote`, while view 1 follows on view 0.
fn view_change(liar: u32, batches: Vec<Batch>, last_vote: View, terms: Terms) -> Network {
    let adversary = Adversary {
        replicas: vec![ReplicaId(liar)],
        batches,
        last_vote,
        last_view: View(1),
        attests: terms.attested,
    };
    Network::new(adversary, terms).with(&[
        Property::sometimes("all execute", network::all_execute),
        Property::sometimes("executed in view 1", network::executed_in_the_new_view),
        Property::sometimes("executed in both views", network::executed_in_both_views),
    ])
}

/// Batches are examined and executed at once; nothing is attested, so that no
/// log is ever cut.
const PROMPT: Terms = Terms {
    prompt: true,
    attested: false,
};

/// Anything may come between; nothing is attested.
const UNATTESTED: Terms = Terms {
    prompt: false,
    attested: false,
};

/// Batches are examined and executed at once; logs are cut.
const ATTESTED: Terms = Terms {
    prompt: true,
    attested: true,
};

/// Anything may come between; logs are cut.
const ALL: Terms = Terms {
    prompt: false,
    attested: true,
};

/// Looks at every state, of which there were `states` when this was written: a
/// model that has become much smaller shows less.
#[track_caller]
fn check(network: Network, states: usize) {
    let checker = network.checker().threads(2).spawn_dfs().join();
    let found = checker.unique_state_count();
    let (messages, locals) = checker.model().tables.counts();
    let depth = checker.max_depth();
    println!("{found} states, depth {depth}; {locals} states of a replica, {messages} messages");
    for (name, path) in checker.discoveries() {
        let properties = checker.model().properties();
        let property = properties.iter().find(|of| of.name == name).unwrap();
        let is_failure = property.expectation.discovery_is_failure();
        assert!(!is_failure, "{name}:\n{}", checker.model().story(path));
    }
    checker.assert_properties();
    assert!(
        found >= states / 10 * 9,
        "{states} states have become {found}"
    );
}

#[test]
fn a_primary_that_proposes_two_batches_divides_nobody() {
    let network = normal_case(either(), ALL).with(&[
        Property::sometimes("someone executes", network::someone_executes),
        Property::sometimes("all execute", network::all_execute),
        Property::sometimes("all certify", network::all_certify),
    ]);
    check(network, 2_955);
}

#[test]
fn a_new_primary_that_lies_divides_nobody() {
    check(view_change(1, either(), View(1), UNATTESTED), 1_500_358);
}

/// An old primary proposes two batches; the next one also gets to its second
/// sequence number.
fn two_batches(last_vote: View, terms: Terms) -> Network {
    let second = Property::sometimes("two executed", network::two_executed);
    view_change(0, either(), last_vote, terms).with(&[second])
}

#[test]
fn an_old_primary_that_proposes_two_batches_divides_nobody() {
    check(two_batches(View(0), UNATTESTED), 2_809_607);
}

#[test]
fn a_backup_that_lies_divides_nobody() {
    let network = view_change(3, proposed(), View(0), ATTESTED).with(&[
        Property::sometimes("two executed", network::two_executed),
        Property::sometimes("all certify", network::all_certify),
    ]);
    check(network, 804_620);
}

#[test]
#[ignore = "minutes"]
fn a_new_primary_that_lies_divides_nobody_when_logs_are_cut() {
    check(view_change(1, either(), View(1), ATTESTED), 2_205_443);
}

#[test]
#[ignore = "minutes"]
fn an_old_primary_that_votes_on_divides_nobody() {
    check(two_batches(View(1), PROMPT), 35_288_508);
}

#[test]
#[ignore = "minutes"]
fn a_backup_that_votes_on_divides_nobody() {
    check(view_change(3, either(), View(1), UNATTESTED), 4_836_779);
}

/// One more lies than is allowed for: the checker sees what comes of it.
#[test]
fn two_that_lie_together_divide_the_others() {
    let adversary = Adversary {
        replicas: vec![ReplicaId(0), ReplicaId(3)],
        batches: either(),
        last_vote: View(0),
        last_view: View(0),
        attests: false,
    };
    let network = Network::new(adversary, UNATTESTED);
    let failure = HasDiscoveries::AnyFailures;
    let checker = network.checker().finish_when(failure).spawn_bfs().join();
    let found = checker.discovery(network::AGREEMENT);
    let found = found.expect("agreement is broken");
    println!("{}", checker.model().story(found));
}

/// Everything that can be noticed in any state of a network.
fn noticeable(network: &Network) -> BTreeSet<crypto::Digest> {
    let mut ahead = network.init_states();
    let mut states = BTreeSet::new();
    let mut noticeable = BTreeSet::new();
    while let Some(state) = ahead.pop() {
        if states.insert(state.name()) {
            noticeable.insert(network.noticeable(&state));
            ahead.extend(network.next_states(&state));
        }
    }
    let noticed = noticeable.len();
    println!("{} states, {noticed} that differ", states.len());
    noticeable
}

/// Whatever can be noticed in some state of a network whose every moment is
/// looked at can be noticed in one of those that are not left out.
#[test]
fn nothing_is_missed_between_moments() {
    let network = || normal_case(either(), PROMPT);
    let all = noticeable(&network().in_single_steps());
    assert!(noticeable(&network()) == all);
}

#[test]
#[ignore = "minutes"]
fn nothing_is_missed_between_moments_of_a_view_change() {
    let network = || view_change(3, Vec::new(), View(0), PROMPT);
    let all = noticeable(&network().in_single_steps());
    assert!(noticeable(&network()) == all);
}
