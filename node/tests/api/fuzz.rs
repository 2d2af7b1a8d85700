//! Whatever is asked, there is an answer, and the node goes on (D8).

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::common::{Node, OCTETS};

const JSON: &str = "application/json";

/// Every route, its parameters still to be filled in.
const ROUTES: [&str; 21] = [
    "/v1/blocks",
    "/v1/blocks/{}",
    "/v1/contracts",
    "/v1/evaluate",
    "/v1/events",
    "/v1/evidence",
    "/v1/evidence/{}",
    "/v1/headers",
    "/v1/history/{}/{}",
    "/v1/members",
    "/v1/proposals",
    "/v1/proposals/together",
    "/v1/state/{}",
    "/v1/state/{}/{}",
    "/v1/testing/cut",
    "/v1/testing/fault",
    "/v1/transactions",
    "/v1/transactions/together",
    "/v1/transactions/{}",
    "/v1/transactions/{}/receipt",
    "/v1/views/{}",
];

/// All but how long to wait, which is up to a minute.
const PARAMETERS: [&str; 12] = [
    "from",
    "from_block",
    "from_index",
    "limit",
    "start",
    "end",
    "after",
    "prefix",
    "creator",
    "contract",
    "event",
    "x",
];

#[derive(Clone, Debug)]
struct Asked {
    is_post: bool,
    path: String,
    kind: &'static str,
    body: Vec<u8>,
}

/// What stands in the place of a parameter: what there is, or nearly, or anything.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["kv", "_members", "a", "latest", "", "true"])
            .prop_map(str::to_owned),
        any::<u64>().prop_map(|number| number.to_string()),
        (0..4_u8).prop_map(|number| number.to_string()),
        "[0-9a-f]{63,65}",
        "[0-9]{1,3}[.:/-][0-9]{1,3}",
        prop::collection::vec("%[0-9a-f]{2}", 0..24).prop_map(|bytes| bytes.concat()),
    ]
}

/// What is sent: one of these with a byte or two altered or missing, or anything.
fn body(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let cut = prop::option::of(any::<prop::sample::Index>());
    let at = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let altered = (prop::sample::select(good), at, cut).prop_map(|(mut bytes, altered, cut)| {
        for (at, to) in altered {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    });
    prop_oneof![3 => altered, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn asked(good: Vec<Vec<u8>>) -> impl Strategy<Value = Asked> {
    let parameters = prop::collection::vec((prop::sample::select(&PARAMETERS), word()), 0..3);
    let path = (
        prop::sample::select(&ROUTES),
        prop::collection::vec(word(), 2),
        parameters,
    );
    let path = path.prop_map(|(route, words, parameters)| {
        let filled = words
            .iter()
            .fold(route.to_owned(), |path, word| path.replacen("{}", word, 1));
        let parameters = parameters
            .iter()
            .map(|(name, word)| format!("{name}={word}"));
        format!("{filled}?{}", parameters.collect::<Vec<_>>().join("&"))
    });
    let kind = prop::sample::select(vec![JSON, OCTETS]);
    (any::<bool>(), path, kind, body(good)).prop_map(|(is_post, path, kind, body)| Asked {
        is_post,
        path,
        kind,
        body,
    })
}

#[test]
fn whatever_is_asked_no_answer_is_that_the_node_failed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let node = runtime.block_on(Node::start());
    runtime.block_on(node.put_now(1, "a", "1"));
    let proposal = crypto::encode(&node.proposal(2, "kv", ("put", &["b", "2"])));
    let transaction = crypto::encode(&node.put(3, "c", "3"));
    let in_hex = |bytes: &[u8]| serde_json::json!({ "bytes": hex::encode(bytes) }).to_string();
    let documents = [&proposal, &transaction].map(|bytes| in_hex(bytes).into_bytes());
    let good = [vec![proposal, transaction], documents.to_vec()].concat();
    let seen = RefCell::new(BTreeSet::new());
    let asking = TestRunner::default().run(&asked(good), |asked| {
        let status = node.status_of(asked.is_post, &asked.path, asked.kind, asked.body);
        let status = runtime.block_on(status);
        seen.borrow_mut().insert(status);
        prop_assert!(status < 500, "{status}");
        Ok(())
    });
    asking.unwrap();
    let all_kinds = [200, 400, 404, 405]
        .iter()
        .all(|status| seen.borrow().contains(status));
    assert!(all_kinds, "{seen:?}");
    assert_eq!(runtime.block_on(node.get("/v1/status")).0, 200);
}
