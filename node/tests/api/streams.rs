//! Streams of what matches, resumed from wherever one was, and readers that are slow.

use std::time::Duration;

use node::api::ApiLimits;
use node::api::client::{Events, Subscription};
use node::api::types::{BlockEvent, Position};
use serde_json::json;

use crate::common::{Node, alice, soon};

async fn next(events: &mut Events) -> BlockEvent {
    soon("a line", events.next()).await.unwrap().unwrap()
}

/// That nothing comes is seen by waiting a little for it.
async fn assert_silent(events: &mut Events) {
    let line = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
    assert!(line.is_err(), "{line:?}");
}

/// A block of transactions of alice: which contract each calls, and what it announces.
async fn block(node: &Node, calls: &[(&str, &[&str])]) -> u64 {
    let number = node.ledger.tip().number + 1;
    for (position, (contract, events)) in (0_u8..).zip(calls) {
        let nonce = u8::try_from(number).unwrap() * 8 + position;
        let call = node.announce(&alice(), nonce, contract, events);
        node.client.submit(&call).await.unwrap();
    }
    node.commit();
    node.certify(number);
    number
}

/// Four blocks with `a` in the first and the last.
async fn with_events() -> Node {
    let node = Node::start().await;
    block(&node, &[("kv", &["a", "b", "a"]), ("kv", &[])]).await;
    block(&node, &[("token", &["b"]), ("kv", &["c"])]).await;
    block(&node, &[("kv", &[])]).await;
    block(&node, &[("kv", &["b"]), ("token", &["a", "a"])]).await;
    node
}

fn of_event(name: &str) -> Subscription {
    Subscription {
        from: Some(0),
        event: Some(name.to_owned()),
        ..Subscription::default()
    }
}

/// The positions of what a line shows.
fn positions(line: &BlockEvent) -> Vec<Position> {
    let shown = line.transactions.iter().flat_map(|it| {
        let of = |event| Position {
            block: line.block,
            within: Some((it.index.unwrap(), event)),
        };
        let events = it.events.iter().map(move |event| of(event.event));
        let alone = it.events.is_empty().then(|| of(None));
        events.chain(alone)
    });
    shown.collect()
}

/// What matches, up to and with this block.
async fn until(node: &Node, subscription: &Subscription, end: u64) -> Vec<String> {
    let mut events = node.client.subscribe(subscription).await.unwrap();
    let mut found = Vec::new();
    loop {
        let line = next(&mut events).await;
        found.extend(positions(&line).iter().map(ToString::to_string));
        if line.block >= end {
            return found;
        }
    }
}

#[tokio::test]
async fn a_filtered_stream_shows_what_matches_with_its_position_and_nothing_else() {
    let node = with_events().await;
    let all = Subscription {
        from: Some(0),
        ..Subscription::default()
    };
    let with = |contract: Option<&str>, event: Option<&str>, creator: Option<&str>| Subscription {
        contract: contract.map(str::to_owned),
        event: event.map(str::to_owned),
        creator: creator.map(str::to_owned),
        ..all.clone()
    };
    let a = ["1.0.0", "1.0.2", "4.1.0", "4.1.1"];
    assert_eq!(until(&node, &with(None, Some("a"), None), 4).await, a);
    let kv = with(Some("kv"), None, None);
    let expected = ["1.0.0", "1.0.1", "1.0.2", "1.1", "2.1.0", "3.0", "4.0.0"];
    assert_eq!(until(&node, &kv, 4).await, expected);
    let both = with(Some("kv"), Some("b"), None);
    assert_eq!(until(&node, &both, 4).await, ["1.0.1", "4.0.0"]);
    let key = alice().public().to_string();
    for creator in ["alice", "alice@org1", &key] {
        let made = with(Some("token"), None, Some(creator));
        assert_eq!(until(&node, &made, 4).await, ["2.0.0", "4.1.0", "4.1.1"]);
    }
    let stranger = "11".repeat(32);
    let made = with(None, None, Some(&stranger));
    assert_eq!(
        until(&node, &made, 4).await,
        [""; 0],
        "a line that says: nothing up to here"
    );
}

/// At least once, and here exactly once: whoever notes the position of what was done
/// last and comes back after it misses nothing and gets nothing again.
#[tokio::test]
async fn a_stream_resumed_after_any_position_goes_on_with_the_next() {
    let node = with_events().await;
    for name in ["a", "b", "c", "none"] {
        let whole = until(&node, &of_event(name), 4).await;
        for (done, position) in whole.iter().enumerate() {
            let resumed = Subscription {
                from: None,
                after: Some(position.parse().unwrap()),
                ..of_event(name)
            };
            assert_eq!(
                until(&node, &resumed, 4).await,
                whole[done + 1..],
                "{position}"
            );
        }
    }
    // All of a transaction, or of a block, may be done at once.
    for (after, first) in [
        ("1.0", "4.1.0"),
        ("1", "4.1.0"),
        ("0", "1.0.0"),
        ("4.1.0", "4.1.1"),
    ] {
        let resumed = Subscription {
            from: None,
            after: Some(after.parse().unwrap()),
            ..of_event("a")
        };
        assert_eq!(until(&node, &resumed, 4).await[0], first, "{after}");
    }
    // Without a filter lines are whole blocks, and begin with one that was not done.
    for (after, first) in [("2", 3), ("2.0", 2), ("2.0.0", 2)] {
        let resumed = Subscription {
            after: Some(after.parse().unwrap()),
            ..Subscription::default()
        };
        let mut events = node.client.subscribe(&resumed).await.unwrap();
        let line = next(&mut events).await;
        assert_eq!((line.block, line.transactions[0].index), (first, None));
    }
}

#[tokio::test]
async fn who_waits_for_something_rare_is_told_how_far_the_search_has_come() {
    let node = Node::start().await;
    let rest = 1_020;
    for _ in 0..rest {
        let number = node.commit();
        node.certify(number);
    }
    let mut rare = node.client.subscribe(&of_event("rare")).await.unwrap();
    // After a thousand blocks, of which genesis makes the first, and at the newest.
    for bookmark in [999, rest] {
        let line = next(&mut rare).await;
        assert_eq!((line.block, line.transactions.len()), (bookmark, 0));
        assert_eq!(
            line.hash,
            node.ledger.block_hash(bookmark).unwrap().to_string()
        );
    }
    // From then on not with every block.
    for _ in 0..3 {
        let number = node.commit();
        node.certify(number);
    }
    assert_silent(&mut rare).await;
    let call = node.announce(&alice(), 1, "kv", &["rare"]);
    node.client.submit(&call).await.unwrap();
    let number = node.commit();
    assert_silent(&mut rare).await;
    node.certify(number);
    assert_eq!(
        positions(&next(&mut rare).await)[0].to_string(),
        format!("{number}.0.0")
    );
}

#[tokio::test]
async fn server_sent_events_resume_by_the_id_of_the_last() {
    let node = with_events().await;
    let resumed = async |path: &str, id: &str| {
        let request = reqwest::Client::new().get(node.url(path));
        let request = request
            .header("accept", "text/event-stream")
            .header("last-event-id", id);
        soon("an answer", request.send()).await.unwrap()
    };
    // The address is still the one of the beginning.
    let mut stream = resumed("/v1/events?from=0&event=a", "1").await;
    let frame = soon("a frame", stream.chunk()).await.unwrap().unwrap();
    let frame = String::from_utf8(frame.to_vec()).unwrap();
    assert!(frame.starts_with("id: 4\ndata: {\"block\":4,"), "{frame}");
    let data = frame.split_once("data: ").unwrap().1;
    let line: serde_json::Value = serde_json::from_str(data).unwrap();
    let shown = &line["transactions"][0];
    assert_eq!(shown["index"], 1);
    let expected = json!({ "event": 0, "name": "a", "payload": "a 0" });
    assert_eq!(shown["events"][0], expected);
    let mut whole = resumed("/v1/events?from=0", "2").await;
    let frame = soon("a frame", whole.chunk()).await.unwrap().unwrap();
    assert!(frame.starts_with(b"id: 3\n"));
    assert_eq!(resumed("/v1/events", "x").await.status(), 400);
}

#[tokio::test]
async fn streams_that_cannot_be_understood_are_refused_before_they_begin() {
    let node = with_events().await;
    let cases = [
        ("from=1&after=1", 400),
        ("after=x", 400),
        ("after=18446744073709551615", 400),
        ("contract=no%20name", 400),
        ("event=no%20name", 400),
        ("creator=nobody@org1", 404),
    ];
    for (query, expected) in cases {
        let (status, answer) = node.get(&format!("/v1/events?{query}")).await;
        assert_eq!(status, expected, "{query}: {answer}");
    }
}

/// More than the system keeps for a reader that does not read.
const LARGE_BLOCKS: u8 = 120;

async fn large_block(node: &Node, nonce: u8) {
    let payload = "x".repeat(100_000);
    let call = node.announce(&alice(), nonce, "kv", &["large", &payload]);
    node.client.submit(&call).await.unwrap();
    let number = node.commit();
    node.certify(number);
}

#[tokio::test]
async fn a_reader_that_reads_nothing_holds_up_nobody_and_then_gets_every_block() {
    let node = Node::start().await;
    let mut slow = node.client.events(Some(1)).await.unwrap();
    let filtered = Subscription {
        from: Some(1),
        ..of_event("large")
    };
    let mut slow_too = node.client.subscribe(&filtered).await.unwrap();
    let mut quick = node.client.events(Some(1)).await.unwrap();
    for nonce in 1..=LARGE_BLOCKS {
        large_block(&node, nonce).await;
        assert_eq!(next(&mut quick).await.block, u64::from(nonce));
    }
    for number in 1..=u64::from(LARGE_BLOCKS) {
        assert_eq!(next(&mut slow).await.block, number);
        assert_eq!(next(&mut slow_too).await.block, number);
    }
}

#[tokio::test]
async fn a_reader_that_was_cut_off_for_not_reading_comes_back_without_a_gap() {
    let limits = ApiLimits {
        stall_timeout: Duration::from_millis(200),
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    let mut events = node.client.events(Some(1)).await.unwrap();
    for nonce in 1..=LARGE_BLOCKS {
        large_block(&node, nonce).await;
    }
    tokio::time::sleep(limits.stall_timeout * 4).await;
    let mut had = 0;
    while had < u64::from(LARGE_BLOCKS) {
        match soon("a line or the end", events.next()).await {
            Ok(Some(line)) => {
                assert_eq!(line.block, had + 1);
                had = line.block;
            }
            Ok(None) | Err(_) => events = node.client.events(Some(had + 1)).await.unwrap(),
        }
    }
}
