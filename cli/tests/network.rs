//! Networks of real processes, and the commands on them, as a user goes about it.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command};

use common::{Network, write_calls};
use node::api::ApiClient;
use serde_json::{Value, json};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn a_transaction_is_committed_everywhere_and_proven() {
    let network = Network::up();
    let status = network.ok(&["testnet", "status"]);
    assert_eq!(status["view"], 0);
    assert_eq!(status["nodes"].as_array().unwrap().len(), 4);

    let create = [
        "tx",
        "submit",
        "asset",
        "CreateAsset",
        "asset1",
        "blue",
        "5",
        "Tomoko",
        "300",
    ];
    let done = network.ok(&[&create[..], &["--as", "alice"]].concat());
    assert_eq!(text(&done, "code"), "VALID");
    assert_eq!(done["receipt_verified"], true);
    network.await_one_state();
    let expected =
        r#"{"AppraisedValue":300,"Color":"blue","ID":"asset1","Owner":"Tomoko","Size":5}"#;
    for node in ["node0", "node1", "node2", "node3"] {
        let read = network.ok(&["query", "asset", "ReadAsset", "asset1", "--node", node]);
        assert_eq!(text(&read, "response"), expected);
    }

    let refused = network.ends(&create, 7);
    assert_eq!(refused["error"]["code"], "CONTRACT_ERROR");
    assert_eq!(
        refused["error"]["message"],
        "the asset asset1 already exists"
    );

    let id = text(&done, "transaction_id");
    let file = network.file("receipt.json");
    let file = file.to_str().unwrap();
    network.ok(&["tx", "receipt", id, "--out", file]);
    network.ok(&["verify", "receipt", file]);
    let forged = fs::read_to_string(file)
        .unwrap()
        .replace("\"VALID\"", "\"EXPIRED\"");
    fs::write(file, forged).unwrap();
    let refused = network.ends(&["verify", "receipt", file], 5);
    assert_eq!(refused["error"]["code"], "VERIFICATION_FAILED");

    let found = network.ok(&["tx", "get", id]);
    assert_eq!(text(&found, "creator"), "alice@org1");
    let block = network.ok(&["block", "get", "1"]);
    assert_eq!(block["transactions"][0]["transaction_id"], id);
    assert!(block["certificate"].as_array().unwrap().len() >= 3);
    let history = network.ok(&["state", "history", "asset", "asset1"]);
    assert_eq!(history["entries"][0]["transaction_id"], id);
    network.ends(&["tx", "get", &"0".repeat(64)], 8);
    network.ends(&["state", "get", "asset", "nothing"], 8);
    let explained = network.ok(&["tx", "explain", id]);
    assert_eq!(text(&explained, "code"), "VALID");
}

/// Asks a process to stop, as Ctrl-C does.
fn interrupt(process: &Child) {
    let mut kill = Command::new("kill");
    let sent = kill
        .args(["-INT", &process.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

fn assert_all_stopped_in_good_order(network: &Network) {
    let status = network.ok(&["testnet", "status"]);
    let running = |node: &Value| node["running"] == true;
    assert!(!status["nodes"].as_array().unwrap().iter().any(running));
    for node in 0..4 {
        let log = fs::read_to_string(network.data(node).with_file_name("node.log")).unwrap();
        assert!(log.trim_end().ends_with("stopped in good order"), "{log}");
    }
}

#[test]
fn nothing_is_left_running_after_an_interrupt_or_when_the_network_is_taken_down() {
    let network = Network::folder();
    let mut up = network.begin(&["testnet", "up"]);
    // Its one document comes when the network is ready.
    let mut line = String::new();
    BufReader::new(up.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    network.ok(&["tx", "submit", "kv", "put", "a", "1"]);
    interrupt(&up);
    assert!(up.wait().unwrap().success());
    assert_all_stopped_in_good_order(&network);

    network.ok(&["testnet", "up", "--detach"]);
    network.ok(&["tx", "submit", "kv", "put", "b", "2"]);
    let down = network.ok(&["testnet", "down"]);
    let stopped = |node: &Value| node["how"] == "stopped";
    assert!(
        down["nodes"].as_array().unwrap().iter().all(stopped),
        "{down}"
    );
    assert_all_stopped_in_good_order(&network);
    network.ok(&["testnet", "down", "--wipe"]);
    assert!(!network.path().exists());
}

#[test]
fn the_same_in_steps_through_files() {
    let network = Network::up();
    let (proposal, transaction) = (network.file("proposal.json"), network.file("tx.json"));
    let (proposal, transaction) = (proposal.to_str().unwrap(), transaction.to_str().unwrap());
    let call = [
        "tx", "propose", "kv", "put", "k", "v", "--as", "bob", "--out", proposal,
    ];
    let made = network.ok(&call);
    network.ends(
        &[
            "tx",
            "endorse",
            proposal,
            "--as",
            "alice",
            "--out",
            transaction,
        ],
        2,
    );
    network.ok(&[
        "tx",
        "endorse",
        proposal,
        "--as",
        "bob",
        "--out",
        transaction,
    ]);
    let first = network.ok(&["tx", "send", transaction]);
    let again = network.ok(&["tx", "send", transaction]);
    assert_eq!(first["transaction_id"], made["transaction_id"]);
    assert_eq!(
        (&first["block"], &first["index"]),
        (&again["block"], &again["index"])
    );
    let waited = format!("tx={}", text(&made, "transaction_id"));
    network.ok(&["wait", "--for", &waited]);
}

/// Two that read the same version: the second is committed, invalid, and explained.
#[test]
fn of_two_that_change_the_same_value_one_takes_effect() {
    let network = Network::up();
    let create = [
        "tx",
        "submit",
        "asset",
        "CreateAsset",
        "a",
        "blue",
        "5",
        "Tomoko",
        "300",
    ];
    network.ok(&create);
    let mut files = Vec::new();
    for (owner, name) in [("Max", "one"), ("Jin", "two")] {
        let (proposal, transaction) = (network.file(name), network.file(&format!("{name}-tx")));
        let (proposal, transaction) = (proposal.to_str().unwrap(), transaction.to_str().unwrap());
        network.ok(&[
            "tx",
            "propose",
            "asset",
            "TransferAsset",
            "a",
            owner,
            "--out",
            proposal,
        ]);
        network.ok(&["tx", "endorse", proposal, "--out", transaction]);
        files.push(transaction.to_owned());
    }
    let first = network.ok(&["tx", "send", &files[0]]);
    let late = network.ends(&["tx", "send", &files[1]], 3);
    assert_eq!(text(&late, "code"), "MVCC_READ_CONFLICT");
    let explained = network.ok(&["tx", "explain", text(&late, "transaction_id")]);
    let reason = &explained["reason"];
    assert_eq!((text(reason, "kind"), text(reason, "key")), ("read", "a"));
    assert_eq!(reason["read"]["block"], 1);
    let written = &reason["written"];
    assert_eq!(reason["found"], written["place"]);
    assert_eq!(written["place"]["block"], first["block"]);
    assert_eq!(written["transaction_id"], first["transaction_id"]);
    assert_eq!(explained["receipt_verified"], true);
}

#[test]
fn a_node_that_was_killed_catches_up_and_votes_again() {
    let network = Network::up();
    network.ok(&["testnet", "kill", "node3"]);
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 200);
    network.ok(&["tx", "import", calls.to_str().unwrap()]);
    network.ok(&["testnet", "restart", "node3"]);
    network.await_one_state();
    network.ok(&["verify", "chain", "--node", "node3"]);
    // Now its vote is needed.
    network.ok(&["testnet", "kill", "node2"]);
    network.ok(&[
        "tx",
        "submit",
        "kv",
        "put",
        "after",
        "the crash",
        "--timeout",
        "120",
    ]);
    let down = network.ok(&["testnet", "kill", "node1"]);
    assert_eq!(text(&down, "done"), "killed");
    // Two of four are no quorum: the outcome stays open, and the same
    // transaction counts once they are back.
    let submit = [
        "tx",
        "submit",
        "kv",
        "put",
        "late",
        "1",
        "--node",
        "node0",
        "--timeout",
        "2",
    ];
    for _ in 0..2 {
        let open = network.ends(&submit, 4);
        assert_eq!(open["error"]["code"], "TIMED_OUT");
        assert!(text(&open["error"], "hint").contains("tx send"));
    }
    network.ok(&["testnet", "restart", "node1"]);
    let pending = fs::read_dir(network.path().join("pending")).unwrap();
    let codes = pending.map(|file| {
        let file = file.unwrap().path();
        let send = ["tx", "send", file.to_str().unwrap(), "--timeout", "120"];
        let output = network.output(&send);
        let done: Value = serde_json::from_slice(&output.stdout).unwrap();
        text(&done, "code").to_owned()
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["VALID"; 2]);
}

/// Whether a node takes part without voting.
fn is_listening(network: &Network, node: usize) -> bool {
    let status = network.ok(&["testnet", "status"]);
    let client = ApiClient::new(text(&status["nodes"][node], "api")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(client.status()).unwrap().listening
}

#[test]
fn a_node_that_lost_its_disk_listens_before_it_votes_again() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 20);
    network.ok(&["tx", "import", calls.to_str().unwrap()]);
    network.ok(&["testnet", "kill", "node3"]);
    fs::remove_dir_all(network.data(3)).unwrap();
    network.ok(&["testnet", "restart", "node3"]);
    network.await_one_state();
    assert!(
        is_listening(&network, 3),
        "it does not know what it has voted for"
    );
    // It remembers that it listens, too.
    network.ok(&["testnet", "kill", "node3"]);
    network.ok(&["testnet", "restart", "node3"]);
    assert!(is_listening(&network, 3));
    // A window of sequence numbers later nothing is open any more.
    write_calls(&calls, 170);
    network.ok(&["tx", "import", calls.to_str().unwrap(), "--in-flight", "1"]);
    network.await_one_state();
    assert!(!is_listening(&network, 3));
    network.ok(&["testnet", "kill", "node2"]);
    network.ok(&[
        "tx",
        "submit",
        "kv",
        "put",
        "with",
        "its vote",
        "--timeout",
        "120",
    ]);
}

#[test]
fn a_paused_node_is_missed_by_nobody_and_comes_up_again() {
    let network = Network::up();
    network.ok(&["testnet", "pause", "node2"]);
    let submit = ["tx", "submit", "kv", "put", "a", "1", "--timeout", "120"];
    network.ok(&submit);
    network.ok(&["testnet", "resume", "node2"]);
    network.await_one_state();
}

/// With everything on disk altered by a byte, offline.
#[test]
fn an_altered_chain_is_found_out() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 50);
    network.ok(&["tx", "import", calls.to_str().unwrap()]);
    network.await_one_state();
    network.ok(&["testnet", "down"]);
    let data = network.data(1);
    let verify = |data: &Path| {
        let data = data.to_str().unwrap();
        let output = network.output(&["verify", "chain", "--data", data]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    let (code, sound) = verify(&data);
    assert_eq!(
        (code, &sound["ok"], &sound["transactions"]),
        (Some(0), &json!(true), &json!(50))
    );
    assert_eq!(sound["problem"], Value::Null);
    let mut found_out = 0;
    let files = ["rocksdb", "bodies"].map(|folder| fs::read_dir(data.join(folder)).unwrap());
    for file in files.into_iter().flatten() {
        let file = file.unwrap().path();
        if file
            .extension()
            .is_none_or(|it| it != "sst" && it != "bodies")
        {
            continue;
        }
        let name = file.file_name().unwrap().to_str().unwrap();
        let copy = network.file(&format!("copy-{name}"));
        copy_folder(&data, &copy);
        let table = copy.join(file.strip_prefix(&data).unwrap());
        let mut bytes = fs::read(&table).unwrap();
        // Table files begin with what they hold.
        let at = bytes.len().min(4096) / 3;
        bytes[at] ^= 1;
        fs::write(&table, bytes).unwrap();
        let (code, report) = verify(&copy);
        if file.extension().is_some_and(|it| it == "bodies") {
            assert_eq!(code, Some(5), "{report}");
        }
        if code == Some(5) {
            found_out += 1;
            assert!(report["problem"].is_string(), "{report}");
        } else {
            assert_eq!(report, sound, "what is not found out changes nothing");
        }
    }
    assert!(found_out >= 5, "{found_out}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
