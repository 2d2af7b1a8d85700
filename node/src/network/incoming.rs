//! Streams that peers have opened: one of frames per peer and class, the
//! newest; and as many requests as may be served.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use libp2p::Stream;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use super::frame::FrameError;
use super::framed::{StreamError, framed};
use super::peers::{PeerState, Wiring};
use super::protocol::{Class, PeerId, Protocol};
use super::request;
use super::substreams::Opened;

/// Starts a task for each stream, and ends those that are replaced.
pub(super) struct Incoming {
    wiring: Wiring,
    tasks: TaskTracker,
    readers: HashMap<(PeerId, Class), AbortHandle>,
}

impl Incoming {
    pub(super) fn new(wiring: Wiring, tasks: TaskTracker) -> Self {
        Self {
            wiring,
            tasks,
            readers: HashMap::new(),
        }
    }

    /// Takes a stream on, or drops it, which resets it.
    pub(super) fn accept(&mut self, peer: &Arc<PeerState>, opened: Opened) {
        if peer.is_barred() {
            return;
        }
        match opened.protocol {
            Protocol::Frames(class) => self.accept_frames(peer, class, opened.stream),
            Protocol::Fetch => self.accept_request(peer, opened.stream),
        }
    }

    /// A peer that opens a stream anew has lost or left the one before.
    fn accept_frames(&mut self, peer: &Arc<PeerState>, class: Class, stream: Stream) {
        let (wiring, reader) = (self.wiring.clone(), Arc::clone(peer));
        let reading = self.tasks.spawn(async move {
            let stop = wiring.shared.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Err(error) = read_frames(&wiring, &reader, class, stream) => {
                    complain(&wiring, &reader, &error);
                }
            }
        });
        let reading = reading.abort_handle();
        if let Some(before) = self.readers.insert((peer.id, class), reading) {
            before.abort();
        }
    }

    fn accept_request(&mut self, peer: &Arc<PeerState>, stream: Stream) {
        let Ok(room) = Arc::clone(&peer.requests).try_acquire_owned() else {
            self.wiring.shared.counters.count_refused_request();
            return;
        };
        let (wiring, asking) = (self.wiring.clone(), Arc::clone(peer));
        self.tasks.spawn(async move {
            let stop = wiring.shared.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                served = request::serve(&wiring, &asking, stream) => match served {
                    Ok(()) => wiring.shared.counters.count_served(),
                    Err(error) => {
                        wiring.shared.counters.count_refused_request();
                        complain(&wiring, &asking, &error);
                    }
                },
            }
            drop(room);
        });
    }
}

/// Reads frames until something is wrong.
async fn read_frames(
    wiring: &Wiring,
    peer: &PeerState,
    class: Class,
    stream: Stream,
) -> Result<Infallible, StreamError> {
    let shared = &wiring.shared;
    let (mut reader, mut writer) = framed(stream);
    let begin = async {
        // Said before theirs is judged, so that both sides know what is wrong.
        writer.say_hello(shared.hello).await?;
        reader.hear_hello(shared.hello).await
    };
    tokio::time::timeout(shared.limits.hello_timeout, begin).await??;
    let limit = shared.limits.max_frame_bytes(class);
    loop {
        let bytes = reader.next(limit).await?;
        shared.counters.count_received(class, bytes.len());
        let inbox = wiring.inbox(class);
        let delivered = inbox.deliver(peer.share(class), peer.id, class, bytes);
        delivered.await.map_err(|_| StreamError::Ended)?;
    }
}

/// Counts what was wrong with a stream, and says so if an operator can mend it.
fn complain(wiring: &Wiring, peer: &PeerState, error: &StreamError) {
    let counters = &wiring.shared.counters;
    match error {
        StreamError::Hello(_) => counters.count_refused_hello(),
        StreamError::Frame(FrameError::TooLong { .. }) => {
            counters.count_broken_stream();
            peer.begin_bar();
        }
        _ => {
            tracing::debug!(peer = %peer.id, %error, "stream of peer ended");
            return;
        }
    }
    if let Some(unsaid) = peer.complaints.permit() {
        let id = peer.id;
        tracing::warn!(peer = %id, unsaid, "a stream of replica {id} was closed: {error}");
    }
}
