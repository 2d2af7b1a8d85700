//! Every rule of the document, by what is said when it is broken. To accept
//! changed texts, run with `INSTA_UPDATE=always` and read the difference.

mod common;

use common::{json, key};
use genesis::{Document, Genesis};
use serde_json::{Value, json};

/// What is said about the example document after `change`.
fn complaint(change: impl FnOnce(&mut Value)) -> String {
    let mut document = json();
    change(&mut document);
    match Genesis::from_json(document.to_string().as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// What is said when the value at `pointer` is `value`.
fn with(pointer: &str, value: Value) -> String {
    complaint(|document| *document.pointer_mut(pointer).unwrap() = value)
}

/// What is said about each of these values, one line each.
fn all(cases: &[(&str, Value)]) -> String {
    let line = |(pointer, value): &(&str, Value)| {
        let mut shown = value.to_string();
        if shown.len() > 100 {
            shown = format!("({} characters)", shown.len());
        }
        format!(
            "{pointer} = {shown}\n    {}\n",
            with(pointer, value.clone())
        )
    };
    cases.iter().map(line).collect()
}

fn assert_texts(name: &str, texts: &str) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, texts);
    });
}

#[test]
fn shape() {
    let missing = complaint(|document| {
        document["consensus"]
            .as_object_mut()
            .unwrap()
            .remove("log_window");
    });
    let unknown = complaint(|document| document["replicas"][1]["weight"] = json!(2));
    let unknown_at_top = complaint(|document| document["colour"] = json!("blue"));
    let text = |json: &str| Genesis::from_json(json.as_bytes()).unwrap_err().to_string();
    let doubled = json()
        .to_string()
        .replacen("\"testing\"", "\"testing\":false,\"testing\"", 1);
    let trailing = format!("{} x", json());
    let long = " ".repeat(Document::MAX_BYTES + 1);
    let lines = [
        missing,
        unknown,
        unknown_at_top,
        text(&doubled),
        text(&trailing),
        text("{\"format\": 1,"),
        text("[]"),
        text(""),
        text(&long),
        with("/replicas/1/id", json!("one")),
        with("/replicas/1/id", json!(-1)),
        with("/testing", json!("yes")),
        with("/replicas/2/consensus_key", json!("abc")),
    ];
    let lines = lines.map(|line| {
        // Where in the text it stands is of no interest here.
        line.split(" at line").next().unwrap_or_default().to_owned()
    });
    assert_texts("shape", &lines.join("\n"));
}

#[test]
fn names_and_ids() {
    assert_texts(
        "names_and_ids",
        &all(&[
            ("/format", json!(2)),
            ("/network", json!("")),
            ("/network", json!("Example")),
            ("/organisations/1/name", json!("../org2")),
            ("/organisations/1/name", json!("org1")),
            ("/organisations/0/clients/0/name", json!("4711")),
            ("/organisations/0/clients/0/name", json!("a".repeat(65))),
            ("/organisations/1/clients/0/name", json!("alice")),
            ("/organisations/1/admins/0/name", json!("org1-admin")),
            ("/replicas/3/name", json!("node0")),
            ("/replicas/3/name", json!("bob")),
            ("/replicas/3/name", json!("3")),
            ("/replicas/3/id", json!(4)),
            ("/replicas/0/id", json!(1)),
            ("/replicas/1/organisation", json!("org9")),
            ("/organisations", json!([])),
            ("/replicas", json!([])),
        ]),
    );
}

#[test]
fn keys() {
    let identity_point = format!("01{}", "00".repeat(31));
    assert_texts(
        "keys",
        &all(&[
            ("/replicas/2/consensus_key", json!(key(1))),
            ("/replicas/2/transport_key", json!(key(3))),
            ("/replicas/2/transport_key", json!(key(50))),
            ("/replicas/2/transport_key", json!(key(200))),
            ("/organisations/0/clients/0/key", json!(key(100))),
            ("/organisations/1/clients/0/key", json!(identity_point)),
            ("/replicas/0/consensus_key", json!("ff".repeat(32))),
        ]),
    );
}

#[test]
fn addresses() {
    assert_texts(
        "addresses",
        &all(&[
            ("/replicas/0/addresses", json!([])),
            ("/replicas/0/addresses/0", json!("127.0.0.1:4001")),
            ("/replicas/0/addresses/0", json!("/ip4")),
            ("/replicas/0/addresses/0", json!("/ip4//tcp/4001")),
            ("/replicas/0/addresses/0", json!("/ip4/300.0.0.1/tcp/4001")),
            ("/replicas/0/addresses/0", json!("/ip4/10.0.0.1/tpc/4001")),
            ("/replicas/0/addresses/0", json!("/dns4/my host/tcp/4001")),
            (
                "/replicas/0/addresses/0",
                json!("/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW"),
            ),
            (
                "/replicas/0/addresses/0",
                json!(format!("/dns4/{}", "a".repeat(256))),
            ),
            ("/replicas/1/addresses/0", json!("/ip4/127.0.0.1/tcp/4001")),
            ("/replicas/1/addresses/0", json!("/memory/7")),
        ]),
    );
}

#[test]
fn contracts() {
    assert_texts(
        "contracts",
        &all(&[
            ("/contracts", json!([])),
            ("/contracts/1/name", json!("casino")),
            ("/contracts/1/name", json!("asset")),
            ("/contracts/0/version", json!(0)),
            ("/contracts/0/version", json!(4_294_967_296_u64)),
            ("/contracts/0/policy", json!("")),
            ("/contracts/0/policy", json!("OutOf(2, 'org1.peer'")),
            ("/contracts/0/policy", json!("AND('org1.boss')")),
            ("/contracts/0/policy", json!("OR('org1.peer', 'org9.peer')")),
            (
                "/contracts/0/policy",
                json!("AND('org1.peer', 'org1.peer')"),
            ),
            (
                "/contracts/0/policy",
                json!("AND('org3.client', 'org1.peer')"),
            ),
            (
                "/contracts/0/policy",
                json!("AND('org1.client', 'org2.admin', 'org4.peer')"),
            ),
        ]),
    );
}

#[test]
fn parameters() {
    assert_texts(
        "parameters",
        &all(&[
            ("/consensus/max_batch_transactions", json!(0)),
            ("/consensus/max_batch_transactions", json!(1_000_000)),
            ("/consensus/max_batch_bytes", json!(1000)),
            ("/consensus/max_batch_bytes", json!(16 * 1024 * 1024)),
            ("/consensus/max_batch_bytes", json!(u64::MAX)),
            ("/consensus/max_transaction_bytes", json!(0)),
            ("/consensus/max_transaction_bytes", json!(5_000_000)),
            ("/consensus/checkpoint_interval", json!(0)),
            ("/consensus/checkpoint_interval", json!(65)),
            ("/consensus/log_window", json!(1)),
            ("/consensus/log_window", json!(u64::MAX)),
            ("/consensus/max_in_flight", json!(0)),
            ("/consensus/max_in_flight", json!(129)),
            ("/consensus/max_in_flight", json!(128)),
            ("/consensus/request_timeout_ms", json!(0)),
            ("/consensus/request_timeout_ms", json!(20_000)),
            ("/consensus/request_timeout_cap_ms", json!(999)),
            ("/consensus/request_timeout_cap_ms", json!(u64::MAX)),
            ("/consensus/max_timestamp_ahead_ms", json!(0)),
            ("/consensus/status_interval_ms", json!(0)),
            ("/consensus/status_interval_ms", json!(60_001)),
        ]),
    );
}
