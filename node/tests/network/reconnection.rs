//! Peers that come back, from either side, are met again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{Setup, TestNode, in_order_of_dialling, multiaddress, socket, soon};
use crate::relay::{Flow, Relay};

#[tokio::test]
async fn a_node_that_dials_is_met_again_after_its_restart() {
    let setup = Setup::new(4);
    let mut nodes = setup.start_all().await;
    let first = in_order_of_dialling(4)[0];
    let listening = |node: &TestNode| (node.id.0, node.address());
    let others: BTreeMap<_, _> = nodes.iter().map(listening).collect();
    let position = nodes.iter().position(|node| node.id.0 == first).unwrap();
    nodes.remove(position).stop().await;
    for node in &mut nodes {
        node.await_disconnected(first).await;
        assert!(!node.is_connected(first));
    }
    let mut again = setup.start(first, &others).await;
    for (number, node) in (0..).zip(&mut nodes) {
        node.await_connected([first]).await;
        again.await_connected([node.id.0]).await;
        again.reach(node, number).await;
        node.reach(&mut again, number).await;
    }
}

#[tokio::test]
async fn a_node_that_is_dialled_is_met_again_after_its_restart() {
    let setup = Setup::new(2);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let mut listening = setup.start(listens, &BTreeMap::new()).await;
    let relay = Relay::to(socket(&listening.address())).await;
    let addresses = BTreeMap::from([(listens, multiaddress(relay.address))]);
    let mut dialling = setup.start(dials, &addresses).await;
    for number in 0..5 {
        dialling.await_connected([listens]).await;
        listening.await_connected([dials]).await;
        dialling.reach(&mut listening, number).await;
        listening.stop().await;
        dialling.await_disconnected(listens).await;
        listening = setup.start(listens, &BTreeMap::new()).await;
        *relay.target.lock().unwrap() = socket(&listening.address());
    }
}

#[tokio::test]
async fn the_side_that_is_not_to_dial_does_so_when_nothing_comes() {
    let mut setup = Setup::new(2);
    setup.limits.patience = Duration::from_millis(200);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    // It is to dial and has no address to dial.
    let mut lower = setup.start(dials, &BTreeMap::new()).await;
    let addresses = BTreeMap::from([(dials, lower.address())]);
    let mut higher = setup.start(listens, &addresses).await;
    lower.await_connected([listens]).await;
    higher.await_connected([dials]).await;
    lower.reach(&mut higher, 1).await;
}

#[tokio::test]
async fn two_nodes_that_both_dial_end_up_connected() {
    let mut setup = Setup::new(2);
    setup.limits.patience = Duration::ZERO;
    let addresses = BTreeMap::new();
    let (a, b) = (
        setup.start(0, &addresses).await,
        setup.start(1, &addresses).await,
    );
    let (for_a, for_b) = (
        Relay::to(socket(&a.address())).await,
        Relay::to(socket(&b.address())).await,
    );
    a.stop().await;
    b.stop().await;
    let addresses = BTreeMap::from([
        (0, multiaddress(for_a.address)),
        (1, multiaddress(for_b.address)),
    ]);
    let mut a = setup.start(0, &addresses).await;
    *for_a.target.lock().unwrap() = socket(&a.address());
    let mut b = setup.start(1, &addresses).await;
    *for_b.target.lock().unwrap() = socket(&b.address());
    // A connection may give way to another with frames under way: as whoever
    // sends them does, send again.
    let reach = async {
        for number in 0.. {
            a.await_connected([1]).await;
            b.await_connected([0]).await;
            let both = async {
                a.reach(&mut b, number).await;
                b.reach(&mut a, number).await;
            };
            let one_try = Duration::from_secs(2);
            if tokio::time::timeout(one_try, both).await.is_ok() {
                return;
            }
        }
    };
    soon("frames flowed both ways", reach).await;
}

#[tokio::test]
async fn a_host_that_falls_silent_is_noticed_and_met_again() {
    let mut setup = Setup::new(2);
    setup.limits.ping_interval = Duration::from_millis(200);
    setup.limits.ping_timeout = Duration::from_millis(500);
    setup.limits.handshake_timeout = Duration::from_secs(1);
    let [dials, listens] = in_order_of_dialling(2)[..] else {
        unreachable!()
    };
    let mut listening = setup.start(listens, &BTreeMap::new()).await;
    let relay = Relay::to(socket(&listening.address())).await;
    let addresses = BTreeMap::from([(listens, multiaddress(relay.address))]);
    let mut dialling = setup.start(dials, &addresses).await;
    dialling.await_connected([listens]).await;
    listening.await_connected([dials]).await;
    relay.flow.send_replace(Flow::Stopped);
    dialling.await_disconnected(listens).await;
    listening.await_disconnected(dials).await;
    relay.flow.send_replace(Flow::Free);
    dialling.await_connected([listens]).await;
    listening.await_connected([dials]).await;
}
