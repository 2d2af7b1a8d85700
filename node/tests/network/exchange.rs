//! Frames arrive, once and in order.

use std::collections::BTreeMap;

use node::network::{Class, PeerId};
use tokio_util::bytes::Bytes;

use crate::common::{Setup, TestNode, soon};

const FRAMES: u64 = 500;

async fn receive_all(node: &mut TestNode, class: Class) {
    let mut next: BTreeMap<PeerId, u64> = BTreeMap::new();
    for _ in 0..3 * FRAMES {
        let (from, bytes) = node.frame(class).await;
        let number = next.entry(from).or_default();
        assert_eq!(bytes, number.to_be_bytes()[..], "{class} from {from}");
        *number += 1;
    }
    assert!(next.len() == 3 && next.values().all(|count| *count == FRAMES));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_exchange_frames_in_order_in_each_class() {
    let mut nodes = Setup::new(4).start_all().await;
    for number in 0..FRAMES {
        for node in &nodes {
            for class in Class::ALL {
                let frame = Bytes::copy_from_slice(&number.to_be_bytes());
                node.handle.broadcast(class, frame);
            }
        }
    }
    for node in &mut nodes {
        for class in Class::ALL {
            receive_all(node, class).await;
        }
    }
    for node in nodes {
        for class in Class::ALL {
            let counted = node.handle.counters().frames(class);
            assert_eq!(counted.sent, 3 * FRAMES);
            assert_eq!(counted.received_bytes, 3 * FRAMES * 8);
            assert_eq!(counted.dropped, 0);
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn frames_up_to_the_limit_arrive_and_longer_ones_are_not_sent() {
    let mut setup = Setup::new(2);
    setup.limits.max_consensus_frame_bytes = 3 * 1024 * 1024;
    let mut nodes = setup.start_all().await;
    let mut receiver = nodes.pop().unwrap();
    let sender = nodes.pop().unwrap();
    for size in [0, 1, 3 * 1024 * 1024] {
        let frame = Bytes::from(vec![7; size]);
        sender
            .handle
            .send(receiver.id, Class::Consensus, frame.clone());
        let arrived = receiver.frame(Class::Consensus).await;
        assert!(arrived == (sender.id, frame), "{size} bytes");
    }
    let too_long = Bytes::from(vec![7; 3 * 1024 * 1024 + 1]);
    sender.handle.send(receiver.id, Class::Consensus, too_long);
    assert_eq!(sender.handle.counters().frames(Class::Consensus).dropped, 1);
    sender.reach(&mut receiver, 1).await;
}

#[tokio::test]
async fn what_is_sent_to_nobody_is_dropped_and_counted() {
    let mut nodes = Setup::new(1).start_all().await;
    let alone = nodes.pop().unwrap();
    alone.handle.broadcast(Class::Consensus, Bytes::new());
    alone.handle.send(alone.id, Class::Consensus, Bytes::new());
    alone.handle.send(PeerId(5), Class::Consensus, Bytes::new());
    assert_eq!(alone.handle.counters().frames(Class::Consensus).dropped, 2);
    soon("stopped", alone.stop()).await;
}
