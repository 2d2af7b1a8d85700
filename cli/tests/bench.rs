//! `bench` says what it was asked, and leaves nothing behind.

mod common;

use common::{Network, logothete};
use serde_json::Value;

fn bench(args: &[&str]) -> Value {
    let mut command = logothete();
    command.args(["bench", "--duration", "2", "--warm-up", "1", "-o", "json"]);
    let output = command.args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// These keys are a promise.
#[test]
fn a_network_of_its_own_is_measured_and_gone() {
    let report = bench(&["--in-flight", "16", "--endorsements", "2", "--size", "100"]);
    let number = |key: &str| {
        report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {report}"))
    };
    assert!(number("committed") > 0.0);
    assert_eq!((number("invalid"), number("failed")), (0.0, 0.0));
    let per_second = number("committed") / number("seconds");
    assert!((number("per_second") - per_second).abs() < 1e-6 * per_second);
    for percentile in ["p50", "p95", "p99", "max"] {
        assert!(report["latency_ms"][percentile].as_f64() > Some(0.0));
    }
    let (cpu, floor) = (
        number("cpu_us_per_transaction"),
        number("floor_us_per_transaction"),
    );
    assert!(cpu > floor, "no node does less than check its signatures");
    assert!((number("ratio_to_floor") - cpu / floor).abs() < 1e-6);
    assert!(number("peak_rss_mib_per_node") > 1.0);
    assert!((number("endorsements_per_transaction") - 2.0).abs() < 1e-9);
    for phase in ["endorse", "pool", "order", "execute", "attest"] {
        assert!(report["phases_ms"][phase].as_f64() > Some(0.0), "{phase}");
    }
    let body = 2.0 * 100.0;
    assert!(
        number("wire_bytes_per_transaction") > 3.0 * body,
        "to three others"
    );
    assert!(number("syncs_per_second") > 0.0);
}

/// At a rate of their own, transactions do not wait for each other.
#[test]
fn calls_are_begun_at_their_time_and_conflicts_are_told_apart() {
    let report = bench(&[
        "--rate",
        "100",
        "--contract",
        "smallbank",
        "--accounts",
        "10",
    ]);
    let ordered = report["committed"].as_u64().unwrap() + report["invalid"].as_u64().unwrap();
    let ended = ["refused", "failed"].map(|key| report[key].as_u64().unwrap());
    let begun = ordered + ended.iter().sum::<u64>();
    assert_eq!(begun, 200, "{report}");
    assert!(report["invalid"].as_u64() > Some(0), "{report}");
}

/// What the first has made is there for the second.
#[test]
fn a_network_is_measured_again_with_the_same_accounts() {
    let network = Network::up();
    let path = network.path();
    let on = path.to_str().unwrap();
    for _ in 0..2 {
        let accounts = ["--contract", "smallbank", "--accounts", "10"];
        let report = bench(&[&["--on", on, "--in-flight", "8"], &accounts[..]].concat());
        assert!(report["committed"].as_u64() > Some(0), "{report}");
    }
}

/// The nodes order the same and nothing is lost, whatever the sizes are.
#[test]
fn payloads_are_ordered_alone() {
    let report = bench(&["--order-only", "--size", "512", "--in-flight", "500"]);
    let number = |key: &str| {
        report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {report}"))
    };
    assert!(number("committed") >= 500.0);
    assert!(number("failed") == 0.0 && number("view_changes") >= 0.0);
    let per_second = number("committed") / number("seconds");
    assert!((number("per_second") - per_second).abs() < 1e-6 * per_second);
    for percentile in ["p50", "p95", "p99", "max"] {
        assert!(report["latency_ms"][percentile].as_f64() > Some(0.0));
    }
    assert!(number("cpu_us_per_transaction") > 0.0);
    assert!(number("peak_rss_mib_per_node") > 1.0);
    assert!(number("agreed_at") >= 1.0);
    assert_eq!(report["agreed_digest"].as_str().map(str::len), Some(64));
}

/// Bodies are on disk before anybody votes for them: on each of seven nodes.
#[test]
fn payloads_at_a_rate_are_all_ordered_and_on_every_disk() {
    let report = bench(&[
        "--order-only",
        "--rate",
        "200",
        "--nodes",
        "7",
        "--size",
        "100000",
    ]);
    assert_eq!(report["committed"].as_u64(), Some(400), "{report}");
    assert_eq!(report["failed"].as_u64(), Some(0));
    assert!(report["disk_bytes_per_transaction"].as_f64() >= Some(7.0 * 100_000.0));
}

/// What it has ordered was in memory: it must not vote on as if it knew.
#[test]
fn a_node_that_has_run_does_not_begin_to_order() {
    let network = Network::up();
    network.ok(&["testnet", "down"]);
    let mut command = logothete();
    command.args(["node", "order", "--home"]);
    command.arg(network.path().join("nodes/node1"));
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("has run before"), "{said}");
}
