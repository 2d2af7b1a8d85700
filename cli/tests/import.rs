//! Importing files of calls, each exactly once.

mod common;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use common::{Network, write_calls};
use serde_json::{Value, json};

#[test]
fn an_import_counts_every_line_once_however_often_it_is_done() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 300);
    let mut all = fs::read_to_string(&calls).unwrap();
    all.push_str("{\"contract\":\"kv\"}\n");
    let (good, bad) = (calls.to_str().unwrap(), network.file("bad.jsonl"));
    fs::write(&bad, all).unwrap();
    let summary = network.ok(&["tx", "import", good, "--as", "alice"]);
    let counts = |it: &Value| {
        [
            &it["read"],
            &it["valid"],
            &it["already_committed"],
            &it["failed"],
        ]
        .map(Value::clone)
    };
    assert_eq!(counts(&summary), [300, 300, 0, 0].map(|it| json!(it)));
    let again = network.ok(&["tx", "import", good, "--as", "alice"]);
    assert_eq!(counts(&again), [300, 0, 300, 0].map(|it| json!(it)));
    let with_a_bad_line = network.ends(&["tx", "import", bad.to_str().unwrap()], 2);
    assert_eq!(
        counts(&with_a_bad_line),
        [301, 0, 300, 1].map(|it| json!(it))
    );
    network.await_one_state();
}

/// Of many that change one value one is valid at a time, and a line is tried so often in
/// one import; the next import goes on.
#[test]
fn lines_that_lost_every_time_are_imported_again() {
    const LINES: u64 = 60;
    let network = Network::up();
    let create = ["smallbank", "create_account", "1", "Tomoko", "0", "0"];
    network.ok(&[&["tx", "submit"], &create[..]].concat());
    network.await_one_state();
    let file = network.file("calls.jsonl");
    let lines = (1..=LINES).map(|amount| {
        let args = format!("[\"1\",\"{amount}\"]");
        format!(
            "{{\"contract\":\"smallbank\",\"function\":\"deposit_checking\",\"args\":{args}}}\n"
        )
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
    let import = ["tx", "import", file.to_str().unwrap(), "--in-flight", "60"];
    let mut imports = 0;
    let done = loop {
        let output = network.output(&import);
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        imports += 1;
        if output.status.success() {
            break summary;
        }
        assert!(imports < 20, "{summary}");
    };
    assert!(imports > 1, "some lost every time");
    let committed = ["valid", "already_committed"].map(|key| done[key].as_u64().unwrap());
    assert_eq!(committed.iter().sum::<u64>(), LINES);
    assert_eq!(network.checking("1"), LINES * (LINES + 1) / 2);
}

/// What comes from a pipe can be read but once.
#[test]
fn calls_are_imported_from_a_pipe() {
    let network = Network::up();
    let calls = network.file("calls.jsonl");
    write_calls(&calls, 20);
    let mut import = network.command(&["tx", "import", "/dev/stdin"]);
    let mut import = import
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = fs::read(&calls).unwrap();
    import.stdin.take().unwrap().write_all(&lines).unwrap();
    let output = import.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["read"], &summary["valid"]),
        (&json!(20), &json!(20))
    );
}
