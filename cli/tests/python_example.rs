//! A program in another language, written from `docs/formats.md` alone.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::Network;

/// A Python that has the one library that the example needs.
fn python() -> &'static str {
    let has_library = |python: &&str| {
        let mut check = Command::new(python);
        let check = check.args(["-c", "import cryptography"]).output();
        check.is_ok_and(|output| output.status.success())
    };
    let mut known = ["python3", "/usr/bin/python3"].into_iter();
    known
        .find(|python| has_library(python))
        .expect("a Python with `cryptography`: `make setup` installs Debian's")
}

fn create_asset(network: &Network, asset: &str, genesis: &Path) -> Output {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/create_asset.py");
    let status = network.ok(&["testnet", "status"]);
    let nodes = status["nodes"].as_array().unwrap().iter();
    let nodes = nodes.map(|node| node["api"].as_str().unwrap().to_owned());
    let mut command = Command::new(python());
    command.arg(example).arg(genesis);
    command.arg(network.path().join("keys/alice.pem"));
    command
        .arg(asset)
        .args(nodes)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

#[test]
fn the_golden_bytes_are_made_alike_in_another_language() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python");
    let mut command = Command::new(python());
    command
        .args(["-m", "unittest", "test_vectors"])
        .current_dir(example);
    let output = command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complained}");
}

#[test]
fn the_golden_receipt_is_believed_in_this_language_too() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/golden");
    let mut verify = common::logothete();
    verify.args(["verify", "receipt", "-o", "json", "--genesis"]);
    verify.arg(golden.join("genesis.json"));
    let output = verify.arg(golden.join("receipt.json")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\"ok\":true"), "{said}");
}

#[test]
fn a_client_written_from_the_document_creates_an_asset_and_verifies_its_receipt() {
    let network = Network::up();
    let genesis: PathBuf = network.path().join("genesis.json");
    let output = create_asset(&network, "asset7", &genesis);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{complained}");
    assert!(
        said.contains("VALID in block 1, receipt verified"),
        "{said}"
    );
    let read = network.ok(&["query", "asset", "ReadAsset", "asset7"]);
    assert!(read["response"].as_str().unwrap().contains("Tomoko"));

    // The contract's own refusal reaches it.
    let again = create_asset(&network, "asset7", &genesis);
    let complained = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        complained.contains("the asset asset7 already exists [CONTRACT_ERROR]"),
        "{complained}"
    );

    // With another genesis document, nothing of it is believed.
    let text = std::fs::read_to_string(&genesis).unwrap();
    let other = network.file("other.json");
    std::fs::write(&other, text.replace("\"testnet\"", "\"another\"")).unwrap();
    let refused = create_asset(&network, "asset8", &other);
    let complained = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(complained.contains("WRONG_NETWORK"), "{complained}");
}
