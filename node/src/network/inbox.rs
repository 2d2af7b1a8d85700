//! What has arrived and waits to be taken, bounded in number and in bytes.
//!
//! A full inbox stops the reading of streams, and with it, by the windows of
//! the transport, the peers that write them. A peer that floods fills its own
//! share of bytes; the streams of others take turns with its.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::bytes::Bytes;

use super::protocol::{Class, PeerId};

/// What a waiting frame costs besides its bytes, so that a flood of empty
/// frames has a bound as well.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// Something that happens between this node and a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEvent {
    /// Frames can be sent to this peer: both sides agree on the network. Its
    /// own frames may have come before.
    Connected(PeerId),
    /// Frames to this peer are dropped until it is connected again. Frames
    /// that it sent before may still come.
    Disconnected(PeerId),
    /// A frame has arrived. Who delivered it is certain, who made it is not.
    Frame {
        /// The peer that delivered it.
        from: PeerId,
        /// Its class.
        class: Class,
        /// Its bytes, as they were given to [`NetworkHandle::send`](super::NetworkHandle::send).
        bytes: Bytes,
    },
}

/// An event, and the room that it takes up until it is taken.
#[derive(Debug)]
struct Held {
    event: NetworkEvent,
    _room: Option<OwnedSemaphorePermit>,
}

/// What has arrived, of one class. The inbox of [`Class::Consensus`] tells of
/// peers coming and going, too.
#[derive(Debug)]
pub struct Inbox {
    receiver: mpsc::Receiver<Held>,
}

impl Inbox {
    /// The next event, or nothing once the network has stopped. Giving up
    /// waiting loses nothing.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        self.receiver.recv().await.map(|held| held.event)
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<NetworkEvent> {
        self.receiver.try_recv().ok().map(|held| held.event)
    }
}

/// The end of an inbox where events are put in.
#[derive(Clone, Debug)]
pub(super) struct InboxSender {
    sender: mpsc::Sender<Held>,
}

/// The node has stopped taking events.
#[derive(Debug)]
pub(super) struct InboxClosed;

/// Makes an inbox for at most `capacity` events.
pub(super) fn inbox(capacity: usize) -> (InboxSender, Inbox) {
    let (sender, receiver) = mpsc::channel(capacity);
    (InboxSender { sender }, Inbox { receiver })
}

impl InboxSender {
    /// Puts a peer's coming or going in, when there is room.
    pub(super) async fn tell(&self, event: NetworkEvent) -> Result<(), InboxClosed> {
        self.put(event, None).await
    }

    /// Puts a frame in, when there is room in `share`.
    pub(super) async fn deliver(
        &self,
        share: &Share,
        from: PeerId,
        class: Class,
        bytes: Bytes,
    ) -> Result<(), InboxClosed> {
        let room = share.take(bytes.len()).await;
        let event = NetworkEvent::Frame { from, class, bytes };
        self.put(event, Some(room)).await
    }

    async fn put(
        &self,
        event: NetworkEvent,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), InboxClosed> {
        let held = Held { event, _room: room };
        self.sender.send(held).await.map_err(|_| InboxClosed)
    }
}

/// How many bytes of one peer and class may wait.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Semaphore>,
    size: u32,
}

impl Share {
    pub(super) fn new(bytes: usize) -> Self {
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        Self {
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            size,
        }
    }

    /// Waits until there is room. What is larger than the whole share waits
    /// until it has the share to itself.
    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let cost = u32::try_from(bytes.saturating_add(FRAME_OVERHEAD_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room);
        room.acquire_many_owned(cost.min(self.size))
            .await
            .expect("the share is never closed")
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const FROM: PeerId = PeerId(1);

    #[test]
    fn a_peer_fills_its_own_share_and_not_the_inbox() {
        let (sender, mut inbox) = inbox(8);
        let (flooding, quiet) = (Share::new(200), Share::new(200));
        let deliver = |share, byte| {
            let bytes = Bytes::copy_from_slice(&[byte; 100]);
            let delivered = sender.deliver(share, FROM, Class::Transactions, bytes);
            delivered.now_or_never().is_some()
        };
        assert!(deliver(&flooding, 1));
        assert!(!deliver(&flooding, 2), "the share has no room for two");
        assert!(deliver(&quiet, 3), "the share of another has");
        assert!(inbox.try_recv().is_some());
        assert!(deliver(&flooding, 4), "what is taken makes room");
    }

    #[test]
    fn a_frame_larger_than_the_share_is_let_in_alone() {
        let (sender, mut inbox) = inbox(8);
        let share = Share::new(10);
        let deliver = || {
            let bytes = Bytes::from_static(&[0; 100]);
            let delivered = sender.deliver(&share, FROM, Class::Consensus, bytes);
            delivered.now_or_never().is_some()
        };
        assert!(deliver());
        assert!(!deliver());
        assert!(inbox.try_recv().is_some());
        assert!(deliver());
    }
}
