//! Many calls in one: each is answered as if it had come alone.

use crypto::{decode, encode};
use futures::future::join_all;
use ledger::ProposalResponse;
use node::api::ApiLimits;
use node::api::types::{Answer, ErrorAnswer, SubmitAnswer};

use crate::common::{Node, OCTETS};
use crate::refusals::assert_refused;

async fn together(node: &Node, what: &str, calls: &Vec<Vec<u8>>) -> Vec<Answer> {
    let path = format!("/v1/{what}/together");
    let (status, bytes) = node.post_for_bytes(&path, encode(calls)).await;
    assert_eq!(status, 200);
    decode(&bytes, bytes.len()).unwrap()
}

fn code(answer: &Answer) -> (u16, String) {
    let refused: ErrorAnswer = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, refused.error.code)
}

#[tokio::test]
async fn proposals_that_come_together_are_answered_as_if_alone() {
    let node = Node::start().await;
    let first = node.proposal(1, "kv", ("put", &["k", "v"]));
    let refused = node.proposal(2, "asset", ("ReadAsset", &["asset1"]));
    let mut forged = first.clone();
    forged.proposal.args[1] = "w".to_owned();
    let last = node.proposal(3, "kv", ("put", &["l", "v"]));
    let all = [&first, &refused, &forged, &last].map(encode);
    let calls = [all.to_vec(), vec![vec![0xff; 9]]].concat();
    let answers = together(&node, "proposals", &calls).await;
    assert_eq!(answers.len(), 5);
    let mut signatures = Vec::new();
    for (answer, signed) in [(&answers[0], &first), (&answers[3], &last)] {
        assert_eq!(answer.status, 200);
        let alone = node.client.endorse(signed).await.unwrap();
        let here: ProposalResponse = decode(&answer.body, answer.body.len()).unwrap();
        assert_eq!(here.action(), alone.action());
        here.verify(&signed.proposal.network).unwrap();
        signatures.push(here.endorsement.signature.signature);
    }
    assert_eq!(signatures[0], signatures[1]);
    assert_eq!(code(&answers[1]), (422, "CONTRACT_ERROR".to_owned()));
    assert_eq!(code(&answers[2]), (400, "BAD_SIGNATURE".to_owned()));
    assert_eq!(answers[4].status, 400);
    assert!(together(&node, "proposals", &vec![]).await.is_empty());
}

#[tokio::test]
async fn transactions_that_come_together_are_answered_as_if_alone() {
    let node = Node::start().await;
    let committed = node.put_now(1, "k", "v").await;
    let fresh = node.put(2, "k", "w");
    let mut unsigned = node.put(3, "k", "x");
    unsigned.signature.signature.0 = [0; 64];
    let calls = [&committed, &fresh, &unsigned].map(encode).to_vec();
    let answers = together(&node, "transactions", &calls).await;
    let taken = |answer: &Answer| -> SubmitAnswer { serde_json::from_slice(&answer.body).unwrap() };
    assert_eq!(answers[0].status, 200);
    assert_eq!(taken(&answers[0]).committed.unwrap().block, 1);
    assert_eq!(answers[1].status, 202);
    let id = fresh.proposal.id().to_string();
    assert_eq!(taken(&answers[1]).transaction_id, id);
    assert_eq!(code(&answers[2]), (400, "BAD_SIGNATURE".to_owned()));
}

#[tokio::test]
async fn a_list_that_is_none_or_too_long_is_refused_whole() {
    let node = Node::start().await;
    for what in ["proposals", "transactions"] {
        let path = format!("/v1/{what}/together");
        for bytes in [encode(&vec![vec![0_u8]; 65]), vec![0xff; 8]] {
            let answer = node.post(&path, OCTETS, bytes).await;
            assert_refused(&answer, 400, "BAD_REQUEST");
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_for_much_at_a_time_gets_each_answer() {
    let node = Node::start().await;
    let keys: Vec<String> = (0..150).map(|at| format!("k{at}")).collect();
    let signed = (0..).zip(&keys);
    let signed: Vec<_> = signed
        .map(|(nonce, key)| node.proposal(nonce, "kv", ("put", &[key, "v"])))
        .collect();
    let answers = join_all(signed.iter().map(|each| node.client.endorse(each))).await;
    for (answer, signed) in answers.into_iter().zip(&signed) {
        let answer = answer.unwrap();
        assert_eq!(answer.transaction_id, signed.proposal.id());
    }
}

/// What a call may have is agreed on, and is often less than many calls have.
#[tokio::test]
async fn many_calls_may_be_longer_than_one_may_be() {
    let limits = ApiLimits {
        max_body_bytes: 2000,
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    let signed: Vec<_> = (0..100)
        .map(|nonce| node.proposal(nonce, "kv", ("put", &["k", "v"])))
        .collect();
    let answers = join_all(signed.iter().map(|each| node.client.endorse(each))).await;
    for answer in answers {
        answer.unwrap();
    }
    for what in ["proposals", "transactions"] {
        let path = format!("/v1/{what}/together");
        let answer = node.post(&path, OCTETS, vec![0; 1024 * 1024]).await;
        assert_refused(&answer, 413, "TOO_LARGE");
    }
}

/// A client that comes alone would find no room.
#[tokio::test]
async fn many_requests_of_many_calls_do_not_take_all_the_room_there_is() {
    let node = Node::start().await;
    let calls = vec![vec![0xff]; 64];
    let requests = (0..20).map(|_| together(&node, "transactions", &calls));
    for answers in join_all(requests).await {
        assert!(answers.iter().all(|answer| answer.status == 400));
    }
}

/// Small calls have long answers, which wait here for whoever reads them slowly.
#[tokio::test]
async fn long_answers_are_not_given_all_at_once() {
    let node = Node::start().await;
    node.put_now(1, "k", &"v".repeat(100_000)).await;
    let signed = (0..64).map(|nonce| node.proposal(nonce, "kv", ("get", &["k"])));
    let mut calls: Vec<_> = signed.map(|each| encode(&each)).collect();
    let mut rounds = 0;
    while !calls.is_empty() {
        let answers = together(&node, "proposals", &calls).await;
        let length: usize = answers.iter().map(|answer| answer.body.len()).sum();
        assert!(length < 5 * 1024 * 1024);
        let answered = answers.iter().take_while(|it| it.status == 200).count();
        for refused in &answers[answered..] {
            assert_eq!(code(refused), (429, "BUSY".to_owned()));
        }
        calls.drain(..answered);
        rounds += 1;
    }
    assert_eq!(rounds, 2);
}

#[tokio::test]
async fn a_node_without_room_for_transactions_endorses_none() {
    let node = Node::start().await;
    *node.scripted.pool_is_full.lock().unwrap() = true;
    let signed = node.proposal(1, "kv", ("put", &["k", "v"]));
    let answer = node.post("/v1/proposals", OCTETS, encode(&signed)).await;
    assert_refused(&answer, 429, "POOL_FULL");
    *node.scripted.pool_is_full.lock().unwrap() = false;
    node.client.endorse(&signed).await.unwrap();
}
