//! Whoever does not belong here, or does what it may not, loses its own
//! connection or stream, and nobody else notices.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crypto::Digest;
use node::network::{Class, NetworkError, Peer, PeerId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::bytes::Bytes;

use crate::common::{
    PATIENCE, Setup, TestNode, in_order_of_dialling, key, multiaddress, socket, soon, start, until,
};

/// Reads until the other side closes.
async fn closed(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    let read = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    soon("the connection was closed", read).await;
}

async fn still_talking(nodes: &mut [TestNode], number: u64) {
    let (a, b) = nodes.split_at_mut(1);
    a[0].reach(&mut b[0], number).await;
    b[0].reach(&mut a[0], number).await;
}

#[tokio::test]
async fn a_stranger_is_refused_and_others_are_unaffected() {
    let mut nodes = Setup::new(2).start_all().await;
    let addresses = nodes.iter().map(|node| (node.id.0, node.address()));
    let mut config = Setup::new(2).config(7, &addresses.collect());
    config.limits.patience = Duration::ZERO;
    let stranger = start(config).await.unwrap();
    for round in 1..4 {
        for node in &nodes {
            let refused = || node.handle.counters().strangers_refused() >= round;
            until("the stranger was refused", refused).await;
        }
        still_talking(&mut nodes, round).await;
    }
    let none = stranger.handle.counters().frames(Class::Consensus);
    assert_eq!((none.sent, none.received), (0, 0));
    assert!(stranger.handle.peers().iter().all(|peer| !peer.connected));
    assert!(nodes.iter().all(|node| node.handle.peers().len() == 1));
}

#[tokio::test]
async fn random_bytes_close_their_own_connection_and_nothing_else() {
    let mut nodes = Setup::new(2).start_all().await;
    let mut byte = 1_u8;
    for round in 1..20 {
        let mut stream = TcpStream::connect(socket(&nodes[0].address()))
            .await
            .unwrap();
        let mut bytes = [0; 700];
        bytes.fill_with(|| {
            byte = byte.wrapping_mul(5).wrapping_add(113);
            byte
        });
        // It may be closed before everything is written.
        let _ = stream
            .write_all(&bytes[..35 * usize::from(u8::try_from(round).unwrap())])
            .await;
        let _ = stream.shutdown().await;
        closed(stream).await;
        still_talking(&mut nodes, round).await;
    }
    let failed = || nodes[0].handle.counters().handshakes_failed() == 19;
    until("all were counted", failed).await;
}

#[tokio::test]
async fn connections_that_say_nothing_are_bounded_in_number_and_time() {
    let mut setup = Setup::new(2);
    setup.limits.max_pending_connections = 4;
    setup.limits.handshake_timeout = Duration::from_secs(2);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let mut node = setup.start(listens, &BTreeMap::new()).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        let stream = TcpStream::connect(socket(&node.address())).await;
        silent.push(stream.unwrap());
    }
    let counters = || node.handle.counters();
    until("most were refused", || {
        counters().connections_over_limit() >= 35
    })
    .await;
    for stream in silent {
        closed(stream).await;
    }
    let addresses = BTreeMap::from([(listens, node.address())]);
    let peer = setup.start(dials, &addresses).await;
    node.await_connected([dials]).await;
    peer.reach(&mut node, 1).await;
}

/// Only here can one come from many addresses without setting them up.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn strangers_in_many_places_leave_room_for_a_replica() {
    let mut setup = Setup::new(2);
    setup.limits.max_pending_connections = 8;
    setup.limits.max_pending_per_place = 2;
    setup.limits.handshake_timeout = PATIENCE;
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    // Where the other one is known to be, and does not listen.
    let known = BTreeMap::from([(dials, "/ip4/127.0.0.1/tcp/1".parse().unwrap())]);
    let mut node = setup.start(listens, &known).await;
    let mut silent = Vec::new();
    for place in 2..10 {
        for _ in 0..5 {
            let socket_of = TcpSocket::new_v4().unwrap();
            let from = SocketAddr::from(([127, 0, 0, place], 0));
            socket_of.bind(from).unwrap();
            silent.push(socket_of.connect(socket(&node.address())).await.unwrap());
        }
    }
    let refused = || node.handle.counters().connections_over_limit();
    until("most were refused", || refused() >= 30).await;
    // Some of them are in their handshake still, for as long as they may be.
    let addresses = BTreeMap::from([(listens, node.address())]);
    let peer = setup.start(dials, &addresses).await;
    node.await_connected([dials]).await;
    peer.reach(&mut node, 1).await;
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_the_stream_and_is_not_delivered() {
    let setup = Setup::new(2);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let mut strict = setup.config(listens, &BTreeMap::new());
    strict.limits.max_consensus_frame_bytes = 1000;
    let mut strict = start(strict).await.unwrap();
    let addresses = BTreeMap::from([(listens, strict.address())]);
    let mut lax = setup.start(dials, &addresses).await;
    lax.await_connected([listens]).await;
    strict.await_connected([dials]).await;
    for round in 1..4 {
        let huge = Bytes::from(vec![0; 1001]);
        lax.handle.send(strict.id, Class::Consensus, huge);
        lax.await_disconnected(listens).await;
        lax.await_connected([listens]).await;
        let ok = Bytes::from(vec![1; 1000]);
        lax.handle.send(strict.id, Class::Consensus, ok.clone());
        assert_eq!(strict.frame(Class::Consensus).await, (lax.id, ok));
        assert_eq!(strict.handle.counters().broken_streams(), round);
    }
}

#[tokio::test]
async fn a_peer_of_another_network_is_refused_on_both_sides() {
    let setup = Setup::new(2);
    let other = Setup {
        network: Digest([1; 32]),
        ..setup.clone()
    };
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let here = setup.start(listens, &BTreeMap::new()).await;
    let addresses = BTreeMap::from([(listens, here.address())]);
    let there = other.start(dials, &addresses).await;
    for node in [&here, &there] {
        let refused = || node.handle.counters().hellos_refused() >= 4;
        until("hellos were refused", refused).await;
        assert!(node.handle.peers().iter().all(|peer| !peer.connected));
        for class in Class::ALL {
            assert_eq!(node.handle.counters().frames(class).received, 0);
        }
    }
}

#[tokio::test]
async fn a_node_does_not_start_where_it_would_not_be_understood() {
    let setup = Setup::new(2);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = multiaddress(taken.local_addr().unwrap());
    let mut config = setup.config(0, &BTreeMap::new());
    config.listen = vec![address.clone()];
    let error = start(config).await.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(matches!(error, NetworkError::AddressInUse { .. }));

    let running = setup.start(0, &BTreeMap::new()).await;
    let mut config = setup.config(1, &BTreeMap::new());
    config.listen = vec![running.address()];
    let error = start(config).await.err().unwrap();
    assert!(
        matches!(error, NetworkError::AddressInUse { .. }),
        "{error}"
    );

    let mut config = setup.config(0, &BTreeMap::new());
    config.transport_key = key(3);
    let error = start(config).await.err().unwrap();
    assert!(matches!(error, NetworkError::NotOwnKey { .. }), "{error}");

    for (id, key) in [(1, key(5)), (6, key(1)), (6, key(0))] {
        let mut config = setup.config(0, &BTreeMap::new());
        config.peers.push(Peer {
            id: PeerId(id),
            transport_key: key.public(),
            addresses: Vec::new(),
        });
        let error = start(config).await.err().unwrap();
        assert!(matches!(error, NetworkError::Ambiguous { .. }), "{error}");
    }
}
