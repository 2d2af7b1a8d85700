//! Every fault on demand, on real processes: what comes of it stands in
//! docs/faults.md, and a row that is no longer so fails here.
//!
//! `UPDATE_FAULTS=1` writes the table anew, times included; they are not
//! compared.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::Network;
use serde_json::Value;

const MODES: [&str; 14] = [
    "silent",
    "delay=3000",
    "drop=1,2,3",
    "equivocate",
    "wrong-digest",
    "censor=alice",
    "corrupt-signatures",
    "replay",
    "lie-view-change",
    "lie-sync",
    "skip-sequences",
    "wrong-times",
    "invent-requests",
    "chaotic",
];

/// How long what is to be seen may take to come: others must hear of evidence, and
/// change the view.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was seen after a node began to misbehave.
struct Seen {
    /// None while the correct ones do not agree on it.
    view: Option<u64>,
    evidence: BTreeSet<String>,
    after: Duration,
}

impl Seen {
    /// What the table says of it, but for times.
    fn cells(&self, mode: &str) -> [String; 2] {
        // Chance decides what it does at each message.
        if mode == "chaotic" {
            return ["any", "as it happens"].map(str::to_owned);
        }
        let view = self
            .view
            .map_or("no one".to_owned(), |view| view.to_string());
        [view, self.evidence()]
    }

    fn evidence(&self) -> String {
        if self.evidence.is_empty() {
            return "none".to_owned();
        }
        let kinds: Vec<&str> = self.evidence.iter().map(String::as_str).collect();
        kinds.join(", ")
    }
}

fn submit(network: &Network, key: &str) {
    let put = ["tx", "submit", "kv", "put", key, "1", "--as", "alice"];
    let node = ["--node", "2", "--timeout", "240"];
    let done = network.ok(&[&put[..], &node[..]].concat());
    assert_eq!(done["code"], "VALID");
}

/// A node misbehaves, and transactions are submitted all the same. What is expected is
/// waited for.
fn observe(mode: &str, node: &str, is_expected: impl Fn(&Seen) -> bool) -> Seen {
    let network = Network::up();
    submit(&network, "before");
    network.ok(&["testnet", "fault", node, mode]);
    let begun = Instant::now();
    submit(&network, "next");
    let after = begun.elapsed();
    submit(&network, "and another");
    let ended = Instant::now();
    loop {
        let seen = look(&network, node, after);
        if is_expected(&seen) || ended.elapsed() > PATIENCE {
            return seen;
        }
        // Of one batch nobody may come to see both stories.
        submit(&network, "and one more");
    }
}

/// The same, and once more in another network where it was not seen: a machine that is
/// busy with more may have a correct primary left, and no network goes back.
fn observed(mode: &str, node: &str, is_expected: impl Fn(&Seen) -> bool) -> Seen {
    let seen = observe(mode, node, &is_expected);
    if is_expected(&seen) {
        return seen;
    }
    println!("{mode} on {node}: {:?}, and again", seen.cells(mode));
    observe(mode, node, is_expected)
}

fn look(network: &Network, node: &str, after: Duration) -> Seen {
    let status = network.ok(&["testnet", "status"]);
    let accused = network.ok(&["evidence", "list"]);
    let accused = accused["evidence"].as_array().unwrap().clone();
    for evidence in &accused {
        assert_eq!(evidence["replica"].to_string(), node, "nobody is framed");
        prove(network, evidence);
    }
    let kind = |evidence: &Value| evidence["message"].as_str().unwrap().to_owned();
    Seen {
        view: status["view"].as_u64(),
        evidence: accused.iter().map(kind).collect(),
        after,
    }
}

/// What a node holds as evidence verifies offline, and no other statement does.
fn prove(network: &Network, evidence: &Value) {
    let file = network.file("evidence.json");
    let file = file.to_str().unwrap();
    let id = evidence["id"].as_str().unwrap();
    network.ok(&["evidence", "get", id, "--out", file]);
    let verified = network.ok(&["verify", "evidence", file]);
    assert_eq!(verified["replica"], evidence["replica"]);
    let text = std::fs::read_to_string(file).unwrap();
    let at = text.find("\"bytes\"").unwrap() + 200;
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    let forged = [&text[..at], other, &text[at + 1..]].concat();
    std::fs::write(file, forged).unwrap();
    network.ends(&["verify", "evidence", file], 5);
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md")
}

/// Everything of a row but the times: they differ from machine to machine.
fn without_times(row: &str) -> Vec<String> {
    let cells = row.split('|').map(|cell| cell.trim().to_owned());
    cells.filter(|cell| !cell.ends_with(" ms")).collect()
}

#[test]
fn the_table_of_faults_is_what_is_seen() {
    let text = std::fs::read_to_string(document()).unwrap();
    let is_row = |line: &&str| line.starts_with("| `");
    let written: Vec<_> = text.lines().filter(is_row).map(without_times).collect();
    let mut table = String::new();
    for mode in MODES {
        let named = format!("`{mode}`");
        let row = written.iter().find(|row| row.contains(&named));
        let primary = observed(mode, "0", |seen| {
            row.is_some_and(|row| seen.cells(mode).iter().all(|cell| row.contains(cell)))
        });
        let backup = observed(mode, "3", |seen| seen.view == Some(0));
        assert_eq!(backup.view, Some(0), "{mode} on a backup changes no view");
        let [view, evidence] = primary.cells(mode);
        let (first, second) = (primary.after.as_millis(), backup.after.as_millis());
        writeln!(
            table,
            "| {named} | {view} | {first} ms | {evidence} | {second} ms |"
        )
        .unwrap();
    }
    let seen: Vec<_> = table.lines().map(without_times).collect();
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        let first = text.lines().position(|line| is_row(&line)).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !is_row(line)).collect();
        let (above, below) = kept.split_at(first);
        let whole = format!("{}\n{table}{}\n", above.join("\n"), below.join("\n"));
        std::fs::write(document(), whole).unwrap();
    } else {
        assert_eq!(written, seen, "UPDATE_FAULTS=1 writes:\n{table}");
    }
}

/// `f` faulty primaries one after the other, each in another way.
fn faulty_in_a_row(nodes: u64, faults: &[(&str, &str)]) {
    let network = Network::folder();
    network.ok(&["testnet", "up", "--nodes", &nodes.to_string(), "--detach"]);
    for (node, mode) in faults {
        network.ok(&["testnet", "fault", node, mode]);
    }
    let put = ["tx", "submit", "kv", "put", "a", "1", "--node", "5"];
    let done = network.ok(&[&put[..], &["--timeout", "240"]].concat());
    assert_eq!(done["code"], "VALID");
    let status = network.ok(&["testnet", "status"]);
    // On a machine that is busy with more, a correct primary may be left, too.
    let view = status["view"].as_u64().unwrap();
    let first_after = faults.len() as u64;
    assert!(
        (first_after..nodes).contains(&view),
        "each of them was left, and none came again: {view}"
    );
}

#[test]
fn seven_go_on_after_two_faulty_primaries_and_ten_after_three() {
    faulty_in_a_row(7, &[("0", "silent"), ("1", "wrong-digest")]);
    faulty_in_a_row(
        10,
        &[
            ("0", "equivocate"),
            ("1", "silent"),
            ("2", "skip-sequences"),
        ],
    );
}

#[test]
fn faults_are_for_networks_that_are_for_testing() {
    let network = Network::up();
    network.ends(&["testnet", "fault", "0", "mute"], 2);
    let set = network.ok(&["testnet", "fault", "0", "delay=1+replay"]);
    assert_eq!(set["fault"], "delay=1+replay");
    let status = network.ok(&["testnet", "status"]);
    assert_eq!(status["nodes"][0]["fault"], "delay=1+replay");
    network.ok(&["testnet", "fault", "0", "none"]);
    let status = network.ok(&["testnet", "status"]);
    assert_eq!(status["nodes"][0]["fault"], Value::Null);
}
