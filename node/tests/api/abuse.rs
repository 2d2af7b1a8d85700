//! Whatever comes in at the port, the others are still served.

use std::time::Duration;

use node::api::{Api, ApiError, ApiLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Node, exchange, soon, until_closed};

const STATUS: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n";

/// Short, for those who are to be cut off.
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn junk_is_answered_with_400_or_nothing_and_closes_only_its_own_connection() {
    let node = Node::start().await;
    let junk: Vec<u8> = (0..50_000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1])
        .collect();
    for bytes in [
        b"what is this?\r\n\r\n".as_slice(),
        b"GET / HTTP/9\r\n\r\n",
        &junk,
    ] {
        let mut stream = node.connect().await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let answer = until_closed(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let answer = exchange(node.connect().await, b"what is this?\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let endless = [b"GET / HTTP/1.1\r\nhost: ".to_vec(), vec![b'a'; 100_000]].concat();
    let answer = exchange(node.connect().await, &endless).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    assert_eq!(node.get("/v1/status").await.0, 200);
}

#[tokio::test]
async fn one_who_does_not_finish_a_request_is_cut_off() {
    let limits = ApiLimits {
        header_timeout: SHORT,
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    for begun in [b"".as_slice(), b"GET / HTTP/1.1\r\nhost: x\r\n"] {
        let answer = exchange(node.connect().await, begun).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // Nor does one keep a connection by having asked once.
    let answer = exchange(node.connect().await, STATUS).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn no_more_connections_are_served_than_there_are_places() {
    let limits = ApiLimits {
        max_connections: 2,
        header_timeout: Duration::from_mins(10),
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    let mut first = node.connect().await;
    let second = node.connect().await;
    let mut byte = [0];
    // They are served in the order of their coming.
    first.write_all(STATUS).await.unwrap();
    soon("an answer", first.read_exact(&mut byte))
        .await
        .unwrap();
    let mut third = node.connect().await;
    third.write_all(STATUS).await.unwrap();
    let waiting = tokio::time::timeout(SHORT, third.read_exact(&mut byte)).await;
    assert!(waiting.is_err(), "there is no place for it");
    drop(second);
    soon("an answer", third.read_exact(&mut byte))
        .await
        .unwrap();
}

/// The body of such a call is not waited for: it would keep the place.
#[tokio::test]
async fn a_call_for_testing_is_refused_where_nothing_is_tested_before_it_is_read() {
    let node = Node::start().await;
    for path in ["fault", "cut"] {
        let mut stream = node.connect().await;
        let head =
            format!("POST /v1/testing/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let answered = stream.read_exact(&mut answer);
        soon("an answer", answered).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403");
    }
}

#[tokio::test]
async fn one_who_takes_no_answers_loses_the_place() {
    let limits = ApiLimits {
        max_connections: 1,
        stall_timeout: SHORT,
        ..ApiLimits::default()
    };
    let node = Node::start_with(4, limits).await;
    let mut greedy = node.connect().await;
    // More answers than the system keeps for a reader that does not read.
    let ask = b"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(10_000);
    let (mut taken, mut asked) = greedy.split();
    let asking = async {
        let _ = asked.write_all(&ask).await;
    };
    let other = async {
        let mut stream = node.connect().await;
        stream.write_all(STATUS).await.unwrap();
        let mut byte = [0];
        soon("an answer", stream.read_exact(&mut byte))
            .await
            .unwrap();
    };
    tokio::join!(asking, other);
    // The first answers are there still, and then comes the end.
    let mut answers = Vec::new();
    let _ = soon("the end", taken.read_to_end(&mut answers)).await;
    let answered = String::from_utf8_lossy(&answers)
        .matches("HTTP/1.1 200")
        .count();
    assert!(answered < 10_000, "all were answered");
}

#[tokio::test]
async fn streams_of_events_are_bounded_in_number_and_leave_room_when_they_end() {
    let node = Node::start().await;
    let mut streams = Vec::new();
    while streams.len() < 64 {
        streams.push(node.get_as("/v1/events", "*/*").await);
        assert_eq!(streams.last().unwrap().status(), 200);
    }
    let refused = node.get("/v1/events").await;
    assert_eq!(
        (refused.0, refused.1["error"]["code"].as_str()),
        (429, Some("BUSY"))
    );
    drop(streams);
    let again = async { while node.get_as("/v1/events", "*/*").await.status() != 200 {} };
    soon("a place for another stream", again).await;
}

#[tokio::test]
async fn long_lists_end_early_rather_than_grow() {
    let node = Node::start().await;
    let value = "v".repeat(120_000);
    for nonce in 1..=60 {
        node.put_now(nonce, "k", &value).await;
    }
    let first = node.client.blocks(Some(1), 100).await.unwrap();
    assert!((2..60).contains(&first.len()), "{} blocks", first.len());
    let newest = node.client.blocks(None, 100).await.unwrap();
    assert!(newest.len() < 60);
    assert_eq!(
        newest.last().unwrap().header.number,
        60,
        "the newest are asked for"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let first = Api::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = first.address().unwrap();
    let error = Api::bind(address).await.unwrap_err();
    assert!(matches!(error, ApiError::AddressInUse { .. }));
    let told = error.to_string();
    assert!(
        told.contains(&address.to_string()) && told.contains("api_listen"),
        "{told}"
    );
}
