//! Reading what contracts hold by range, and who has made which transactions.

use crypto::SigningKey;
use node::api::client::{StateRange, TransactionsBy};
use node::api::types::VersionAnswer;
use serde_json::{Value, json};

use crate::common::{Node, alice};

fn keys(page: &Value) -> Vec<&str> {
    let rows = page["rows"].as_array().unwrap().iter();
    rows.map(|row| row["key"].as_str().unwrap()).collect()
}

async fn with_keys() -> Node {
    let node = Node::start().await;
    for (nonce, key) in (1_u8..).zip(["b", "a/1", "a/2", "a/ä", "c"]) {
        node.put_now(nonce, key, &format!("of {key}")).await;
    }
    node
}

#[tokio::test]
async fn a_range_comes_in_pages_that_say_which_block_they_are_of_and_where_to_go_on() {
    let node = with_keys().await;
    let (status, first) = node.get("/v1/state/kv?prefix=a%2F&limit=2").await;
    let tip = node.ledger.tip();
    let expected = json!({
        "contract": "kv", "height": 5, "block_hash": tip.hash.to_string(),
        "rows": [
            { "key": "a/1", "value": "of a/1", "bytes": hex::encode("of a/1"),
              "version": { "block": 2, "index": 0 }, "policy": null },
            { "key": "a/2", "value": "of a/2", "bytes": hex::encode("of a/2"),
              "version": { "block": 3, "index": 0 }, "policy": null },
        ],
        "next": "a/2",
    });
    assert_eq!((status, &first), (200, &expected));
    // Who puts pages together sees that the chain went on.
    node.put_now(6, "d", "of d").await;
    let (_, second) = node
        .get("/v1/state/kv?prefix=a%2F&limit=2&after=a%2F2")
        .await;
    assert_eq!(
        (keys(&second), &second["next"]),
        (vec!["a/ä"], &Value::Null)
    );
    assert_eq!(second["height"], 6);

    let asked = async |query: &str| {
        let (status, page) = node.get(&format!("/v1/state/kv{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        keys(&page).join(" ")
    };
    assert_eq!(asked("").await, "a/1 a/2 a/ä b c d");
    assert_eq!(asked("?start=b").await, "b c d");
    assert_eq!(asked("?end=b").await, "a/1 a/2 a/ä");
    assert_eq!(asked("?start=a%2F2&end=c").await, "a/2 a/ä b");
    assert_eq!(asked("?start=a%2F2&end=c&after=b").await, "");
    assert_eq!(asked("?after=b").await, "c d");
    assert_eq!(asked("?after=zzz").await, "");
    assert_eq!(asked("?prefix=").await, "a/1 a/2 a/ä b c d");
    assert_eq!(asked("?prefix=x").await, "");
    // What a contract of the system holds is no secret either.
    let (status, members) = node.get("/v1/state/_members?prefix=name%2Falice").await;
    assert_eq!((status, keys(&members)), (200, vec!["name/alice"]));
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_refused() {
    let node = with_keys().await;
    for query in [
        "prefix=a&start=a",
        "prefix=a&end=b",
        "start=b&end=b",
        "start=b&end=a",
        "limit=0",
        "limit=x",
    ] {
        let (status, answer) = node.get(&format!("/v1/state/kv?{query}")).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("BAD_REQUEST")),
            "{query}"
        );
    }
    for contract in ["nothing", "no%20name", "_other", "_organisations"] {
        let (status, _) = node.get(&format!("/v1/state/{contract}")).await;
        assert_eq!(status, 404, "{contract}");
    }
}

#[tokio::test]
async fn a_page_ends_early_rather_than_grow() {
    let node = Node::start().await;
    let value = "v".repeat(120_000);
    for nonce in 1..=40_u8 {
        node.put_now(nonce, &format!("{nonce:02}"), &value).await;
    }
    let (mut range, mut sizes, mut seen) = (StateRange::default(), Vec::new(), Vec::new());
    loop {
        let page = node.client.state_range("kv", &range, 1000).await.unwrap();
        sizes.push(page.rows.len());
        seen.extend(page.rows.into_iter().map(|row| row.key));
        range.after = page.next;
        if range.after.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (1..=40).map(|nonce| format!("{nonce:02}")).collect();
    assert_eq!(seen, expected);
    assert!(sizes.len() > 1, "{sizes:?}");
}

#[tokio::test]
async fn a_value_comes_with_the_block_after_which_it_is_the_value() {
    let node = with_keys().await;
    let hash = node.ledger.tip().hash.to_string();
    let state = node.client.state("kv", "b").await.unwrap();
    assert_eq!((state.height, &state.block_hash), (5, &hash));
    let (_, missing) = node.get("/v1/state/kv/none").await;
    let cause = missing["error"]["cause"].as_str().unwrap();
    assert!(
        cause.contains("block 5") && cause.contains(&hash),
        "{cause}"
    );
}

/// Blocks of alice and of a stranger: 1 holds one that came twice, 2 one of each.
async fn with_transactions() -> (Node, Vec<String>, SigningKey) {
    let node = Node::start().await;
    let stranger = SigningKey::from_seed(&[7; 32]);
    let twice = node.put(1, "k", "v");
    let calls = [
        node.announce(&alice(), 2, "token", &[]),
        node.announce(&stranger, 3, "kv", &[]),
        node.announce(&alice(), 4, "kv", &[]),
    ];
    node.client.submit(&twice).await.unwrap();
    node.client.submit(&twice).await.unwrap();
    node.commit();
    for call in &calls {
        node.client.submit(call).await.unwrap();
    }
    node.commit();
    let all = [&[twice], &calls[..]].concat();
    let ids = all.iter().map(|it| it.proposal.id().to_string());
    (node, ids.collect(), stranger)
}

fn places(listing: &Value) -> Vec<(u64, u64, String)> {
    let listed = listing["transactions"].as_array().unwrap().iter();
    listed
        .map(|it| {
            let code = it["code"].as_str().unwrap().to_owned();
            (
                it["block"].as_u64().unwrap(),
                it["index"].as_u64().unwrap(),
                code,
            )
        })
        .collect()
}

#[tokio::test]
async fn transactions_are_listed_by_creator_and_by_contract_the_newest_first() {
    let (node, ids, stranger) = with_transactions().await;
    let (status, listing) = node.get("/v1/transactions?creator=alice@org1").await;
    let by_alice = [(2, 2, "VALID"), (2, 0, "VALID"), (1, 0, "VALID")];
    let by_alice = by_alice.map(|(block, index, code)| (block, index, code.to_owned()));
    assert_eq!((status, places(&listing)), (200, by_alice.to_vec()));
    assert_eq!(
        (&listing["height"], &listing["next"]),
        (&json!(2), &Value::Null)
    );
    let shown = &listing["transactions"][2];
    let expected = json!({
        "block": 1, "index": 0, "transaction_id": ids[0], "code": "VALID", "contract": "kv",
        "function": "put", "args": ["k", "v"], "creator": "alice@org1",
        "endorsers": shown["endorsers"],
    });
    assert_eq!(shown, &expected);
    for same in ["alice", &alice().public().to_string()] {
        let (_, also) = node.get(&format!("/v1/transactions?creator={same}")).await;
        assert_eq!(also, listing, "{same}");
    }
    let asked = async |query: &str| places(&node.get(&format!("/v1/transactions?{query}")).await.1);
    // Those that did not take effect, too, whoever made them.
    let refused = (2, 1, "UNKNOWN_CREATOR".to_owned());
    let key = stranger.public();
    assert_eq!(
        asked(&format!("creator={key}")).await,
        std::slice::from_ref(&refused)
    );
    let kv = [by_alice[0].clone(), refused, by_alice[2].clone()];
    assert_eq!(asked("contract=kv").await, kv);
    assert_eq!(
        asked("contract=kv&creator=alice").await,
        [kv[0].clone(), kv[2].clone()]
    );
    assert_eq!(asked("contract=none").await, []);
    assert_eq!(asked("contract=kv&from_block=1").await, kv[2..]);
    assert_eq!(
        asked("contract=kv&from_block=2&from_index=1").await,
        kv[1..]
    );
}

#[tokio::test]
async fn a_list_of_transactions_goes_on_where_its_last_part_says() {
    let (node, _, _) = with_transactions().await;
    let by = TransactionsBy {
        contract: Some("kv".to_owned()),
        creator: None,
    };
    let all = node.client.transactions(&by, None, 100).await.unwrap();
    let (mut parts, mut from): (Vec<_>, Option<VersionAnswer>) = (Vec::new(), None);
    loop {
        let part = node.client.transactions(&by, from, 1).await.unwrap();
        assert_eq!(part.transactions.len(), 1);
        parts.extend(part.transactions);
        from = part.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(parts, all.transactions);
}

#[tokio::test]
async fn whose_transactions_must_be_said_so_that_it_can_be_understood() {
    let (node, _, _) = with_transactions().await;
    let cases = [
        ("", 400),
        ("?limit=1", 400),
        ("?contract=no%20name", 400),
        ("?contract=kv&limit=0", 400),
        ("?contract=kv&from_block=x", 400),
        ("?creator=nobody@org1", 404),
        ("?creator=alice@org2", 404),
        ("?creator=", 404),
    ];
    for (query, expected) in cases {
        let (status, answer) = node.get(&format!("/v1/transactions{query}")).await;
        assert_eq!(status, expected, "{query}: {answer}");
        assert!(answer["error"]["message"].is_string());
    }
}
