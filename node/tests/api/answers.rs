//! What the API answers when all is well: these keys are relied on.

use std::time::Duration;

use crypto::encode;
use ledger::{Proposal, ProposalResponse, StoredBlock, TransactionId};
use node::services::ConsensusStatus;
use serde_json::{Value, json};

use crate::common::{Node, OCTETS, alice};
use crate::services::json_bytes;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(AsRef::as_ref)
        .collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn status_says_where_the_node_stands() {
    let node = Node::start().await;
    node.put_now(1, "k", "v").await;
    node.client.submit(&node.put(2, "k", "w")).await.unwrap();
    node.consensus.send_replace(ConsensusStatus {
        view: 5,
        primary: 1,
        last_executed: 1,
        low_watermark: 1,
        high_watermark: 129,
        listening: true,
        catching_up: false,
        changing: false,
        suspects: true,
    });
    let (status, answer) = node.get("/v1/status").await;
    assert_eq!(status, 200);
    let tip = node.ledger.tip();
    let expected = json!({
        "node": { "id": 0, "name": "node0" },
        "network": "example",
        "network_id": node.genesis.network_id().to_string(),
        "view": 5, "primary": 1, "height": 1, "certified": 1,
        "block_hash": tip.hash.to_string(),
        "state_digest": tip.state_digest.to_string(),
        "last_executed": 1, "low_watermark": 1, "high_watermark": 129,
        "fault": null, "listening": true, "catching_up": false,
        "changing": false, "suspects": true,
        "peers": (1..4).map(|id| json!({
            "id": id, "name": format!("node{id}"), "connected": false
        })).collect::<Vec<_>>(),
        "pool": { "transactions": 1, "bytes": encode(&node.put(2, "k", "w")).len() },
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_block_has_the_keys_that_are_relied_on_by_number_by_hash_and_as_the_latest() {
    let node = Node::start().await;
    let transaction = node.put_now(1, "k", "v").await;
    let (_, block) = node.get("/v1/blocks/1").await;
    let expected = ["certificate", "hash", "header", "transactions"];
    assert_eq!(keys(&block), expected);
    let expected = [
        "number",
        "previous_hash",
        "results_root",
        "sequence",
        "state_digest",
        "timestamp_ms",
        "transactions_root",
    ];
    assert_eq!(keys(&block["header"]), expected);
    let shown = json!([{
        "transaction_id": transaction.proposal.id().to_string(), "code": "VALID",
        "contract": "kv", "function": "put", "args": ["k", "v"], "creator": "alice@org1",
        "endorsers": block["transactions"][0]["endorsers"],
    }]);
    assert_eq!(block["transactions"], shown);
    let mut endorsers: Vec<&str> = block["transactions"][0]["endorsers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    endorsers.sort_unstable();
    assert_eq!(endorsers, ["node0@org1", "node1@org2"]);
    assert_eq!(keys(&block["certificate"][2]), ["replica", "signature"]);
    let hash = block["hash"].as_str().unwrap();
    for name in ["latest", hash] {
        assert_eq!(node.get(&format!("/v1/blocks/{name}")).await.1, block);
    }
    let bytes = node.get_as("/v1/blocks/1", OCTETS).await.bytes().await;
    let bytes = bytes.unwrap();
    let stored: StoredBlock = crypto::decode(&bytes, bytes.len()).unwrap();
    assert_eq!(Some(stored), node.ledger.stored_block(1).unwrap());
}

#[tokio::test]
async fn a_list_of_blocks_is_the_newest_or_begins_where_it_is_told_to() {
    let node = Node::start().await;
    for _ in 0..5 {
        node.commit();
    }
    let numbers = async |query: &str| -> Vec<u64> {
        let (_, blocks) = node.get(&format!("/v1/blocks{query}")).await;
        let blocks = blocks.as_array().unwrap().iter();
        blocks
            .map(|block| block["header"]["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers("").await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(numbers("?limit=2").await, [4, 5]);
    assert_eq!(numbers("?from=1&limit=2").await, [1, 2]);
    assert_eq!(numbers("?from=4&limit=18446744073709551615").await, [4, 5]);
    for nothing in ["?from=6", "?from=18446744073709551615"] {
        assert!(numbers(nothing).await.is_empty(), "{nothing}");
    }
}

#[tokio::test]
async fn an_endorsement_and_an_answer_come_as_text_or_as_bytes() {
    let node = Node::start().await;
    node.put_now(1, "k", "value").await;
    let signed = node.proposal(2, "kv", ("put", &["k", "w"]));
    let body = json_bytes(&signed).to_string().into_bytes();
    let (status, answer) = node.post("/v1/proposals", "application/json", body).await;
    assert_eq!(status, 200);
    let endorsed: ProposalResponse = node.client.endorse(&signed).await.unwrap();
    let expected = json!({
        "transaction_id": signed.proposal.id().to_string(),
        "endorsement": {
            "endorser": endorsed.endorsement.endorser.to_string(),
            "signature": endorsed.endorsement.signature.signature.to_string(),
            "proof": { "index": 0, "size": 1, "path": [] },
        },
        "contract_version": 1,
        "key_policies": [],
        "rwset": hex::encode(encode(&endorsed.rwset)),
        "response": hex::encode(encode(&endorsed.response)),
        "payload": "",
    });
    assert_eq!(answer, expected);
    let asked = node.proposal(3, "kv", ("get", &["k"]));
    let answer = node.client.evaluate(&asked).await.unwrap();
    assert_eq!((answer.response.as_str(), answer.height), ("value", 1));
}

#[tokio::test]
async fn a_transaction_is_taken_once_and_its_receipt_proves_itself() {
    let node = Node::start().await;
    let transaction = node.put(1, "k", "v");
    let body = json_bytes(&transaction).to_string().into_bytes();
    let (status, answer) = node
        .post("/v1/transactions", "application/json", body)
        .await;
    let id = transaction.proposal.id();
    assert_eq!((status, &answer["committed"]), (202, &Value::Null));
    assert_eq!(answer["transaction_id"], id.to_string());
    let number = node.commit();
    node.certify(number);
    let bytes = encode(&transaction);
    let (status, answer) = node.post("/v1/transactions", OCTETS, bytes).await;
    let place = json!({ "block": 1, "index": 0, "code": "VALID" });
    assert_eq!((status, &answer["committed"]), (200, &place));

    let (_, shown) = node.get(&format!("/v1/transactions/{id}")).await;
    let expected = [
        "args",
        "block",
        "code",
        "contract",
        "contract_version",
        "creator",
        "endorsers",
        "events",
        "function",
        "index",
        "policies",
        "reads",
        "reason",
        "response",
        "transaction_id",
        "writes",
    ];
    assert_eq!(keys(&shown), expected);
    let (network, attesters) = (node.genesis.network_id(), node.genesis.attesters());
    let receipt = node.client.receipt(&id, Duration::ZERO).await.unwrap();
    receipt.verify(&network, &attesters).unwrap();
    let (_, json) = node.get(&format!("/v1/transactions/{id}/receipt")).await;
    let same: ledger::Receipt = serde_json::from_value(json).unwrap();
    assert_eq!(same, receipt);
}

#[tokio::test]
async fn keys_may_hold_slashes_and_any_letters_and_system_keys_are_readable() {
    let node = Node::start().await;
    let keys = ["deb/pike/1-2/amd64", "ключ 8.0~1?#%2F", "ä"];
    for (nonce, key) in (1_u8..).zip(keys) {
        node.put_now(nonce, key, key).await;
        let state = node.client.state("kv", key).await.unwrap();
        assert_eq!((state.key.as_str(), state.value.as_str()), (key, key));
        assert_eq!(state.version.block, u64::from(nonce));
        assert_eq!(state.bytes, hex::encode(key));
        let history = node.client.history("kv", key).await.unwrap();
        assert_eq!(history.entries.len(), 1);
    }
    let key = alice().public().to_string();
    let (status, member) = node.get(&format!("/v1/state/_members/{key}")).await;
    assert_eq!((status, &member["contract"]), (200, &json!("_members")));
}

#[tokio::test]
async fn a_node_is_ready_with_a_quorum_and_says_what_it_lacks() {
    let alone = Node::start_with(1, node::api::ApiLimits::default()).await;
    let ready = json!({ "ready": true, "reasons": [] });
    assert_eq!(alone.get("/readyz").await, (200, ready));
    alone
        .consensus
        .send_modify(|status| status.catching_up = true);
    let (status, answer) = alone.get("/readyz").await;
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(
        status == 503 && reason.contains("fetching blocks"),
        "{reason}"
    );
    alone.consensus.send_modify(|status| {
        (status.catching_up, status.listening) = (false, true);
    });
    let (status, answer) = alone.get("/readyz").await;
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(
        status == 503 && reason.contains("does not vote yet"),
        "{reason}"
    );
    let without = Node::start().await;
    let (status, answer) = without.get("/readyz").await;
    let reason = answer["reasons"][0].as_str().unwrap();
    assert!(
        status == 503 && reason.contains("a quorum is 3"),
        "{reason}"
    );
    assert_eq!(without.get("/healthz").await.0, 200, "alive, if not ready");
}

#[tokio::test]
async fn the_network_and_what_is_counted_are_told() {
    let node = Node::start().await;
    let (_, document) = node.get("/v1/network").await;
    let expected: Value = serde_json::from_str(&node.genesis.to_json()).unwrap();
    assert_eq!(document, expected);
    let metrics = node.get_as("/metrics", "*/*").await;
    let kind = metrics.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(metrics.text().await.unwrap().ends_with("# EOF\n"));
}

#[tokio::test]
async fn whatever_the_document_describes_is_there() {
    let node = Node::start().await;
    let (_, document) = node.get("/v1/openapi.json").await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let there = path
            .replace("{id}", &TransactionId(crypto::Digest([1; 32])).to_string())
            .replace("{block}", "7")
            .replace("{contract}", "kv")
            .replace("{key}", "k");
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" if path == "/v1/events" => continue,
                "get" => node.get(&there).await,
                _ => node.post(&there, OCTETS, Vec::new()).await,
            };
            let message = answer.1["error"]["message"].as_str().unwrap_or_default();
            assert!(!message.contains("under this path"), "{path}");
            assert_ne!(answer.0, 405, "{path}");
        }
    }
}

#[tokio::test]
async fn one_who_is_no_member_any_more_is_shown_by_key() {
    let node = Node::start().await;
    let stranger = crypto::SigningKey::from_seed(&[7; 32]);
    let members = node.put(1, "k", "v");
    let proposal = Proposal {
        creator: stranger.public(),
        ..members.proposal
    };
    let network = node.genesis.network_id();
    let action = ledger::EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: members.contract_version,
        rwset: members.rwset,
        response: members.response,
    };
    let endorsed = ProposalResponse::endorse(action, &network, &crate::common::replica_key(0));
    let transaction =
        ledger::Transaction::from_responses(proposal, vec![endorsed], &stranger).unwrap();
    node.client.submit(&transaction).await.unwrap();
    node.commit();
    let block = node.client.block("latest").await.unwrap();
    assert_eq!(block.transactions[0].code, "UNKNOWN_CREATOR");
    assert_eq!(block.transactions[0].creator, stranger.public().to_string());
    assert_eq!(block.certificate, [], "nobody has attested it yet");
}
