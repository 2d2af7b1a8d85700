//! The application of Fabric's asset-transfer-basic sample, step by step: the same
//! functions, arguments and answers, its failing last step included.

mod common;

use common::Network;
use serde_json::{Value, json};

/// What a call that takes effect answers.
fn submit(network: &Network, call: &[&str]) -> String {
    let done = network.ok(&[&["tx", "submit", "asset"], call, &["--as", "alice"]].concat());
    assert_eq!(done["code"], "VALID");
    done["response"].as_str().unwrap().to_owned()
}

fn evaluate(network: &Network, call: &[&str]) -> Value {
    let query = [&["query", "asset"], call, &["--consistency", "quorum"]].concat();
    let answer = network.ok(&query);
    serde_json::from_str(answer["response"].as_str().unwrap()).unwrap()
}

fn asset(id: &str, color: &str, size: u64, owner: &str, value: u64) -> Value {
    json!({"ID": id, "Color": color, "Size": size, "Owner": owner, "AppraisedValue": value})
}

#[test]
fn the_sample_application_runs_as_on_fabric() {
    let network = Network::up();
    assert_eq!(submit(&network, &["InitLedger"]), "");
    let mut assets = vec![
        asset("asset1", "blue", 5, "Tomoko", 300),
        asset("asset2", "red", 5, "Brad", 400),
        asset("asset3", "green", 10, "Jin Soo", 500),
        asset("asset4", "yellow", 10, "Max", 600),
        asset("asset5", "black", 15, "Adriana", 700),
        asset("asset6", "white", 15, "Michel", 800),
    ];
    assert_eq!(evaluate(&network, &["GetAllAssets"]), json!(assets));

    let create = ["CreateAsset", "asset7", "yellow", "5", "Tom", "1300"];
    assert_eq!(submit(&network, &create), "");
    let created = asset("asset7", "yellow", 5, "Tom", 1300);
    assert_eq!(evaluate(&network, &["ReadAsset", "asset7"]), created);
    assert_eq!(evaluate(&network, &["AssetExists", "asset7"]), json!(true));

    let before = submit(&network, &["TransferAsset", "asset1", "Mark"]);
    assert_eq!(before, "Tomoko", "the answer is who had it");
    assets[0]["Owner"] = json!("Mark");
    assets.push(created);
    assert_eq!(evaluate(&network, &["GetAllAssets"]), json!(assets));

    let update = ["UpdateAsset", "asset70", "blue", "5", "Tomoko", "300"];
    let refused = network.ends(&[&["tx", "submit", "asset"][..], &update].concat(), 7);
    assert_eq!(refused["error"]["code"], "CONTRACT_ERROR");
    let message = "the asset asset70 does not exist";
    assert_eq!(refused["error"]["message"], message);

    submit(&network, &["DeleteAsset", "asset7"]);
    let gone = network.ends(&["query", "asset", "ReadAsset", "asset7"], 7);
    let message = "the asset asset7 does not exist";
    assert_eq!(gone["error"]["message"], message);
}
