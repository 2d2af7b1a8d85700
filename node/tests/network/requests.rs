//! Requests have a response or an error that says what happened, and bulk
//! stands in nobody's way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use node::network::{Class, InboundRequest, NetworkHandle, PeerId, RequestError};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

use crate::common::{PATIENCE, Setup, TestNode, in_order_of_dialling, multiaddress, socket, soon};
use crate::relay::{Flow, PIECE_BYTES, Relay};

async fn pair(setup: &Setup) -> (TestNode, TestNode) {
    let mut nodes = setup.start_all().await;
    let server = nodes.pop().unwrap();
    (nodes.pop().unwrap(), server)
}

/// Answers requests with as many bytes as they ask for.
async fn serve_sizes(mut requests: mpsc::Receiver<InboundRequest>) {
    while let Some(request) = requests.recv().await {
        let size = u32::from_be_bytes(request.bytes[..4].try_into().unwrap());
        let size = usize::try_from(size).unwrap();
        let _ = request.reply.send(Bytes::from(vec![7; size]));
    }
}

async fn ask_size(handle: &NetworkHandle, to: PeerId, size: u32) -> Result<Bytes, RequestError> {
    let request = Bytes::copy_from_slice(&size.to_be_bytes());
    handle.request(to, request, PATIENCE).await
}

#[tokio::test]
async fn a_request_has_its_response_whatever_its_size() {
    let (asking, server) = pair(&Setup::new(2)).await;
    let to = server.id;
    tokio::spawn(serve_sizes(server.requests));
    for size in [0, 1, 70_000, 16 * 1024 * 1024] {
        let response = ask_size(&asking.handle, to, size).await.unwrap();
        assert_eq!(response.len(), usize::try_from(size).unwrap());
        assert!(response.iter().all(|byte| *byte == 7));
    }
    assert_eq!(server.handle.counters().requests_served(), 4);
}

/// A node on a slow line would otherwise never catch up.
#[tokio::test]
async fn a_response_may_take_its_time_as_long_as_it_comes() {
    let setup = Setup::new(2);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let server = setup.start(listens, &BTreeMap::new()).await;
    let relay = Relay::to(socket(&server.address())).await;
    let addresses = BTreeMap::from([(listens, multiaddress(relay.address))]);
    let mut asking = setup.start(dials, &addresses).await;
    asking.await_connected([listens]).await;
    tokio::spawn(serve_sizes(server.requests));
    let pause = Duration::from_millis(100);
    relay.flow.send_replace(Flow::Slow(pause));
    let pieces = 60;
    let size = pieces * u32::try_from(PIECE_BYTES).unwrap();
    let silence = Duration::from_secs(3);
    assert!(pause * pieces >= silence * 2);
    let ask = || {
        let request = Bytes::copy_from_slice(&size.to_be_bytes());
        asking.handle.request(server.id, request, silence)
    };
    assert_eq!(ask().await.unwrap().len(), usize::try_from(size).unwrap());
    // It is given up where nothing comes any more.
    let stop = async {
        tokio::time::sleep(pause * 10).await;
        relay.flow.send_replace(Flow::Stopped);
    };
    let (response, ()) = tokio::join!(ask(), stop);
    let error = response.unwrap_err();
    assert!(matches!(error, RequestError::Timeout { after, .. } if after == silence));
}

#[tokio::test]
async fn many_requests_at_once_wait_for_each_other_and_all_have_responses() {
    let (asking, server) = pair(&Setup::new(2)).await;
    let to = server.id;
    tokio::spawn(serve_sizes(server.requests));
    let ask = |size| ask_size(&asking.handle, to, size);
    let responses = futures::future::join_all((0..100).map(ask)).await;
    for (size, response) in responses.into_iter().enumerate() {
        assert_eq!(response.unwrap().len(), size);
    }
}

#[tokio::test]
async fn a_request_that_cannot_succeed_says_why() {
    let mut setup = Setup::new(3);
    setup.limits.max_response_bytes = 1000;
    let (asking, mut server) = {
        let mut nodes = setup.start_all().await;
        let server = nodes.pop().unwrap();
        let asking = nodes.pop().unwrap();
        nodes.pop().unwrap().stop().await;
        (asking, server)
    };
    let ask = |to, size: usize, timeout| {
        let request = Bytes::from(vec![0; size]);
        asking.handle.request(to, request, timeout)
    };
    let error = ask(PeerId(9), 1, PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::UnknownPeer { peer } if peer == PeerId(9)));
    let error = ask(asking.id, 1, PATIENCE).await.unwrap_err();
    assert!(matches!(error, RequestError::UnknownPeer { .. }));
    let error = ask(server.id, 64 * 1024 + 1, PATIENCE).await.unwrap_err();
    assert!(
        matches!(error, RequestError::TooLarge { limit: 65_536, .. }),
        "{error}"
    );

    let short = Duration::from_millis(100);
    let (error, held) = tokio::join!(ask(server.id, 1, short), server.requests.recv());
    assert!(matches!(error.unwrap_err(), RequestError::Timeout { .. }));
    assert!(held.is_some_and(|request| request.from == asking.id));

    let drop_it = async { drop(server.requests.recv().await) };
    let (error, ()) = tokio::join!(ask(server.id, 1, PATIENCE), drop_it);
    assert!(matches!(error.unwrap_err(), RequestError::Refused { .. }));

    let oversized = async {
        let request = server.requests.recv().await.unwrap();
        request.reply.send(Bytes::from(vec![0; 1001])).unwrap();
    };
    let (error, ()) = tokio::join!(ask(server.id, 1, PATIENCE), oversized);
    assert!(error.is_err());

    let gone = PeerId(0);
    let error = soon("an error", ask(gone, 1, PATIENCE)).await.unwrap_err();
    assert!(!matches!(error, RequestError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_floods_with_requests_waits_and_is_refused_beyond_its_share() {
    let mut setup = Setup::new(2);
    setup.limits.max_served_per_peer = 2;
    setup.limits.max_requests_per_peer = 8;
    let (asking, mut server) = pair(&setup).await;
    let (to, handle) = (server.id, asking.handle.clone());
    let flood = tokio::spawn(async move {
        let ask = |_| ask_size(&handle, to, 1);
        futures::future::join_all((0..8).map(ask)).await
    });
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(
            soon("a request came", server.requests.recv())
                .await
                .unwrap(),
        );
    }
    let refused = || server.handle.counters().requests_refused() == 4;
    crate::common::until("the others were refused", refused).await;
    assert!(server.requests.try_recv().is_err(), "only two at a time");
    for request in held {
        request.reply.send(Bytes::from_static(b"r")).unwrap();
    }
    tokio::spawn(serve_sizes(server.requests));
    let results = soon("all have ended", flood).await.unwrap();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
}

/// The stream of the request before may not be closed yet where it was served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_may_ask_anew_as_soon_as_it_has_its_response() {
    let mut setup = Setup::new(2);
    (
        setup.limits.max_requests_per_peer,
        setup.limits.max_served_per_peer,
    ) = (1, 1);
    let (asking, server) = pair(&setup).await;
    let to = server.id;
    tokio::spawn(serve_sizes(server.requests));
    for size in 0..500 {
        ask_size(&asking.handle, to, size).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_transfers_do_not_hold_up_consensus_frames() {
    let mut setup = Setup::new(2);
    // As fast as the connection goes.
    setup.limits.max_served_bytes_per_second = 1 << 40;
    let (mut asking, mut server) = pair(&setup).await;
    let (requests, _) = (server.requests, server.task);
    tokio::spawn(serve_sizes(requests));
    let to = server.id;
    let bulk = |_| {
        let handle = asking.handle.clone();
        tokio::spawn(async move {
            let mut received = 0;
            loop {
                received += ask_size(&handle, to, 8 * 1024 * 1024).await?.len();
                if received >= 128 * 1024 * 1024 {
                    return Ok::<usize, RequestError>(received);
                }
            }
        })
    };
    let bulk: Vec<_> = (0..4).map(bulk).collect();
    let mut slowest = Duration::ZERO;
    let mut rounds = 0_u64;
    while !bulk.iter().all(tokio::task::JoinHandle::is_finished) {
        let begun = Instant::now();
        let number = Bytes::copy_from_slice(&rounds.to_be_bytes());
        asking.handle.send(to, Class::Consensus, number.clone());
        let there = frame(&mut server.consensus).await;
        assert_eq!(there, number);
        server.handle.send(asking.id, Class::Consensus, there);
        assert_eq!(asking.frame(Class::Consensus).await.1, number);
        slowest = slowest.max(begun.elapsed());
        rounds += 1;
    }
    println!("{rounds} round trips beside 512 MiB of responses, the slowest {slowest:?}");
    for task in bulk {
        assert!(task.await.unwrap().is_ok());
    }
    assert!(
        rounds > 16,
        "a frame waited for whole responses: {rounds} round trips"
    );
}

async fn frame(inbox: &mut node::network::Inbox) -> Bytes {
    loop {
        let event = soon("a frame came", inbox.recv()).await;
        if let Some(node::network::NetworkEvent::Frame { bytes, .. }) = event {
            return bytes;
        }
    }
}

#[tokio::test]
async fn asking_a_peer_that_never_was_there_fails_at_once() {
    let node = Setup::new(2).start(0, &BTreeMap::new()).await;
    let asked = node.handle.request(PeerId(1), Bytes::new(), PATIENCE);
    let error = soon("an error", asked).await.unwrap_err();
    assert!(
        matches!(error, RequestError::NotConnected { .. }),
        "{error}"
    );
}
