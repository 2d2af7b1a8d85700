//! Members and policies change while the network runs, by what admins sign.

mod common;

use std::fs;

use common::Network;
use crypto::SharedSignature;
use ledger::UnsignedTransaction;
use serde_json::Value;

fn put(network: &Network, key: &str, name: &str, exit: i32) -> Value {
    network.ends(&["tx", "submit", "kv", "put", key, "1", "--as", name], exit)
}

/// The verdict on a transaction, as each of the nodes tells it.
fn codes(network: &Network, id: &str) -> Vec<String> {
    let nodes = ["node0", "node1", "node2", "node3"];
    let code = |node| {
        let waited = format!("tx={id}");
        network.ok(&["wait", "--for", &waited, "--timeout", "120", "--node", node]);
        let shown = network.ok(&["tx", "get", id, "--node", node]);
        shown["code"].as_str().unwrap().to_owned()
    };
    nodes.map(code).to_vec()
}

#[test]
fn an_admin_enrolls_revokes_and_rotates_the_members_of_its_organisation() {
    let network = Network::up();
    put(&network, "a", "carol", 2);
    let admin = ["--as", "org1-admin"];
    let enroll =
        |name: &str, exit| network.ends(&[&["member", "enroll", name][..], &admin].concat(), exit);
    let enrolled = enroll("carol", 0);
    assert_eq!(enrolled["code"], "VALID");
    assert_eq!(put(&network, "a", "carol", 0)["code"], "VALID");
    let refused = enroll("carol", 7);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("the name carol is taken"), "{refused}");
    put(&network, "b", "carol", 0);
    let refused = network.ends(&["member", "revoke", "carol", "--as", "bob"], 7);
    assert_eq!(refused["error"]["code"], "CONTRACT_ERROR");

    // Endorsed before, handed in after the revocation: ordered, and of no effect.
    let (proposal, transaction) = (network.file("proposal"), network.file("transaction"));
    let (proposal, transaction) = (proposal.to_str().unwrap(), transaction.to_str().unwrap());
    let call = [
        "tx", "propose", "kv", "put", "c", "1", "--as", "carol", "--out", proposal,
    ];
    network.ok(&call);
    let endorse = [
        "tx",
        "endorse",
        proposal,
        "--as",
        "carol",
        "--out",
        transaction,
    ];
    network.ok(&endorse);
    // One of the nodes hears of it only when all is over.
    network.ok(&["testnet", "kill", "3"]);
    let before = put(&network, "e", "carol", 0);
    network.ok(&[&["member", "revoke", "carol"][..], &admin].concat());
    let sent = network.ends(&["tx", "send", transaction], 3);
    assert_eq!(sent["code"], "CREATOR_REVOKED");
    network.ok(&["testnet", "restart", "3"]);
    let id = before["transaction_id"].as_str().unwrap();
    assert_eq!(codes(&network, id), ["VALID"; 4]);
    let id = sent["transaction_id"].as_str().unwrap();
    assert_eq!(codes(&network, id), ["CREATOR_REVOKED"; 4]);
    let receipt = network.file("receipt");
    let receipt = receipt.to_str().unwrap();
    network.ok(&["tx", "receipt", id, "--out", receipt]);
    let verified = network.ok(&["verify", "receipt", receipt]);
    assert_eq!(verified["code"], "CREATOR_REVOKED");
    let refused = put(&network, "d", "carol", 7);
    assert_eq!(refused["error"]["code"], "CREATOR_REVOKED");

    network.ok(&[&["member", "rotate", "carol"][..], &admin].concat());
    assert_eq!(put(&network, "d", "carol", 0)["code"], "VALID");
    let listed = network.ok(&["member", "list"]);
    let carol = listed["members"].as_array().unwrap().iter();
    let carol: Vec<_> = carol.filter(|of| of["name"] == "carol").collect();
    let revoked: Vec<_> = carol.iter().map(|of| &of["revoked"]).collect();
    assert_eq!(revoked, [&Value::from(true), &Value::from(false)]);

    // Whoever executes the chain again comes to the same members.
    network.await_one_state();
    let verified = network.ok(&["verify", "chain", "--node", "node3"]);
    assert_eq!(verified["ok"], true);
}

/// Of a transaction whose outcome was not known the new key may be in the ledger, and
/// the only copy of its other half on this disk.
#[test]
fn a_key_that_the_ledger_may_have_is_kept_until_it_has_its_place() {
    let network = Network::up();
    let keys = network.path().join("keys");
    let (place, beside) = (keys.join("bob.pem"), keys.join("bob.new.pem"));
    let rotate =
        |admin: &str, exit| network.ends(&["member", "rotate", "bob", "--as", admin], exit);
    let former = network.file("former.pem");
    fs::copy(&place, &former).unwrap();
    assert_eq!(rotate("org2-admin", 0)["code"], "VALID");
    let newer = fs::read(&place).unwrap();
    assert!(newer != fs::read(&former).unwrap() && !beside.exists());

    // As it is after a rotation that was ordered and not heard of.
    network.await_one_state();
    fs::rename(&place, &beside).unwrap();
    fs::copy(&former, &place).unwrap();
    put(&network, "a", "bob", 7);
    assert_eq!(rotate("org2-admin", 0)["already_committed"], true);
    assert!(fs::read(&place).unwrap() == newer && !beside.exists());
    put(&network, "a", "bob", 0);

    // What the ledger has not may still come there.
    network.ok(&["keygen", "--out", keys.join("other.pem").to_str().unwrap()]);
    fs::rename(keys.join("other.pem"), &beside).unwrap();
    let left = fs::read(&beside).unwrap();
    rotate("alice", 7);
    assert!(fs::read(&beside).unwrap() == left && fs::read(&place).unwrap() == newer);
    assert_eq!(rotate("org2-admin", 0)["code"], "VALID");
    assert!(fs::read(&place).unwrap() == left && !beside.exists());
    rotate("alice", 7);
    let made = fs::read(&beside).unwrap();
    assert_eq!(rotate("org2-admin", 0)["code"], "VALID");
    assert!(
        fs::read(&place).unwrap() == made,
        "what was made is not made again"
    );

    // A key that has another owner is nobody's new one.
    fs::copy(keys.join("alice.pem"), &beside).unwrap();
    let refused = rotate("org2-admin", 1);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("is alice's"), "{message}");
    assert!(beside.exists());
}

/// A peer whose key was revoked endorses no more, and clients ask others.
#[test]
fn without_a_peer_whose_key_was_revoked_clients_go_on() {
    let network = Network::up();
    // One that is cut off does not know of it, and endorses.
    network.ok(&["testnet", "partition", "0,1,2|3"]);
    network.ok(&["member", "revoke", "node3", "--as", "org4-admin"]);
    let file = network.file("calls");
    common::write_calls(&file, 40);
    let imported = network.ok(&["tx", "import", file.to_str().unwrap()]);
    assert_eq!(
        (&imported["valid"], &imported["failed"]),
        (&40.into(), &0.into())
    );
    network.ok(&["testnet", "heal"]);
    network.await_one_state();
    let refused = ["tx", "submit", "kv", "put", "a", "1", "--node", "node3"];
    assert_eq!(network.ok(&refused)["code"], "VALID", "others endorse");
}

#[test]
fn organisations_agree_on_a_policy_and_it_holds_from_then_on() {
    let network = Network::up();
    let wrong = network.ends(&["contract", "policy", "kv", "2 of (org1, orgx"], 2);
    let cause = wrong["error"]["cause"].as_str().unwrap();
    assert!(cause.ends_with('^'), "{cause}");
    let all = "4 of (org1, org2, org3, org4)";
    let vote = |organisation: &str| {
        let admin = format!("{organisation}-admin");
        let voted = network.ok(&["contract", "policy", "kv", all, "--as", &admin]);
        let response: Value = serde_json::from_str(voted["response"].as_str().unwrap()).unwrap();
        response["adopted"].as_bool().unwrap()
    };
    assert!(!vote("org1"));
    assert!(!vote("org2"));
    put(&network, "a", "alice", 0);
    assert!(vote("org3"), "three of four are more than half");
    let shown = network.ok(&["contract", "policy", "kv"]);
    let policy = "OutOf(4, 'org1.peer', 'org2.peer', 'org3.peer', 'org4.peer')";
    assert_eq!(shown["policy"], policy);

    // The client learns of it by itself, and one endorser less is too few.
    let done = put(&network, "b", "alice", 0);
    let shown = network.ok(&["tx", "get", done["transaction_id"].as_str().unwrap()]);
    assert_eq!(shown["endorsers"].as_array().unwrap().len(), 4);
    network.ok(&["testnet", "kill", "3"]);
    put(&network, "c", "alice", 6);
}

/// Endorsements are gathered where the key is not, and it signs where no network is.
#[test]
fn a_key_that_stays_offline_signs_proposal_and_transaction() {
    let (network, offline) = (Network::up(), Network::folder());
    let files = ["proposal.json", "unsigned.json", "tx.json"].map(|name| network.file(name));
    let [proposal, unsigned, transaction] = files.each_ref().map(|file| file.to_str().unwrap());
    std::fs::create_dir_all(offline.path().join("keys")).unwrap();
    for file in ["genesis.json", "network.toml"] {
        std::fs::copy(network.path().join(file), offline.path().join(file)).unwrap();
    }
    for key in ["keys/alice.pem", "keys/bob.pem"] {
        std::fs::rename(network.path().join(key), offline.path().join(key)).unwrap();
    }
    let call = ["tx", "propose", "kv", "put", "k", "v"];
    let made = offline.ok(&[&call[..], &["--as", "bob", "--out", proposal]].concat());
    let endorse = ["tx", "endorse", proposal, "--out"];
    network.ends(&[&endorse[..], &[transaction, "--as", "bob"]].concat(), 2);
    network.ok(&[&endorse[..], &[unsigned, "--unsigned"]].concat());
    network.ends(&["tx", "send", unsigned], 2);
    let sign = ["tx", "sign", unsigned, "--out", transaction, "--as"];
    offline.ends(&[&sign[..], &["alice"]].concat(), 2);
    // What bob has not proposed does not become his by coming from the network.
    let mut other: Value = serde_json::from_slice(&std::fs::read(unsigned).unwrap()).unwrap();
    let bytes = hex::decode(other["bytes"].as_str().unwrap()).unwrap();
    let read: (SharedSignature, UnsignedTransaction) = crypto::decode(&bytes, bytes.len()).unwrap();
    let (signature, mut transaction_of_others) = read;
    transaction_of_others.proposal.args[1] = "w".to_owned();
    let bytes = crypto::encode(&(signature, transaction_of_others));
    other["bytes"] = hex::encode(bytes).into();
    let forged = network.file("forged.json");
    std::fs::write(&forged, other.to_string()).unwrap();
    let refused = [
        "tx",
        "sign",
        forged.to_str().unwrap(),
        "--as",
        "bob",
        "--out",
    ];
    offline.ends(&[&refused[..], &[transaction]].concat(), 2);
    assert!(!std::path::Path::new(transaction).exists());
    let signed = offline.ok(&[&sign[..], &["bob"]].concat());
    assert_eq!(signed["transaction_id"], made["transaction_id"]);
    assert_eq!(signed["args"], serde_json::json!(["k", "v"]));
    assert_eq!(signed["writes"], serde_json::json!(["k"]));
    assert_eq!(network.ok(&["tx", "send", transaction])["code"], "VALID");
}
