//! Answers that no single node has to be believed for, and calls that are made
//! again when others were quicker.

mod common;

use std::io::{BufRead as _, BufReader};

use common::{Network, write_calls};
use serde_json::{Value, json};

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
    // Where there is nothing to follow any more receipts are held against the chain, and
    // another network is still another.
    let again = network.ok(&light);
    assert_eq!(again["headers_followed"], 0);
    assert_eq!(again["receipts"].as_array().unwrap().len(), 2);
    let refused = network.ends(&["light", "--genesis", genesis], 5);
    assert_eq!(refused["error"]["code"], "VERIFICATION_FAILED");

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
    // A node that is behind would say that there is no such customer.
    network.await_one_state();
    let deposit = ["tx", "submit", "smallbank", "deposit_checking", "1", "1"];
    let deposit = [&deposit[..], &["--retry-conflicts", "100"]].concat();
    let all: Vec<_> = (0..12).map(|_| network.begin(&deposit)).collect();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(network.checking("1"), 112);
}

fn keys(listed: &Value) -> Vec<&str> {
    let rows = listed["rows"].as_array().unwrap().iter();
    rows.map(|row| row["key"].as_str().unwrap()).collect()
}

/// A node shows at most 100 blocks at a time.
#[test]
fn as_many_blocks_are_listed_as_are_asked_for() {
    let network = Network::up();
    let file = network.file("calls");
    write_calls(&file, 130);
    let file = file.to_str().unwrap();
    network.ok(&["tx", "import", file, "--in-flight", "1"]);
    let numbers = |args: &[&str]| -> Vec<u64> {
        let listed = network.ok(&[&["block", "list"], args].concat());
        let blocks = listed.as_array().unwrap().iter();
        let number = |block: &Value| block["header"]["number"].as_u64().unwrap();
        blocks.map(number).collect()
    };
    let latest = network.ok(&["block", "get", "latest"]);
    let height = latest["header"]["number"].as_u64().unwrap();
    assert!(height >= 120, "a block for nearly every call");
    assert!(numbers(&["--limit", "1000"]).into_iter().eq(0..=height));
    let newest = numbers(&["--limit", "110"]);
    assert!(newest.into_iter().eq(height - 109..=height));
    let some = numbers(&["--from", "3", "--limit", "110"]);
    assert!(some.into_iter().eq(3..113));
    network.ends(&["block", "get", "foo"], 2);
}

#[test]
fn the_keys_of_a_contract_are_listed_by_one_node_or_by_a_quorum() {
    let network = Network::up();
    let file = network.file("calls");
    write_calls(&file, 130);
    network.ok(&["tx", "import", file.to_str().unwrap()]);
    network.await_one_state();
    let list = |args: &[&str]| network.ok(&[&["state", "list", "kv"], args].concat());
    let some = list(&["--prefix", "key/12", "--limit", "3"]);
    assert_eq!(keys(&some), ["key/12", "key/120", "key/121"]);
    assert_eq!(some["next"], "key/121");
    assert_eq!(some["rows"][0]["value"], "value 12");
    let some = list(&["--start", "key/98", "--end", "key/99"]);
    assert_eq!((keys(&some), &some["next"]), (vec!["key/98"], &Value::Null));

    let quorum = ["--consistency", "quorum"];
    let most = list(&[&["--limit", "120"][..], &quorum].concat());
    assert!(most["answered_by"].as_array().unwrap().len() >= 3);
    assert_eq!(most["height"], most["last_height"]);
    let next = most["next"].as_str().unwrap();
    let rest = list(&["--after", next]);
    let mut all = [keys(&most), keys(&rest)].concat();
    let whole = list(&["--limit", "1000"]);
    assert_eq!((all.len(), &all), (130, &keys(&whole)));
    all.sort_unstable();
    assert_eq!(all, keys(&whole));

    let get = |key: &'static str| ["state", "get", "kv", key, "--consistency", "quorum"];
    let value = network.ok(&get("key/7"));
    assert_eq!(
        (&value["value"], &value["height"]),
        (&json!("value 7"), &most["height"])
    );
    assert!(value["answered_by"].as_array().unwrap().len() >= 3);
    // That there is no such key, a quorum must say as well, also when one is gone.
    network.ok(&["testnet", "kill", "3"]);
    network.ok(&get("key/7"));
    network.ends(&get("none"), 8);
    network.ok(&["testnet", "kill", "2"]);
    for key in ["key/7", "none"] {
        let refused = network.ends(&get(key), 9);
        assert_eq!(refused["error"]["code"], "NO_QUORUM");
    }
    assert_eq!(list(&["--limit", "1000"])["rows"], whole["rows"]);
    network.ends(&["state", "list", "nothing"], 8);
    network.ends(&["state", "list", "kv", "--prefix", "a", "--start", "a"], 2);
}

#[test]
fn the_transactions_of_a_member_are_listed_whichever_key_they_were_made_with() {
    let network = Network::up();
    let put = |key: &str, exit| {
        let call = ["tx", "submit", "kv", "put", key, "1", "--as", "bob"];
        network.ends(&call, exit)["transaction_id"].clone()
    };
    let first = put("a", 0);
    network.ok(&["member", "rotate", "bob", "--as", "org2-admin"]);
    let second = put("b", 0);
    network.await_one_state();
    let ids = |args: &[&str]| -> Vec<Value> {
        let listed = network.ok(&[&["tx", "list"], args].concat());
        let listed = listed["transactions"].as_array().unwrap().iter();
        listed.map(|it| it["transaction_id"].clone()).collect()
    };
    for bob in ["bob", "bob@org2"] {
        assert_eq!(ids(&["--creator", bob]), [second.clone(), first.clone()]);
    }
    assert_eq!(
        ids(&["--contract", "kv", "--limit", "1"]),
        std::slice::from_ref(&second)
    );
    let part = network.ok(&["tx", "list", "--contract", "kv", "--limit", "1"]);
    let (block, index) = (&part["next"]["block"], &part["next"]["index"]);
    let from = format!("{block}.{index}");
    assert_eq!(
        ids(&["--contract", "kv", "--from", &from]),
        std::slice::from_ref(&first)
    );
    assert_eq!(
        ids(&["--contract", "_members", "--creator", "org2-admin"]).len(),
        1
    );
    let members = network.ok(&["member", "list"]);
    let old = members["members"].as_array().unwrap().iter();
    let old = old.filter(|it| it["name"] == "bob" && it["revoked"] == true);
    for member in old {
        assert_eq!(
            ids(&["--creator", member["key"].as_str().unwrap()]),
            std::slice::from_ref(&first)
        );
    }
    network.ends(&["tx", "list"], 2);
    network.ends(&["tx", "list", "--creator", "nobody"], 8);
}

/// The first lines of a stream that matches something.
fn watched(network: &Network, args: &[&str], count: usize) -> Vec<Value> {
    let mut watching = network.begin(&[&["watch"], args].concat());
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let matching = lines.filter(|line| line["transactions"] != json!([]));
    let found = matching.take(count).collect();
    watching.kill().unwrap();
    watching.wait().unwrap();
    found
}

#[test]
fn events_are_watched_by_name_and_from_where_one_was() {
    let network = Network::up();
    let token = |args: &[&str], name: &str| {
        network.ok(&[&["tx", "submit", "token"], args, &["--as", name]].concat())["block"].clone()
    };
    token(&["initialize", "Euro", "EUR", "2"], "org1-admin");
    let minted = token(&["mint", "alice@org1", "100"], "org1-admin");
    network.ok(&["tx", "submit", "kv", "put", "a", "1"]);
    token(&["approve", "bob@org2", "5"], "alice");
    let moved = token(&["transfer", "bob@org2", "7"], "alice");
    network.await_one_state();
    let transfers = ["--contract", "token", "--event", "Transfer"];
    let found = watched(&network, &[&transfers[..], &["--from", "0"]].concat(), 2);
    let blocks = [&found[0]["block"], &found[1]["block"]];
    assert_eq!(blocks, [&minted, &moved]);
    let shown = &found[0]["transactions"][0];
    assert_eq!(
        (&shown["events"][0]["event"], &shown["events"][0]["name"]),
        (&json!(0), &json!("Transfer"))
    );
    let position = format!("{minted}.{}.0", shown["index"]);
    let after = [&transfers[..], &["--after", &position]].concat();
    assert_eq!(watched(&network, &after, 1)[0]["block"], moved);
    let by_alice = watched(&network, &["--from", "0", "--creator", "alice"], 3);
    assert_eq!(by_alice[2]["block"], moved);
    network.ends(&["watch", "--after", "x"], 2);
    network.ends(&["watch", "--from", "1", "--after", "1"], 2);
}
