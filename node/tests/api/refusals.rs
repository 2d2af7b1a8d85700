//! Every no has a status, a code, a sentence, and what to do.

use crypto::{SigningKey, encode};
use ledger::{Proposal, Transaction};
use node::api::{ApiLimits, ClientError};
use node::services::{EndorseFailure, SubmitError};
use serde_json::Value;

use crate::common::{Node, OCTETS, alice, replica_key};

const JSON: &str = "application/json";

#[track_caller]
pub(crate) fn assert_refused(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0, &answer.1["error"]["code"]),
        (status, &Value::from(code))
    );
    assert!(answer.1["error"]["message"].is_string(), "{}", answer.1);
}

#[tokio::test]
async fn calls_that_cannot_be_understood_are_bad_requests_in_the_form_of_all_refusals() {
    let node = Node::start().await;
    let paths = [
        "/v1/blocks/x",
        "/v1/blocks/-1",
        "/v1/blocks?limit=x",
        "/v1/blocks?from=18446744073709551616",
        "/v1/transactions/x",
        "/v1/transactions/x/receipt",
        "/v1/events?from=x",
        "/v1/state/kv/%FF",
        "/v1/history/kv/k?limit=-1",
        "/v1/history/kv/k?limit=0",
        "/v1/blocks?limit=0",
        "/v1/headers?from=0&limit=0",
        "/v1/views/x",
        "/v1/evidence/%FF",
    ];
    for path in paths {
        assert_refused(&node.get(path).await, 400, "BAD_REQUEST");
    }
    let bodies: [&[u8]; 5] = [
        b"",
        b"[",
        b"{\"bytes\": 1}",
        b"{\"bytes\": \"zz\"}",
        b"{\"bytes\": \"\", \"more\": 1}",
    ];
    for path in ["/v1/proposals", "/v1/evaluate", "/v1/transactions"] {
        for body in bodies {
            assert_refused(
                &node.post(path, JSON, body.to_vec()).await,
                400,
                "BAD_REQUEST",
            );
        }
        assert_refused(&node.post(path, OCTETS, Vec::new()).await, 400, "MALFORMED");
    }
    assert_refused(
        &node.post("/v1/status", JSON, Vec::new()).await,
        405,
        "BAD_REQUEST",
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let node = Node::start().await;
    let id = "1".repeat(64);
    let paths = [
        "/v1/nothing",
        "/v1/blocks/1",
        "/v1/state/kv/k",
        "/v1/state/nothing/k",
        &format!("/v1/blocks/{id}"),
        &format!("/v1/transactions/{id}"),
        &format!("/v1/transactions/{id}/receipt"),
    ];
    for path in paths {
        assert_refused(&node.get(path).await, 404, "NOT_FOUND");
    }
    let (status, history) = node.get("/v1/history/kv/k").await;
    assert_eq!((status, &history["entries"]), (200, &serde_json::json!([])));
}

#[tokio::test]
async fn a_proposal_is_refused_for_what_is_wrong_with_it() {
    let node = Node::start().await;
    let refused = async |bytes: Vec<u8>, status, code: &str| {
        for path in ["/v1/proposals", "/v1/evaluate"] {
            let answer = node.post(path, OCTETS, bytes.clone()).await;
            assert_refused(&answer, status, code);
        }
    };
    let good = node.proposal(1, "kv", ("put", &["k", "v"]));
    let signed_by = |key: &SigningKey| {
        let proposal = Proposal {
            creator: key.public(),
            ..good.proposal.clone()
        };
        encode(&proposal.sign(key))
    };
    let mut altered = good.clone();
    altered.proposal.args[1] = "w".to_owned();
    refused(encode(&altered), 400, "BAD_SIGNATURE").await;
    let mut elsewhere = good.proposal.clone();
    elsewhere.network = crypto::Digest([1; 32]);
    refused(encode(&elsewhere.sign(&alice())), 400, "WRONG_NETWORK").await;
    let stranger = SigningKey::from_seed(&[7; 32]);
    refused(signed_by(&stranger), 403, "UNKNOWN_CREATOR").await;
    refused(signed_by(&replica_key(0)), 403, "CREATOR_NOT_PERMITTED").await;
    let nothing = node.proposal(1, "nothing", ("put", &[]));
    refused(encode(&nothing), 404, "UNKNOWN_CONTRACT").await;
    let mut late = good.proposal.clone();
    late.valid_until_block = 0;
    refused(encode(&late.sign(&alice())), 422, "EXPIRED").await;
    node.post("/v1/transactions", OCTETS, vec![1]).await;
    let metrics = node.get_as("/metrics", "*/*").await.text().await.unwrap();
    for (reason, times) in [("UNKNOWN_CONTRACT", 2), ("EXPIRED", 2), ("MALFORMED", 1)] {
        let counted = format!("logothete_refusals_total{{reason=\"{reason}\"}} {times}\n");
        assert!(metrics.contains(&counted), "{counted}{metrics}");
    }
}

#[tokio::test]
async fn a_contracts_no_is_told_in_its_own_words() {
    let node = Node::start().await;
    let missing = node.proposal(1, "asset", ("ReadAsset", &["asset1"]));
    let error = node.client.endorse(&missing).await.unwrap_err();
    let ClientError::Refused { status, body } = error else {
        panic!("{error}");
    };
    let told = (status, body.code.as_str(), body.message.as_str());
    assert_eq!(
        told,
        (422, "CONTRACT_ERROR", "the asset asset1 does not exist")
    );
}

#[tokio::test]
async fn a_committed_proposal_is_not_endorsed_again_and_its_place_is_told() {
    let node = Node::start().await;
    let transaction = node.put_now(1, "k", "v").await;
    let again = transaction.proposal.sign(&alice());
    let answer = node.post("/v1/proposals", OCTETS, encode(&again)).await;
    assert_refused(&answer, 409, "ALREADY_COMMITTED");
    let place = serde_json::json!({ "block": 1, "index": 0, "code": "VALID" });
    assert_eq!(answer.1["error"]["committed"], place);
}

#[tokio::test]
async fn a_transaction_is_refused_for_what_is_wrong_with_it() {
    let node = Node::start().await;
    let good = node.put(1, "k", "v");
    let refused = async |transaction: &Transaction, code: &str| {
        let answer = node
            .post("/v1/transactions", OCTETS, encode(transaction))
            .await;
        assert_refused(&answer, 400, code);
    };
    let mut unsigned = good.clone();
    unsigned.signature.signature.0 = [0; 64];
    refused(&unsigned, "BAD_SIGNATURE").await;
    let mut elsewhere = good.clone();
    elsewhere.proposal.network = crypto::Digest([1; 32]);
    refused(&elsewhere, "WRONG_NETWORK").await;
    let mut without = good.clone();
    without.endorsements.clear();
    refused(&without, "NOT_ENDORSED").await;
    assert_eq!(node.scripted.pool.lock().unwrap().len(), 0);
    node.client.submit(&good).await.unwrap();
}

#[tokio::test]
async fn one_who_must_wait_is_told_so() {
    let node = Node::start().await;
    let transaction = encode(&node.put(1, "k", "v"));
    let unknown = SubmitError::UnknownCreator {
        creator: "00".to_owned(),
    };
    let stopping = SubmitError::NotReady {
        reason: "it is stopping".to_owned(),
    };
    let cases = [
        (SubmitError::PoolFull { held: 9 }, 429, "POOL_FULL"),
        (unknown, 403, "UNKNOWN_CREATOR"),
        (stopping, 503, "NOT_READY"),
    ];
    for (error, status, code) in cases {
        *node.scripted.next_submit.lock().unwrap() = Some(error);
        let answer = node
            .post("/v1/transactions", OCTETS, transaction.clone())
            .await;
        assert_refused(&answer, status, code);
    }
    let proposal = encode(&node.proposal(2, "kv", ("get", &["k"])));
    let broken = ledger::LedgerError::NoSuchBlock { number: 3 };
    let cases = [
        (EndorseFailure::Busy { limit: 4 }, 429, "BUSY"),
        (EndorseFailure::Stopping, 503, "NOT_READY"),
        (EndorseFailure::Ledger(broken), 503, "STORE_FAILURE"),
    ];
    for (failure, status, code) in cases {
        *node.scripted.next_endorse.lock().unwrap() = Some(failure);
        let answer = node.post("/v1/evaluate", OCTETS, proposal.clone()).await;
        assert_refused(&answer, status, code);
    }
    *node.scripted.next_submit.lock().unwrap() = Some(SubmitError::PoolFull { held: 9 });
    let request = reqwest::Client::new().post(node.url("/v1/transactions"));
    let answer = request.body(transaction).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
}

#[tokio::test]
async fn bodies_that_are_too_long_are_refused_unread() {
    let limits = ApiLimits {
        max_body_bytes: 1000,
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    for path in ["/v1/proposals", "/v1/evaluate", "/v1/transactions"] {
        for kind in [JSON, OCTETS] {
            let answer = node.post(path, kind, vec![b'a'; 1001]).await;
            assert_refused(&answer, 413, "TOO_LARGE");
        }
    }
    assert_eq!(node.get("/v1/status").await.0, 200);
}
