//! What has arrived and waits to be taken, bounded in number and in bytes.
//!
//! Every peer has a queue of its own, and they are served in turn: one that
//! floods fills its own and delays nobody else's. A full queue stops the reading
//! of the peer's stream, and with it, by the windows of the transport, the peer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

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

/// A frame, and the room that it takes up until it is taken.
#[derive(Debug)]
struct Held {
    event: NetworkEvent,
    _room: OwnedSemaphorePermit,
}

/// What has arrived of one peer.
#[derive(Debug)]
struct Queue {
    peer: PeerId,
    frames: mpsc::Receiver<Held>,
    /// Nothing is taken until then.
    rests_until: Option<Instant>,
}

/// What has arrived, of one class. The inbox of [`Class::Consensus`] tells of
/// peers coming and going, too, and of that first.
#[derive(Debug)]
pub struct Inbox {
    connections: mpsc::Receiver<NetworkEvent>,
    queues: Vec<Queue>,
    /// Whose turn it is.
    turn: usize,
}

impl Inbox {
    /// The next event, or nothing once the network has stopped. Giving up
    /// waiting loses nothing.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        loop {
            let now = Instant::now();
            let rests = self.queues.iter().filter_map(|queue| queue.rests_until);
            let awakes = rests.filter(|until| *until > now).min();
            let next = poll_fn(|cx| self.poll_next(cx, now));
            let Some(awakes) = awakes else {
                return next.await;
            };
            tokio::select! {
                biased;
                event = next => return event,
                () = tokio::time::sleep_until(awakes.into()) => {}
            }
        }
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<NetworkEvent> {
        if let Ok(event) = self.connections.try_recv() {
            return Some(event);
        }
        let now = Instant::now();
        self.in_turn(now, |queue| queue.frames.try_recv().ok())
    }

    /// Takes nothing of this peer until then. What is there stays.
    pub fn rest(&mut self, peer: PeerId, until: Instant) {
        for queue in self.queues.iter_mut().filter(|queue| queue.peer == peer) {
            queue.rests_until = Some(until);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<NetworkEvent>> {
        let mut ended = match self.connections.poll_recv(cx) {
            Poll::Ready(Some(event)) => return Poll::Ready(Some(event)),
            Poll::Ready(None) => true,
            Poll::Pending => false,
        };
        let resting = |queue: &Queue| queue.rests_until.is_some_and(|until| until > now);
        ended &= !self.queues.iter().any(resting);
        let taken = self.in_turn(now, |queue| match queue.frames.poll_recv(cx) {
            Poll::Ready(held) => held,
            Poll::Pending => {
                ended = false;
                None
            }
        });
        match taken {
            None if !ended => Poll::Pending,
            taken => Poll::Ready(taken),
        }
    }

    /// The first that there is, from whoever's turn it is on.
    fn in_turn(
        &mut self,
        now: Instant,
        mut take: impl FnMut(&mut Queue) -> Option<Held>,
    ) -> Option<NetworkEvent> {
        let count = self.queues.len();
        for at in (self.turn..count).chain(0..self.turn) {
            let queue = &mut self.queues[at];
            if queue.rests_until.is_some_and(|until| until > now) {
                continue;
            }
            queue.rests_until = None;
            if let Some(held) = take(queue) {
                self.turn = (at + 1) % count;
                return Some(held.event);
            }
        }
        None
    }
}

/// The end of an inbox where events are put in.
#[derive(Clone, Debug)]
pub(super) struct InboxSender {
    connections: mpsc::Sender<NetworkEvent>,
    queues: Arc<HashMap<PeerId, mpsc::Sender<Held>>>,
}

/// The node has stopped taking events.
#[derive(Debug)]
pub(super) struct InboxClosed;

/// How many comings and goings wait; a further one waits to be told.
const MAX_CONNECTION_EVENTS: usize = 64;

/// Makes an inbox for at most `capacity` frames of each peer.
pub(super) fn inbox(capacity: usize, peers: impl Iterator<Item = PeerId>) -> (InboxSender, Inbox) {
    let (to_connections, connections) = mpsc::channel(MAX_CONNECTION_EVENTS);
    let (mut senders, mut queues) = (HashMap::new(), Vec::new());
    for peer in peers {
        let (sender, frames) = mpsc::channel(capacity);
        senders.insert(peer, sender);
        queues.push(Queue {
            peer,
            frames,
            rests_until: None,
        });
    }
    let sender = InboxSender {
        connections: to_connections,
        queues: Arc::new(senders),
    };
    let inbox = Inbox {
        connections,
        queues,
        turn: 0,
    };
    (sender, inbox)
}

impl InboxSender {
    /// Puts a peer's coming or going in, when there is room.
    pub(super) async fn tell(&self, event: NetworkEvent) -> Result<(), InboxClosed> {
        self.connections.send(event).await.map_err(|_| InboxClosed)
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
        let held = Held {
            event: NetworkEvent::Frame { from, class, bytes },
            _room: room,
        };
        let queue = self.queues.get(&from).ok_or(InboxClosed)?;
        queue.send(held).await.map_err(|_| InboxClosed)
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

    const FLOODING: PeerId = PeerId(1);
    const QUIET: PeerId = PeerId(2);

    fn small_inbox() -> (InboxSender, Inbox) {
        inbox(8, [FLOODING, QUIET].into_iter())
    }

    fn deliver(sender: &InboxSender, share: &Share, from: PeerId, size: usize) -> bool {
        let bytes = Bytes::from(vec![0; size]);
        let delivered = sender.deliver(share, from, Class::Transactions, bytes);
        delivered.now_or_never().is_some()
    }

    fn next_sender(inbox: &mut Inbox) -> Option<PeerId> {
        let NetworkEvent::Frame { from, .. } = inbox.try_recv()? else {
            panic!("a frame")
        };
        Some(from)
    }

    #[test]
    fn a_peer_fills_its_own_share_and_not_the_inbox() {
        let (sender, mut inbox) = small_inbox();
        let (flooding, quiet) = (Share::new(200), Share::new(200));
        assert!(deliver(&sender, &flooding, FLOODING, 100));
        assert!(
            !deliver(&sender, &flooding, FLOODING, 100),
            "the share has no room for two"
        );
        assert!(deliver(&sender, &quiet, QUIET, 100), "another's has");
        assert_eq!(next_sender(&mut inbox), Some(FLOODING));
        assert!(
            deliver(&sender, &flooding, FLOODING, 100),
            "what is taken makes room"
        );
    }

    #[test]
    fn a_frame_larger_than_the_share_is_let_in_alone() {
        let (sender, mut inbox) = small_inbox();
        let share = Share::new(10);
        assert!(deliver(&sender, &share, FLOODING, 100));
        assert!(!deliver(&sender, &share, FLOODING, 100));
        assert_eq!(next_sender(&mut inbox), Some(FLOODING));
        assert!(deliver(&sender, &share, FLOODING, 100));
    }

    /// However much of one peer waits, the next frame of another is the next.
    #[test]
    fn peers_are_served_in_turn() {
        let (sender, mut inbox) = small_inbox();
        let share = Share::new(10_000);
        let mut given = 0;
        while deliver(&sender, &share, FLOODING, 0) {
            given += 1;
        }
        assert_eq!(given, 8, "a queue has its bound in frames as well");
        assert_eq!(next_sender(&mut inbox), Some(FLOODING));
        assert!(deliver(&sender, &share, QUIET, 0));
        assert_eq!(next_sender(&mut inbox), Some(QUIET));
        assert_eq!(next_sender(&mut inbox), Some(FLOODING));
    }

    #[tokio::test]
    async fn of_a_peer_that_rests_nothing_is_taken_and_nothing_is_lost() {
        let (sender, mut inbox) = small_inbox();
        let share = Share::new(10_000);
        assert!(deliver(&sender, &share, FLOODING, 1));
        let later = Instant::now() + std::time::Duration::from_hours(1);
        inbox.rest(FLOODING, later);
        assert_eq!(next_sender(&mut inbox), None);
        let gone = NetworkEvent::Disconnected(FLOODING);
        assert!(sender.tell(gone.clone()).now_or_never().is_some());
        assert_eq!(
            inbox.recv().await,
            Some(gone),
            "that it left is told at once"
        );
        drop(sender);
        inbox.rest(FLOODING, Instant::now());
        let frame = inbox.recv().await;
        assert!(matches!(frame, Some(NetworkEvent::Frame { .. })));
        assert_eq!(inbox.recv().await, None, "the network has stopped");
    }
}
