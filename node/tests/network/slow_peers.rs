//! A peer that does not read costs a bounded queue, and the others nothing.

use node::network::Class;
use tokio_util::bytes::Bytes;

use crate::common::Setup;

const FRAME_BYTES: usize = 64 * 1024;
const QUEUED_FRAMES: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_fills_its_queue_and_delays_nobody() {
    let mut setup = Setup::new(3);
    setup.limits.max_queued_frames = QUEUED_FRAMES;
    setup.limits.max_inbox_frames = 8;
    setup.limits.max_inbox_bytes_per_peer = 4 * FRAME_BYTES;
    let mut nodes = setup.start_all().await;
    let mut reading = nodes.pop().unwrap();
    let mut still = nodes.pop().unwrap();
    let sender = nodes.pop().unwrap();
    let frame = |number: u64| {
        let mut bytes = vec![0; FRAME_BYTES];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Bytes::from(bytes)
    };
    let mut sent = 0;
    // Far more than windows and buffers of the system hold.
    while sender.handle.counters().frames(Class::Transactions).dropped < 500 {
        sender.handle.broadcast(Class::Transactions, frame(sent));
        let (from, bytes) = reading.frame(Class::Transactions).await;
        assert!(from == sender.id && bytes == frame(sent), "frame {sent}");
        for peer in sender.handle.peers() {
            assert!(peer.queued[1] <= QUEUED_FRAMES);
        }
        sent += 1;
    }
    // Its other class goes on, and what it did take is in order.
    let vote = Bytes::from_static(b"vote");
    sender.handle.send(still.id, Class::Consensus, vote.clone());
    assert_eq!(still.frame(Class::Consensus).await, (sender.id, vote));
    let mut last = None;
    for _ in 0..QUEUED_FRAMES {
        let (_, bytes) = still.frame(Class::Transactions).await;
        let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        assert!(last < Some(number));
        last = Some(number);
    }
}
