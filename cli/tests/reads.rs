//! Answers that no single node has to be believed for, and calls that are made
//! again when others were quicker.

mod common;

use common::Network;
use serde_json::Value;

#[test]
fn a_quorum_answers_where_one_node_is_not_to_be_believed() {
    let network = Network::up();
    network.ok(&["tx", "submit", "kv", "put", "a", "1"]);
    network.await_one_state();
    let query = ["query", "kv", "get", "a", "--consistency", "quorum"];
    let answer = network.ok(&query);
    assert_eq!(
        (&answer["response"], &answer["height"]),
        (&"1".into(), &1.into())
    );
    assert!(answer["answered_by"].as_array().unwrap().len() >= 3);
    // That there is no such key, a quorum must say as well.
    let missing = ["query", "kv", "get", "b", "--consistency", "quorum"];
    let refused = network.ends(&missing, 7);
    assert_eq!(refused["error"]["code"], "CONTRACT_ERROR");
    network.ok(&["testnet", "kill", "3"]);
    network.ok(&query);
    network.ok(&["testnet", "kill", "2"]);
    let refused = network.ends(&query, 9);
    assert_eq!(refused["error"]["code"], "NO_QUORUM");
    network.ok(&["query", "kv", "get", "a"]);
}

#[test]
fn the_chain_is_followed_and_receipts_checked_without_believing_a_node() {
    let network = Network::up();
    let mut receipts = Vec::new();
    for number in 0..3 {
        let key = number.to_string();
        let done = network.ok(&["tx", "submit", "kv", "put", &key, "1"]);
        let id = done["transaction_id"].as_str().unwrap();
        let file = network.file(&key).to_str().unwrap().to_owned();
        network.ok(&["tx", "receipt", id, "--out", &file]);
        receipts.push(file);
    }
    let height = network.ok(&["block", "get", "latest"])["header"]["number"].clone();
    let light = [
        "light",
        "--receipt",
        &receipts[0],
        "--receipt",
        &receipts[2],
    ];

    // Of another network: nothing of it holds.
    let other = Network::folder();
    other.ok(&["genesis", "create"]);
    let genesis = other.path().join("genesis.json");
    let genesis = genesis.to_str().unwrap();
    let refused = network.ends(&["light", "--genesis", genesis], 5);
    assert_eq!(refused["error"]["code"], "VERIFICATION_FAILED");

    let followed = network.ok(&light);
    assert_eq!(
        (&followed["ok"], &followed["height"]),
        (&true.into(), &height)
    );
    assert_eq!(followed["headers_followed"], height);
    assert_eq!(followed["receipts"].as_array().unwrap().len(), 2);
    let again = network.ok(&["light"]);
    assert_eq!(again["headers_followed"], 0, "it goes on where it was");

    let mut receipt: Value =
        serde_json::from_str(&std::fs::read_to_string(&receipts[1]).unwrap()).unwrap();
    receipt["code"] = "EXPIRED".into();
    std::fs::write(&receipts[1], receipt.to_string()).unwrap();
    network.ends(&["light", "--receipt", &receipts[1]], 5);
}

#[test]
fn calls_of_one_account_at_once_all_happen_once_where_conflicts_are_tried_again() {
    let network = Network::up();
    network.ok(&[
        "tx",
        "submit",
        "smallbank",
        "create_account",
        "1",
        "Tomoko",
        "100",
        "0",
    ]);
    let deposit = ["tx", "submit", "smallbank", "deposit_checking", "1", "1"];
    let deposit = [&deposit[..], &["--retry-conflicts", "100"]].concat();
    let all: Vec<_> = (0..12).map(|_| network.begin(&deposit)).collect();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
    let shown = network.ok(&[
        "query",
        "smallbank",
        "query",
        "1",
        "--consistency",
        "quorum",
    ]);
    let balances: Value = serde_json::from_str(shown["response"].as_str().unwrap()).unwrap();
    assert_eq!(balances["checking"], 112);
}
