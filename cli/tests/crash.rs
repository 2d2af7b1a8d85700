//! All four nodes are killed at once in the middle of an import, again and
//! again. `CRASH_ROUNDS` says how often.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{Network, write_calls};
use serde_json::Value;

const LINES: usize = 4000;

fn rounds() -> u64 {
    let asked = std::env::var("CRASH_ROUNDS").ok();
    asked.map_or(2, |asked| asked.parse().expect("a number of rounds"))
}

/// Fetches the receipts of the newest blocks into files: what was once shown.
fn show_receipts(network: &Network, shown: &mut BTreeMap<String, PathBuf>) {
    let output = network.output(&["block", "list", "--limit", "3"]);
    let blocks: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let transactions = blocks.as_array().into_iter().flatten().flat_map(|block| {
        let transactions = block["transactions"].as_array().cloned();
        transactions.unwrap_or_default()
    });
    for transaction in transactions.take(3).collect::<Vec<_>>() {
        let id = transaction["transaction_id"].as_str().unwrap();
        let file = network.file(&format!("{id}.json"));
        let asked = ["tx", "receipt", id, "--out", file.to_str().unwrap()];
        if network.output(&asked).status.success() {
            shown.insert(id.to_owned(), file);
        }
    }
}

/// Where each transaction stands, according to one node; it stands nowhere else.
fn places(network: &Network, node: &str) -> BTreeMap<String, (u64, String)> {
    let mut places = BTreeMap::new();
    let mut from = 1;
    loop {
        let next = from.to_string();
        let list = [
            "block", "list", "--from", &next, "--limit", "100", "--node", node,
        ];
        let blocks = network.ok(&list);
        let blocks = blocks.as_array().unwrap();
        if blocks.is_empty() {
            return places;
        }
        for block in blocks {
            let number = block["header"]["number"].as_u64().unwrap();
            for transaction in block["transactions"].as_array().unwrap() {
                let id = transaction["transaction_id"].as_str().unwrap().to_owned();
                let code = transaction["code"].as_str().unwrap().to_owned();
                let before = places.insert(id, (number, code));
                assert!(before.is_none(), "committed twice: {transaction}");
            }
        }
        from += blocks.len() as u64;
    }
}

#[test]
fn nothing_is_lost_or_done_twice_when_all_nodes_are_killed_in_the_middle() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    let mut shown = BTreeMap::new();
    for round in 0..rounds() {
        write_calls(&calls, LINES * usize::try_from(round + 1).unwrap());
        let file = calls.to_str().unwrap();
        let height = network.ok(&["block", "get", "latest"])["header"]["number"].as_u64();
        let status = network.ok(&["testnet", "status"]);
        let nodes = status["nodes"].as_array().unwrap().iter();
        let pids: Vec<String> = nodes.map(|node| node["pid"].to_string()).collect();
        let mut import = network.begin(&["tx", "import", file, "--in-flight", "64"]);
        // Somewhere in the middle, another place in each round.
        let middle = height.unwrap() + 5 + round * 7 % 40;
        let output = network.output(&["wait", "--for", &format!("height={middle}")]);
        assert!(output.status.success());
        show_receipts(&network, &mut shown);
        let open = import.try_wait().unwrap();
        assert!(open.is_none(), "the import is in the middle");
        let kill = Command::new("kill").arg("-KILL").args(&pids).status();
        assert!(kill.unwrap().success());
        import.wait().unwrap();
        for node in ["node3", "node1", "node0", "node2"] {
            network.ok(&["testnet", "restart", node]);
        }
        network.ok(&["wait", "--for", "quorum"]);
        let summary = network.ok(&["tx", "import", file]);
        let count = |key: &str| summary[key].as_u64().unwrap();
        assert_eq!(
            count("valid") + count("already_committed"),
            count("read"),
            "{summary}"
        );
        assert!(
            count("valid") > 0,
            "it was cut off in the middle: {summary}"
        );
        println!("round {round}: {summary}");
        network.await_one_state();
        for (id, file) in &shown {
            network.ok(&["verify", "receipt", file.to_str().unwrap()]);
            let now = network.ok(&["tx", "receipt", id]);
            let then: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
            assert_eq!(
                now["header"], then["header"],
                "a receipt that was shown still holds"
            );
        }
        for node in ["node0", "node1", "node2", "node3"] {
            network.ok(&["verify", "chain", "--node", node]);
        }
        let places = places(&network, "node0");
        let lines = LINES * usize::try_from(round + 1).unwrap();
        assert_eq!(places.len(), lines, "every line stands in the chain");
        assert!(places.values().all(|(_, code)| code == "VALID"));
    }
    assert!(!shown.is_empty());
    network.ok(&["testnet", "down"]);
    for node in 0..4 {
        network.ok(&[
            "verify",
            "chain",
            "--data",
            network.data(node).to_str().unwrap(),
        ]);
    }
}
