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

/// A network whose first node can be made to lie.
struct Liar {
    network: Network,
    nodes: String,
    api: String,
}

impl Liar {
    fn up() -> Self {
        let network = Network::up();
        Self {
            nodes: fs::read_to_string(network.path().join("network.toml")).unwrap(),
            api: common::http::ports(&network, 0).0,
            network,
        }
    }

    /// What a command that asks this node comes to where it lies so about this path.
    #[track_caller]
    fn caught(&self, path: &str, lie: (&str, &str), args: &[&str]) {
        let relay = relay(&self.api, path, lie);
        let file = self.network.path().join("network.toml");
        fs::write(&file, self.nodes.replace(&self.api, &relay)).unwrap();
        let refused = self.network.output(&[args, &["--node", "node0"]].concat());
        let told = String::from_utf8_lossy(&refused.stdout);
        assert_eq!(refused.status.code(), Some(5), "{lie:?}: {told}");
        fs::write(&file, &self.nodes).unwrap();
    }

    /// Has a call of `asset` endorsed, and gives the file of the transaction.
    fn endorsed(&self, name: &str, call: &[&str]) -> String {
        let files =
            ["proposal", "transaction"].map(|step| self.network.file(&format!("{step}-{name}")));
        let [proposal, transaction] = files.each_ref().map(|file| file.to_str().unwrap());
        let propose = [&["tx", "propose", "asset"], call, &["--out", proposal]].concat();
        self.network.ok(&propose);
        self.network
            .ok(&["tx", "endorse", proposal, "--out", transaction]);
        transaction.to_owned()
    }
}

const CREATE: [&str; 8] = [
    "tx",
    "submit",
    "asset",
    "CreateAsset",
    "a",
    "blue",
    "5",
    "Max",
];

/// What a node says of a transaction is held against bytes and receipts, word for word.
#[test]
fn what_one_node_tells_of_a_transaction_is_not_believed() {
    let liar = Liar::up();
    let network = &liar.network;
    network.ok(&[&CREATE[..], &["300"]].concat());
    let steps = ["one", "two"].map(|owner| liar.endorsed(owner, &["TransferAsset", "a", owner]));
    let first = network.ok(&["tx", "send", &steps[0]]);
    let late = network.ends(&["tx", "send", &steps[1]], 3);
    let id = text(&late, "transaction_id");
    network.await_one_state();
    let explain = ["tx", "explain", id];
    let explained = network.ok(&[&explain[..], &["--node", "node0"]].concat());
    assert_eq!(explained["hearsay"], false);

    let (writer, place) = (text(&first, "transaction_id"), &late["block"]);
    let other_writer = writer.chars().rev().collect::<String>();
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
        liar.caught(&format!("/v1/transactions/{id}"), lie, &explain);
    }
}

/// That a key was deleted where a node says so is proven; that it was the last time is
/// not, and is not said to be.
#[test]
fn a_deletion_that_was_none_is_not_believed() {
    let liar = Liar::up();
    let network = &liar.network;
    let created = network.ok(&[&CREATE[..], &["300"]].concat());
    let late = liar.endorsed("late", &["TransferAsset", "a", "one"]);
    let deleted = network.ok(&["tx", "submit", "asset", "DeleteAsset", "a"]);
    let late = network.ends(&["tx", "send", &late], 3);
    let id = text(&late, "transaction_id");
    network.await_one_state();
    let explain = ["tx", "explain", id];
    let explained = network.ok(&[&explain[..], &["--node", "node0"]].concat());
    assert_eq!(explained["hearsay"], true);
    let place = |done: &Value| format!("\"written\":{{\"place\":{{\"block\":{}", done["block"]);
    let ids = [&deleted, &created].map(|done| text(done, "transaction_id"));
    let places = [&deleted, &created].map(place);
    for lie in [(ids[0], ids[1]), (&places[0], &places[1])] {
        liar.caught(&format!("/v1/transactions/{id}"), lie, &explain);
    }
}

/// What was followed once stands, and so does what a quorum has attested.
#[test]
fn another_chain_than_was_followed_or_attested_is_not_believed() {
    let liar = Liar::up();
    let network = &liar.network;
    let put = |key: &str| network.ok(&["tx", "submit", "kv", "put", key, "1"]);
    let first = put("a");
    let (file, block) = (network.file("receipt"), first["block"].to_string());
    let file = file.to_str().unwrap();
    let id = text(&first, "transaction_id");
    network.ok(&["tx", "receipt", id, "--out", file]);
    put("b");
    network.await_one_state();
    let light = ["light", "--receipt", file];
    network.ok(&light);
    let header = &network.ok(&["block", "get", &block])["header"];
    let digest = text(header, "state_digest");
    let other = digest.chars().rev().collect::<String>();
    liar.caught("/v1/headers", (digest, &other), &light);

    let height = network.ok(&["block", "get", "latest"])["header"]["number"].to_string();
    let certified = format!("\"certified\":{height}");
    let more = certified.replace(|digit: char| digit.is_ascii_digit(), "9");
    liar.caught("/v1/status", (&certified, &more), &["verify", "chain"]);
}
