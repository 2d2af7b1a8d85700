//! A node that lies to whoever asks it what is in the chain.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use common::Network;
use serde_json::Value;

/// Answers as the API at `behind` does, and where a question is about this path, with
/// one text in the place of another of the same length.
fn relay(behind: &str, path: &str, (truth, lie): (&str, &str)) -> String {
    assert_eq!(truth.len(), lie.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = [" ", "?"].map(|after| format!("GET {path}{after}"));
    let (behind, truth, lie) = (behind.to_owned(), truth.to_owned(), lie.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let question = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
            let mut node = TcpStream::connect(&behind).unwrap();
            node.write_all(question.as_bytes()).unwrap();
            let mut answer = Vec::new();
            node.read_to_end(&mut answer).unwrap();
            if asked.iter().any(|asked| head.starts_with(asked)) {
                let text = String::from_utf8(answer).unwrap();
                assert!(text.contains(&truth), "{truth} in {text}");
                answer = text.replace(&truth, &lie).into_bytes();
            }
            // Whoever asked may have heard enough.
            let _ = stream.write_all(&answer);
        }
    });
    address.to_string()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// What a node says of a transaction is held against bytes and receipts, word for word.
#[test]
fn what_one_node_tells_of_a_transaction_is_not_believed() {
    let network = Network::up();
    let asset = [
        "tx",
        "submit",
        "asset",
        "CreateAsset",
        "a",
        "blue",
        "5",
        "Max",
        "300",
    ];
    network.ok(&asset);
    let steps = ["one", "two"].map(|owner| {
        let files =
            ["proposal", "transaction"].map(|step| network.file(&format!("{step}-{owner}")));
        let [proposal, transaction] = files.each_ref().map(|file| file.to_str().unwrap());
        let call = [
            "tx",
            "propose",
            "asset",
            "TransferAsset",
            "a",
            owner,
            "--out",
        ];
        network.ok(&[&call[..], &[proposal]].concat());
        network.ok(&["tx", "endorse", proposal, "--out", transaction]);
        transaction.to_owned()
    });
    let first = network.ok(&["tx", "send", &steps[0]]);
    let late = network.ends(&["tx", "send", &steps[1]], 3);
    let id = text(&late, "transaction_id");
    network.await_one_state();
    network.ok(&["tx", "explain", id, "--node", "node0"]);

    let (writer, place) = (text(&first, "transaction_id"), &late["block"]);
    let other_writer = writer.chars().rev().collect::<String>();
    let file = network.path().join("network.toml");
    let nodes = fs::read_to_string(&file).unwrap();
    let api = common::http::ports(&network, 0).0;
    let place = format!("\"block\":{place}");
    let other_place = place.replace(|digit: char| digit.is_ascii_digit(), "9");
    for lie in [
        ("\"key\":\"a\"", "\"key\":\"b\""),
        ("alice@org1", "carol@org1"),
        ("\"two\"", "\"one\""),
        ("node0@org1", "node3@org4"),
        ("TransferAsset", "RetireAllOf!?"),
        (writer, &other_writer),
        (&place, &other_place),
        ("MVCC_READ_CONFLICT", "VALID\"   ,  \"x\":\"y"),
    ] {
        let path = format!("/v1/transactions/{id}");
        let relay = relay(&api, &path, lie);
        fs::write(&file, nodes.replace(&api, &relay)).unwrap();
        let refused = network.ends(&["tx", "explain", id, "--node", "node0"], 5);
        assert_eq!(refused["error"]["code"], "VERIFICATION_FAILED", "{lie:?}");
    }
    fs::write(&file, nodes).unwrap();
}
