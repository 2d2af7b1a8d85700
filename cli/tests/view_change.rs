//! The primary fails, as real processes see it.

mod common;

use common::{Network, write_calls};
use serde_json::Value;

fn view(network: &Network) -> u64 {
    let status = network.ok(&["testnet", "status"]);
    status["view"].as_u64().expect("a quorum has one view")
}

fn put(network: &Network, key: &str) -> Value {
    let done = network.ok(&["tx", "submit", "kv", "put", key, "1", "--timeout", "120"]);
    assert_eq!(done["receipt_verified"], true);
    done
}

/// Every node is in one view with the others and has what they have.
fn assert_together(network: &Network) {
    let view = view(network);
    for node in ["node0", "node1", "node2", "node3"] {
        let above = format!("view>{}", view.saturating_sub(1));
        let wait = ["wait", "--for", &above, "--timeout", "120", "--node", node];
        if view > 0 {
            network.ok(&wait);
        }
    }
    network.await_one_state();
}

#[test]
fn when_the_primary_is_killed_the_next_one_goes_on_and_the_first_comes_back_as_a_backup() {
    let network = Network::up();
    put(&network, "a");
    network.ok(&["testnet", "kill", "0"]);
    put(&network, "b");
    assert!(view(&network) >= 1);
    network.ok(&["testnet", "restart", "0"]);
    put(&network, "c");
    assert_together(&network);

    // All of them restart, and none goes back behind the view it was in.
    let before = view(&network);
    for node in ["0", "1", "2", "3"] {
        network.ok(&["testnet", "kill", node]);
    }
    for node in ["0", "1", "2", "3"] {
        network.ok(&["testnet", "restart", node]);
    }
    put(&network, "d");
    assert!(view(&network) >= before);
    assert_together(&network);
    for node in ["node0", "node1", "node2", "node3"] {
        let verified = network.ok(&["verify", "chain", "--node", node]);
        assert_eq!(verified["ok"], true);
    }
}

#[test]
fn a_frozen_primary_is_replaced_and_nothing_is_lost_or_done_twice() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 3000);
    let calls = calls.to_str().unwrap();
    let mut import = network.begin(&["tx", "import", calls]);
    network.ok(&["wait", "--for", "height=1", "--timeout", "120"]);
    network.ok(&["testnet", "pause", "0"]);
    network.ok(&[
        "wait",
        "--for",
        "view>0",
        "--timeout",
        "120",
        "--node",
        "node1",
    ]);
    assert!(import.wait().unwrap().success());
    network.ok(&["testnet", "resume", "0"]);
    let again = network.ok(&["tx", "import", calls]);
    assert_eq!(again["already_committed"], 3000);
    assert_together(&network);
}

/// The primary is cut off, with nobody: the others leave it. Two halves: nobody
/// moves. Healed, all go on together.
#[test]
fn a_partition_stops_whom_it_must_and_nobody_for_longer_than_it_lasts() {
    let network = Network::up();
    put(&network, "a");
    network.ok(&["testnet", "partition", "0|1,2,3"]);
    let b = ["tx", "submit", "kv", "put", "b", "1", "--node", "1"];
    network.ok(&[&b[..], &["--timeout", "120"]].concat());
    let seen = network.ok(&["testnet", "status"]);
    assert_eq!(
        seen["nodes"][0]["height"], 1,
        "what is cut off hears nothing"
    );
    assert!(seen["nodes"][1]["view"].as_u64() >= Some(1));

    network.ok(&["testnet", "partition", "0,1|2,3"]);
    let c = ["tx", "submit", "kv", "put", "c", "1", "--node", "2"];
    network.ends(&[&c[..], &["--timeout", "6"]].concat(), 4);

    network.ok(&["testnet", "heal"]);
    put(&network, "d");
    assert_together(&network);
}

/// A network that loses one message in five: slower, and nothing is lost.
#[test]
fn a_fifth_of_all_messages_may_get_lost() {
    let network = Network::up();
    for node in ["0", "1", "2", "3"] {
        network.ok(&["testnet", "fault", node, "lose=20"]);
    }
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 300);
    let done = network.ok(&["tx", "import", calls.to_str().unwrap()]);
    assert_eq!(done["valid"], 300);
    for node in ["0", "1", "2", "3"] {
        network.ok(&["testnet", "fault", node, "none"]);
    }
    put(&network, "after");
    assert_together(&network);
}
