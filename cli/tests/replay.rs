//! What a node records of its replica is what its replica does.

mod common;

use std::process::{Child, Stdio};

use common::{Network, logothete, write_calls};

/// Runs node 3 outside of the testnet's keeping, with a journal.
fn run(network: &Network, journal: &str) -> Child {
    let home = network.path().join("nodes/node3");
    let mut command = logothete();
    command.args(["node", "run", "--journal", journal, "--home"]);
    let command = command
        .arg(home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn a_replay_finds_in_a_journal_what_the_node_did_over_crashes_and_view_changes() {
    let network = Network::up();
    let journal = network.file("journal");
    let journal = journal.to_str().unwrap();
    network.ok(&["testnet", "kill", "3"]);
    let mut node = run(&network, journal);
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 2000);
    let mut import = network.begin(&["tx", "import", calls.to_str().unwrap()]);
    let wait = |condition: &str, node: &str| {
        let wait = [
            "wait",
            "--for",
            condition,
            "--timeout",
            "120",
            "--node",
            node,
        ];
        network.ok(&wait);
    };
    wait("height=2", "node3");
    node.kill().unwrap();
    node.wait().unwrap();
    node = run(&network, journal);
    assert!(import.wait().unwrap().success());
    network.ok(&["testnet", "fault", "0", "silent"]);
    network.ok(&["tx", "submit", "kv", "put", "a", "1", "--timeout", "120"]);
    wait("view>0", "node3");
    node.kill().unwrap();
    node.wait().unwrap();

    let replayed = network.ok(&["replay", journal]);
    assert_eq!(replayed["replica"], 3);
    assert_eq!(replayed["starts"], 2);
    assert!(replayed["view"].as_u64() >= Some(1), "{replayed}");
    assert!(replayed["last_executed"].as_u64() > Some(2), "{replayed}");
    assert!(replayed["effects_equal"].as_u64() > Some(20), "{replayed}");

    // The messages of the change alone lead whoever hears them into the view.
    let change = network.file("change");
    let change = change.to_str().unwrap();
    network.ok(&["why-view-change", "1", "--out", change]);
    let replayed = network.ok(&["replay", change]);
    assert_eq!(
        (&replayed["view"], &replayed["active"]),
        (&1.into(), &true.into())
    );
    assert_eq!(replayed["effects_equal"], 0);

    let mut changed = std::fs::read(journal).unwrap();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(journal, changed).unwrap();
    let refused = network.ends(&["replay", journal], 5);
    assert_eq!(refused["error"]["code"], "VERIFICATION_FAILED");
    network.ends(&["replay", "no such file"], 8);
}
