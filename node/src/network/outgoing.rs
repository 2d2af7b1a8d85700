//! Frames on their way to one peer: a bounded queue per class, and the task
//! that writes what is in it to a stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder as _;

use super::frame::FrameCodec;
use super::framed::{FrameReader, FrameWriter, StreamError, framed};
use super::inbox::NetworkEvent;
use super::peers::{Outlet, PeerState, Shared, Wiring};
use super::protocol::{Class, Protocol};
use super::substreams::Opener;

/// Frames that wait are written together until they have so many bytes: fewer
/// and fuller packets for many small votes.
const BATCH_BYTES: usize = 64 * 1024;

/// The pauses before a stream that failed on a working connection is opened
/// anew: from the first to the longest.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Where frames for one peer and class are put in.
#[derive(Debug)]
pub(super) struct Lane {
    sender: mpsc::Sender<Bytes>,
    queued_bytes: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// Where they come out.
#[derive(Debug)]
pub(super) struct Queued {
    receiver: mpsc::Receiver<Bytes>,
    queued_bytes: Arc<AtomicUsize>,
}

/// A queue of at most `max_frames` frames with at most `max_bytes` bytes.
pub(super) fn lane(max_frames: usize, max_bytes: usize) -> (Lane, Queued) {
    let (sender, receiver) = mpsc::channel(max_frames);
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let lane = Lane {
        sender,
        queued_bytes: Arc::clone(&queued_bytes),
        max_bytes,
    };
    let queued = Queued {
        receiver,
        queued_bytes,
    };
    (lane, queued)
}

impl Lane {
    /// Puts a frame in if there is room; a frame larger than all the room is
    /// let into an empty queue.
    pub(super) fn offer(&self, frame: Bytes) -> bool {
        let size = frame.len();
        let with = |queued: usize| {
            let fits = |total: &usize| queued == 0 || *total <= self.max_bytes;
            queued.checked_add(size).filter(fits)
        };
        let queued = &self.queued_bytes;
        if queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, with)
            .is_err()
        {
            return false;
        }
        let put_in = self.sender.try_send(frame).is_ok();
        if !put_in {
            queued.fetch_sub(size, Ordering::AcqRel);
        }
        put_in
    }

    /// How many frames wait.
    pub(super) fn len(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}

impl Queued {
    async fn next(&mut self) -> Option<Bytes> {
        let frame = self.receiver.recv().await;
        self.taken(frame)
    }

    fn try_next(&mut self) -> Option<Bytes> {
        let frame = self.receiver.try_recv().ok();
        self.taken(frame)
    }

    fn taken(&self, frame: Option<Bytes>) -> Option<Bytes> {
        if let Some(frame) = &frame {
            self.queued_bytes.fetch_sub(frame.len(), Ordering::AcqRel);
        }
        frame
    }
}

/// Writes the frames of one class to one peer for as long as the network runs.
pub(super) struct Writer {
    wiring: Wiring,
    peer: Arc<PeerState>,
    class: Class,
    frames: Queued,
    pause: Duration,
    /// Whether the node was told that the peer is connected.
    announced: bool,
}

impl Writer {
    pub(super) fn new(wiring: Wiring, outlet: Outlet) -> Self {
        Self {
            wiring,
            peer: outlet.peer,
            class: outlet.class,
            frames: outlet.frames,
            pause: MIN_PAUSE,
            announced: false,
        }
    }

    pub(super) async fn run(mut self) {
        let stop = self.wiring.shared.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.write_for_ever() => {}
        }
        self.peer.set_agreed(false);
    }

    /// A stream on the newest connection, and another when that is replaced.
    async fn write_for_ever(&mut self) {
        let mut connections = self.peer.connections();
        loop {
            if connections.borrow_and_update().is_none() {
                self.drop_queued();
            }
            let Ok(Some(connection)) = connections.wait_for(Option::is_some).await.map(|c| *c)
            else {
                return;
            };
            let ended = tokio::select! {
                ended = self.write_on(connection) => Some(ended),
                () = replaced(&mut connections, connection) => None,
            };
            if self.withdraw().await.is_err() {
                return;
            }
            if let Some(Err(error)) = ended {
                self.complain(&error);
                tokio::select! {
                    () = tokio::time::sleep(self.pause) => {}
                    () = replaced(&mut connections, connection) => {}
                }
                self.pause = self.pause.saturating_mul(2).min(MAX_PAUSE);
            }
        }
    }

    /// What waited for a peer that is gone says nothing new when it is back.
    fn drop_queued(&mut self) {
        let dropped = std::iter::from_fn(|| self.frames.try_next()).count();
        let counters = &self.wiring.shared.counters;
        counters.count_dropped(self.class, dropped);
    }

    async fn write_on(&mut self, connection: ConnectionId) -> Result<Infallible, StreamError> {
        let (mut reader, mut writer) = self.begin(connection).await?;
        self.pause = MIN_PAUSE;
        self.announce().await?;
        tokio::select! {
            ended = self.pump(&mut writer) => ended,
            // Nothing is to come: whatever does, it is the end.
            heard = reader.next(0) => Err(heard.map_or_else(|error| error, |_| StreamError::Unexpected)),
        }
    }

    /// A stream on which both sides have said hello.
    async fn begin(
        &self,
        connection: ConnectionId,
    ) -> Result<(FrameReader, FrameWriter), StreamError> {
        let shared = &self.wiring.shared;
        let protocol = Protocol::Frames(self.class);
        let begin = async {
            let opened = self
                .wiring
                .opener
                .open(self.peer.transport, connection, protocol);
            let (mut reader, mut writer) = framed(opened.await?);
            writer.say_hello(shared.hello).await?;
            reader.hear_hello(shared.hello).await?;
            Ok((reader, writer))
        };
        tokio::time::timeout(shared.limits.hello_timeout, begin).await?
    }

    async fn pump(&mut self, writer: &mut FrameWriter) -> Result<Infallible, StreamError> {
        let counters = &self.wiring.shared.counters;
        let mut codec = FrameCodec::new(self.wiring.shared.limits.max_frame_bytes(self.class));
        while let Some(first) = self.frames.next().await {
            let mut batch = BytesMut::with_capacity(first.len().saturating_add(BATCH_BYTES / 16));
            let (mut frames, mut bytes) = (0, 0);
            let mut next = Some(first);
            while let Some(frame) = next {
                codec.encode(&frame, &mut batch)?;
                frames += 1;
                bytes += frame.len();
                let more = batch.len() < BATCH_BYTES;
                next = if more { self.frames.try_next() } else { None };
            }
            writer.write_encoded(&batch).await?;
            counters.count_sent(self.class, frames, bytes);
        }
        Err(StreamError::Ended)
    }

    /// One class speaks for the peer: if the one is agreed, so is the other.
    async fn announce(&mut self) -> Result<(), StreamError> {
        if self.class == Class::Consensus {
            self.peer.set_agreed(true);
            let event = NetworkEvent::Connected(self.peer.id);
            let told = self.wiring.inbox(self.class).tell(event).await;
            told.map_err(|_| StreamError::Ended)?;
            self.announced = true;
        }
        Ok(())
    }

    async fn withdraw(&mut self) -> Result<(), StreamError> {
        if self.class == Class::Consensus {
            self.peer.set_agreed(false);
        }
        if std::mem::take(&mut self.announced) {
            let event = NetworkEvent::Disconnected(self.peer.id);
            let told = self.wiring.inbox(self.class).tell(event).await;
            told.map_err(|_| StreamError::Ended)?;
        }
        Ok(())
    }

    fn complain(&self, error: &StreamError) {
        let (peer, class) = (self.peer.id, self.class);
        if let StreamError::Hello(error) = error {
            self.wiring.shared.counters.count_refused_hello();
            if let Some(unsaid) = self.peer.complaints.permit() {
                tracing::warn!(%peer, unsaid, "nothing is sent to replica {peer}: {error}");
            }
        } else {
            tracing::debug!(%peer, %class, %error, "stream to peer ended");
        }
    }
}

/// Sends a frame that is longer than allowed: the peer closes the stream.
pub(super) async fn send_too_long(
    shared: &Shared,
    opener: &Opener,
    peer: &PeerState,
    class: Class,
) -> Result<(), StreamError> {
    let connection = peer.connection().ok_or(StreamError::Ended)?;
    let breach = async {
        let stream = opener.open(peer.transport, connection, Protocol::Frames(class));
        let (mut reader, mut writer) = framed(stream.await?);
        writer.say_hello(shared.hello).await?;
        reader.hear_hello(shared.hello).await?;
        let length = shared.limits.max_frame_bytes(class).saturating_add(1);
        writer.write(&vec![0; length], length).await?;
        reader.next(0).await.map(drop)
    };
    tokio::time::timeout(shared.limits.hello_timeout, breach).await?
}

/// Waits until another connection is to be used, or none.
async fn replaced(
    connections: &mut watch::Receiver<Option<ConnectionId>>,
    connection: ConnectionId,
) {
    // It fails only when the peer is gone altogether, which ends the writer.
    let other = connections.wait_for(|current| *current != Some(connection));
    drop(other.await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_full_by_frames_or_by_bytes_and_takes_again_what_was_taken_out() {
        let (lane, mut queued) = lane(3, 10);
        let frame = |size| Bytes::from(vec![0; size]);
        assert!(lane.offer(frame(6)));
        assert!(!lane.offer(frame(5)), "too many bytes");
        assert!(lane.offer(frame(4)));
        assert!(lane.offer(frame(0)));
        assert!(!lane.offer(frame(0)), "too many frames");
        assert_eq!(lane.len(), 3);
        assert_eq!(queued.try_next().map(|frame| frame.len()), Some(6));
        assert!(lane.offer(frame(6)));
        while queued.try_next().is_some() {}
        assert!(lane.offer(frame(11)), "alone, however large");
        assert!(!lane.offer(frame(1)));
    }
}
