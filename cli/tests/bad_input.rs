//! Junk, lies and mistakes: each is refused with a reason, and nothing else
//! happens.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use common::http::{exchange, ports, post};
use common::{Network, logothete};
use crypto::{SigningKey, encode};
use ledger::{NO_EXPIRY, Proposal, Transaction};
use serde_json::Value;

const OCTETS: &str = "application/octet-stream";

/// A transaction that two nodes have endorsed, and alice's key.
fn transaction(network: &Network) -> (Transaction, SigningKey) {
    let (proposal, file) = (network.file("proposal.json"), network.file("tx.json"));
    let (proposal, file) = (proposal.to_str().unwrap(), file.to_str().unwrap());
    network.ok(&["tx", "propose", "kv", "put", "k", "v", "--out", proposal]);
    network.ok(&["tx", "endorse", proposal, "--out", file]);
    let text: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let bytes = hex::decode(text["bytes"].as_str().unwrap()).unwrap();
    let key = SigningKey::read_file(&network.path().join("keys/alice.pem")).unwrap();
    (crypto::decode(&bytes, bytes.len()).unwrap(), key)
}

#[test]
fn a_transaction_that_is_not_what_was_signed_is_refused_with_the_reason() {
    let network = Network::up();
    let (api, _) = ports(&network, 2);
    let (good, key) = transaction(&network);
    let send =
        |transaction: &Transaction| post(&api, "/v1/transactions", OCTETS, &encode(transaction));
    let mut altered = good.clone();
    altered.proposal.args[1] = "other".to_owned();
    assert_eq!(send(&altered), (400, "BAD_SIGNATURE".to_owned()));
    let mut unsigned = good.clone();
    unsigned.signature.signature.0 = [0; 64];
    assert_eq!(send(&unsigned), (400, "BAD_SIGNATURE".to_owned()));
    let mut by_another = good.clone();
    by_another.proposal.creator = SigningKey::from_seed(&[1; 32]).public();
    let (status, _) = send(&by_another);
    assert!((400..500).contains(&status));
    let mut elsewhere = good.clone();
    elsewhere.proposal.network = crypto::Digest([1; 32]);
    assert_eq!(send(&elsewhere), (400, "WRONG_NETWORK".to_owned()));
    let mut without = good.clone();
    without.endorsements.clear();
    assert_eq!(send(&without), (400, "NOT_ENDORSED".to_owned()));
    let bytes = encode(&good);
    let cut = post(&api, "/v1/transactions", OCTETS, &bytes[..bytes.len() - 1]);
    assert_eq!(cut, (400, "MALFORMED".to_owned()));
    let long = vec![0; 400 * 1024];
    let oversized = post(&api, "/v1/transactions", OCTETS, &long);
    assert_eq!(oversized, (413, "TOO_LARGE".to_owned()));
    let json = post(
        &api,
        "/v1/transactions",
        "application/json",
        b"{\"bytes\": 1}",
    );
    assert_eq!(json, (400, "BAD_REQUEST".to_owned()));

    // A stranger's is well signed and refused all the same.
    let stranger = SigningKey::from_seed(&[2; 32]);
    let proposal = Proposal {
        creator: stranger.public(),
        nonce: [3; 32],
        valid_until_block: NO_EXPIRY,
        ..good.proposal.clone()
    };
    let signed = proposal.sign(&stranger);
    let refused = post(&api, "/v1/proposals", OCTETS, &encode(&signed));
    assert_eq!(refused, (403, "UNKNOWN_CREATOR".to_owned()));

    // None of it is in the chain, and the good one still gets there.
    assert_eq!(
        network.ok(&["block", "get", "latest"])["header"]["number"],
        0
    );
    let form = encode(&good);
    let hexadecimal = format!("{{\"bytes\":\"{}\"}}", hex::encode(&form));
    let (status, _) = post(
        &api,
        "/v1/transactions",
        "application/json",
        hexadecimal.as_bytes(),
    );
    assert_eq!(status, 202);
    let id = format!("tx={}", good.proposal.id());
    network.ok(&["wait", "--for", &id, "--node", "node2"]);
    let again = post(&api, "/v1/transactions", OCTETS, &form);
    assert_eq!(again.0, 200, "committed already");
    drop(key);
}

#[test]
fn junk_on_a_port_closes_that_connection_and_nothing_else() {
    let network = Network::up();
    let (api, p2p) = ports(&network, 0);
    let junk: Vec<u8> = (0..5000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    for length in [1, 100, 5000] {
        let answer = exchange(&api, &junk[..length], true);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
        exchange(&p2p, &junk[..length], true);
    }
    let refused = exchange(&api, b"what is this?\r\n\r\n", true);
    assert!(refused.starts_with(b"HTTP/1.1 400"));
    network.ok(&["tx", "submit", "kv", "put", "a", "1", "--node", "node0"]);
    network.await_one_state();
    let status = network.ok(&["testnet", "status"]);
    let running = |node: &Value| node["running"] == true;
    assert!(status["nodes"].as_array().unwrap().iter().all(running));
}

/// How long a node may take to say why it does not start.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs a node that is expected not to start; one that does is ended.
fn run_node(network: &Network, node: usize) -> Output {
    let mut command = logothete();
    let home = network.path().join(format!("nodes/node{node}"));
    command.args(["node", "run", "--home"]).arg(home);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_refuses(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(reason), "{said}");
}

#[test]
fn a_node_that_is_not_set_up_rightly_does_not_start_and_says_why() {
    let network = Network::up();
    network.ok(&["tx", "submit", "kv", "put", "a", "1"]);
    network.await_one_state();
    let running = run_node(&network, 3);
    assert_refuses(&running, "another node is running in");
    for node in ["node3", "node1"] {
        network.ok(&["testnet", "kill", node]);
    }

    // The port of another.
    let config = network.path().join("nodes/node3/node.toml");
    let original = fs::read_to_string(&config).unwrap();
    let (own, other) = (ports(&network, 3).0, ports(&network, 2).0);
    fs::write(&config, original.replace(&own, &other)).unwrap();
    assert_refuses(&run_node(&network, 3), "another process has that port");
    fs::write(&config, &original).unwrap();

    // A key that is gone.
    let key = network.path().join("nodes/node3/consensus.pem");
    fs::rename(&key, network.file("kept.pem")).unwrap();
    assert_refuses(&run_node(&network, 3), "consensus.pem");
    fs::rename(network.file("kept.pem"), &key).unwrap();

    // Another genesis document than the data was made with.
    let genesis = network.path().join("genesis.json");
    let text = fs::read_to_string(&genesis).unwrap();
    fs::write(&genesis, text.replace("\"testnet\"", "\"another\"")).unwrap();
    assert_refuses(&run_node(&network, 3), "network");
    fs::write(&genesis, &text).unwrap();

    // A database that was altered, in each of its files: which of them are read when it
    // is opened is its own affair.
    let rocks = network.data(3).join("rocksdb");
    let files = fs::read_dir(&rocks).unwrap().map(|it| it.unwrap().path());
    let holds_data = |path: &PathBuf| {
        path.extension()
            .is_some_and(|it| it == "log" || it == "sst")
    };
    for file in files.filter(holds_data) {
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.len() / 3;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0xff;
        }
        fs::write(&file, bytes).unwrap();
    }
    let output = run_node(&network, 3);
    assert_refuses(&output, "cannot use the database in");

    // The other was only stopped, and comes back.
    network.ok(&["testnet", "restart", "node1"]);
    network.ok(&["tx", "submit", "kv", "put", "b", "2", "--timeout", "120"]);
}

#[test]
fn a_full_pool_is_an_answer() {
    let network = Network::up();
    network.ok(&["testnet", "down"]);
    for node in 0..4 {
        let config = network.path().join(format!("nodes/node{node}/node.toml"));
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("pool_max_transactions = 1\n{text}")).unwrap();
    }
    network.ok(&["testnet", "up", "--detach"]);
    let mut signed = Vec::new();
    for value in ["1", "2", "3"] {
        let (proposal, file) = (
            network.file("p.json"),
            network.file(&format!("{value}.json")),
        );
        let (proposal, file) = (proposal.to_str().unwrap(), file.to_str().unwrap());
        network.ok(&[
            "tx", "propose", "kv", "put", value, value, "--out", proposal,
        ]);
        network.ok(&["tx", "endorse", proposal, "--out", file]);
        let text: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        signed.push(hex::decode(text["bytes"].as_str().unwrap()).unwrap());
    }
    // Without a quorum nothing leaves the pool.
    for node in ["node2", "node3"] {
        network.ok(&["testnet", "pause", node]);
    }
    let (api, _) = ports(&network, 0);
    let send = |bytes: &[u8]| post(&api, "/v1/transactions", OCTETS, bytes);
    assert_eq!(send(&signed[0]).0, 202);
    assert_eq!(send(&signed[1]), (429, "POOL_FULL".to_owned()));
    assert_eq!(
        send(&signed[0]).0,
        202,
        "what is held already needs no room"
    );
    for node in ["node2", "node3"] {
        network.ok(&["testnet", "resume", node]);
    }
    let last = network.file("3.json");
    network.ok(&["tx", "send", last.to_str().unwrap(), "--timeout", "120"]);
}

/// What is typed comes first, and what the environment says next.
#[test]
fn every_long_option_can_be_given_by_the_environment() {
    let seeds = |args: &[&str], variables: &[(&str, &str)]| -> Value {
        let mut simulate = logothete();
        simulate.args(["simulate", "-o", "json"]).args(args);
        simulate.envs(variables.iter().copied());
        let output = simulate.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["seeds"].clone()
    };
    assert_eq!(seeds(&[], &[("LOGOTHETE_SEEDS", "0..2")]), 2);
    let typed = ["--seeds", "0..1"];
    assert_eq!(seeds(&typed, &[("LOGOTHETE_SEEDS", "0..2")]), 1);
    let mut bad = logothete();
    bad.args(["simulate", "-o", "json"])
        .env("LOGOTHETE_SEEDS", "2");
    assert_eq!(bad.output().unwrap().status.code(), Some(2));
}

/// More time than a clock has is a slip, before anything is signed.
#[test]
fn a_time_beyond_all_measure_is_wrong_usage() {
    let mut submit = logothete();
    submit.args(["tx", "submit", "kv", "put", "a", "1", "--timeout"]);
    submit.arg(u64::MAX.to_string());
    assert_eq!(submit.output().unwrap().status.code(), Some(2));
}
