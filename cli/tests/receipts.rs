//! Receipts on a machine that has the genesis document and nothing else.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Network, logothete};
use serde_json::Value;

fn verify(genesis: &Path, receipt: &Path) -> Command {
    let mut command = logothete();
    command.args(["verify", "receipt"]).arg(receipt);
    command.arg("--genesis").arg(genesis).args(["-o", "json"]);
    command
}

#[test]
fn a_receipt_is_believed_offline_and_with_any_byte_changed_it_is_not() {
    let network = Network::up();
    let done = network.ok(&[
        "tx",
        "submit",
        "asset",
        "CreateAsset",
        "a",
        "blue",
        "5",
        "Max",
        "300",
    ]);
    let id = done["transaction_id"].as_str().unwrap();
    let receipt = network.ok(&["tx", "receipt", id]);
    let elsewhere = tempfile::tempdir().unwrap();
    let (genesis, file) = (
        elsewhere.path().join("genesis.json"),
        elsewhere.path().join("receipt.json"),
    );
    fs::copy(network.path().join("genesis.json"), &genesis).unwrap();
    drop(network);

    let text = receipt.to_string();
    fs::write(&file, &text).unwrap();
    let output = verify(&genesis, &file).output().unwrap();
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["code"], "VALID");
    assert_eq!(verified["transaction_id"], id);
    for at in 0..text.len() {
        let mut altered = text.clone().into_bytes();
        // Another letter of the same kind, where there is one: it remains JSON.
        altered[at] ^= if altered[at].is_ascii_alphabetic() {
            0x20
        } else {
            1
        };
        fs::write(&file, &altered).unwrap();
        let status = verify(&genesis, &file).output().unwrap().status;
        let altered = String::from_utf8_lossy(&altered);
        assert_eq!(status.code(), Some(5), "byte {at}: {altered}");
    }
}
