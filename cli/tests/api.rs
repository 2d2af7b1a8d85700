//! The HTTP API of a node, as programs in any language see it.

mod common;

use std::time::{Duration, Instant};

use common::Network;
use common::http::{get, ports, stream};
use serde_json::Value;

const JSON: &str = "application/json";

/// Generous: the machine may be slow.
const PATIENCE: Duration = Duration::from_mins(1);

fn json(api: &str, path: &str) -> (u16, Value) {
    let (status, _, body) = get(api, path, JSON);
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[test]
fn a_node_tells_where_it_stands_and_what_it_is() {
    let network = Network::up();
    let (api, _) = ports(&network, 1);
    let (status, answer) = json(&api, "/v1/status");
    assert_eq!(
        (status, &answer["node"]["name"]),
        (200, &Value::from("node1"))
    );
    assert_eq!(answer["peers"].as_array().unwrap().len(), 3);
    let (_, document) = json(&api, "/v1/network");
    let genesis = std::fs::read(network.path().join("genesis.json")).unwrap();
    assert_eq!(document, serde_json::from_slice::<Value>(&genesis).unwrap());
    let (_, described) = json(&api, "/v1/openapi.json");
    assert!(described["paths"]["/v1/transactions"]["post"].is_object());
    assert_eq!(get(&api, "/healthz", JSON).0, 200);
    assert_eq!(json(&api, "/readyz").1["ready"], true);
    let (_, head, metrics) = get(&api, "/metrics", JSON);
    assert!(head.contains("openmetrics-text"), "{head}");
    assert!(
        metrics.contains("logothete_height 0") && metrics.ends_with("# EOF\n"),
        "{metrics}"
    );
    let votes = "logothete_frames{class=\"consensus\",fate=\"dropped\"} ";
    assert!(metrics.contains(votes), "{metrics}");
    let strangers = "logothete_links_refused{reason=\"stranger\"} 0";
    assert!(metrics.contains(strangers), "{metrics}");

    let (status, answer) = json(&api, "/v1/nothing");
    assert_eq!(
        (status, &answer["error"]["code"]),
        (404, &Value::from("NOT_FOUND"))
    );
    for path in ["/v1/blocks/x", "/v1/transactions/x", "/v1/blocks?limit=x"] {
        assert_eq!(get(&api, path, JSON).0, 400, "{path}");
    }

    for node in ["node0", "node2"] {
        network.ok(&["testnet", "kill", node]);
    }
    let begin = Instant::now();
    while json(&api, "/readyz").0 != 503 {
        assert!(
            begin.elapsed() < PATIENCE,
            "it notices that the others are gone"
        );
    }
    let (_, answer) = json(&api, "/readyz");
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(reason.contains("a quorum is 3"), "{reason}");
    assert_eq!(get(&api, "/healthz", JSON).0, 200, "alive, if not ready");
}

#[test]
fn keys_blocks_and_receipts_are_found() {
    let network = Network::up();
    let key = "deb/pike 8.0~1/ä";
    let done = network.ok(&["tx", "submit", "kv", "put", key, "value"]);
    network.await_one_state();
    let (api, _) = ports(&network, 3);
    let (status, answer) = json(&api, "/v1/state/kv/deb%2Fpike%208.0~1%2F%C3%A4");
    assert_eq!((status, &answer["value"]), (200, &Value::from("value")));
    assert_eq!(network.ok(&["state", "get", "kv", key])["value"], "value");
    network.ok(&["tx", "submit", "kv", "put", key, "again"]);
    network.await_one_state();
    let path = "/v1/history/kv/deb%2Fpike%208.0~1%2F%C3%A4";
    let (_, first) = json(&api, &format!("{path}?limit=1"));
    assert_eq!(first["entries"][0]["value"], "value");
    assert_eq!(first["next"], serde_json::json!({"block": 1, "index": 1}));
    let (_, rest) = json(&api, &format!("{path}?from_block=1&from_index=1"));
    assert_eq!(
        (&rest["entries"][0]["value"], &rest["next"]),
        (&Value::from("again"), &Value::Null)
    );
    let id = done["transaction_id"].as_str().unwrap();
    let (_, receipt) = json(&api, &format!("/v1/transactions/{id}/receipt"));
    assert_eq!(receipt["code"], "VALID");
    let (_, block) = json(&api, "/v1/blocks/latest");
    let (_, same) = json(
        &api,
        &format!("/v1/blocks/{}", block["hash"].as_str().unwrap()),
    );
    assert_eq!(block, same);
    let (_, blocks) = json(&api, "/v1/blocks?from=0&limit=1000");
    assert_eq!(blocks.as_array().unwrap().len(), 3);
    let (status, _) = json(&api, &format!("/v1/transactions/{}", "1".repeat(64)));
    assert_eq!(status, 404);
}

#[test]
fn events_come_in_order_without_a_gap_from_wherever_one_begins() {
    let network = Network::up();
    let (api, _) = ports(&network, 2);
    for value in ["1", "2", "3"] {
        network.ok(&["tx", "submit", "kv", "put", "key", value]);
    }
    let numbers = |lines: Vec<String>| -> Vec<u64> {
        let number = |line: &String| {
            let json = line.strip_prefix("data: ").unwrap_or(line);
            let event: Value = serde_json::from_str(json).unwrap();
            event["block"].as_u64().unwrap()
        };
        lines.iter().map(number).collect()
    };
    let mark = "\"block\":";
    let lines = stream(&api, "/v1/events?from=1", "*/*", mark, 3);
    assert_eq!(numbers(lines), [1, 2, 3]);
    let sent = stream(&api, "/v1/events?from=2", "text/event-stream", "data: ", 2);
    assert_eq!(numbers(sent), [2, 3]);
    // What has not happened yet is waited for.
    let waiting = std::thread::spawn(move || stream(&api, "/v1/events?from=4", "*/*", mark, 1));
    network.ok(&["tx", "submit", "kv", "put", "key", "4"]);
    assert_eq!(numbers(waiting.join().unwrap()), [4]);
}
