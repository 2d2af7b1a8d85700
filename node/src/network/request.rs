//! Requests: one stream each, so that however much a response brings, it
//! stands in nobody's way.

use std::time::Duration;

use libp2p::Stream;
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::timeout;
use tokio_util::bytes::Bytes;

use super::error::RequestError;
use super::framed::{FrameReader, FrameWriter, StreamError, framed};
use super::peers::{PeerState, Shared, Wiring};
use super::protocol::{PeerId, Protocol};
use super::substreams::{OpenError, Opener};

/// A request of a peer, to be answered by whoever takes it.
#[derive(Debug)]
pub struct InboundRequest {
    /// Who asks.
    pub from: PeerId,
    /// What.
    pub bytes: Bytes,
    /// Where the response goes. Dropping it refuses the request.
    pub reply: oneshot::Sender<Bytes>,
}

/// Asks a peer and waits for its response: for `silence` at the most as long as nothing of
/// it comes, and no longer altogether than a peer may take to serve it.
pub(super) async fn ask(
    shared: &Shared,
    opener: &Opener,
    to: PeerId,
    request: &[u8],
    silence: Duration,
) -> Result<Bytes, RequestError> {
    let peer = shared.peers.get(to);
    let peer = peer.ok_or(RequestError::UnknownPeer { peer: to })?;
    let limit = shared.limits.max_request_bytes;
    if request.len() > limit {
        let size = request.len();
        return Err(RequestError::TooLarge { size, limit });
    }
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => Err(RequestError::Stopped),
        response = exchange(shared, opener, peer, request, silence) => response,
    }
}

async fn exchange(
    shared: &Shared,
    opener: &Opener,
    peer: &PeerState,
    request: &[u8],
    silence: Duration,
) -> Result<Bytes, RequestError> {
    let late = |after| RequestError::Timeout {
        peer: peer.id,
        after,
    };
    let begun = timeout(silence, begin(shared, opener, peer, request)).await;
    let (mut reader, _open) = begun.map_err(|_| late(silence))??;
    let limits = &shared.limits;
    let response = reader.next_unless_silent(limits.max_response_bytes, silence);
    let response = timeout(limits.serve_timeout, response).await;
    response
        .map_err(|_| late(limits.serve_timeout))?
        .map_err(|error| match error {
            StreamError::Silent => late(silence),
            other => failed(peer, other),
        })
}

/// A stream on which a peer has been asked, and what must be kept until it has answered.
async fn begin<'a>(
    shared: &Shared,
    opener: &Opener,
    peer: &'a PeerState,
    request: &[u8],
) -> Result<(FrameReader, (FrameWriter, SemaphorePermit<'a>)), RequestError> {
    let not_connected = || RequestError::NotConnected { peer: peer.id };
    if peer.is_cut() {
        return Err(not_connected());
    }
    peer.connection().ok_or_else(not_connected)?;
    let room = peer.requesting.acquire().await;
    let room = room.expect("the room for requests is never closed");
    let connection = peer.connection().ok_or_else(not_connected)?;
    let begin = async {
        let stream = opener.open(peer.transport, connection, Protocol::Fetch);
        let (mut reader, mut writer) = framed(stream.await?);
        writer.say_hello(shared.hello).await?;
        let limit = shared.limits.max_request_bytes;
        writer.write(request, limit).await?;
        reader.hear_hello(shared.hello).await?;
        Ok((reader, (writer, room)))
    };
    begin.await.map_err(|error| failed(peer, error))
}

fn failed(peer: &PeerState, error: StreamError) -> RequestError {
    match error {
        StreamError::Hello(source) => RequestError::Hello {
            peer: peer.id,
            source,
        },
        StreamError::Open(OpenError::Closed) => RequestError::NotConnected { peer: peer.id },
        StreamError::Ended => RequestError::Refused { peer: peer.id },
        other => RequestError::Failed {
            peer: peer.id,
            reason: other.to_string(),
        },
    }
}

/// What a request counts, in bytes of a response: little is work as well, and a
/// list of eight bytes each may take a signature for each.
fn weight_of_request(length: usize) -> usize {
    64 * 1024 + 128 * length
}

/// Reads a peer's request, has it answered, and writes the response.
pub(super) async fn serve(
    wiring: &Wiring,
    peer: &PeerState,
    stream: Stream,
) -> Result<(), StreamError> {
    let limits = &wiring.shared.limits;
    let (mut reader, mut writer) = framed(stream);
    let begin = async {
        // Said before theirs is judged, so that both sides know what is wrong.
        writer.say_hello(wiring.shared.hello).await?;
        reader.hear_hello(wiring.shared.hello).await?;
        reader.next(limits.max_request_bytes).await
    };
    let bytes = timeout(limits.hello_timeout, begin).await??;
    let answer = async {
        let (reply, response) = oneshot::channel();
        let from = peer.id;
        let weight = weight_of_request(bytes.len());
        let request = InboundRequest { from, bytes, reply };
        let room = peer.serving.acquire().await;
        let _room = room.expect("the room for serving is never closed");
        peer.await_serving(weight).await;
        let taken = wiring.requests.send(request).await;
        taken.map_err(|_| StreamError::Ended)?;
        let response = response.await.ok();
        if let Some(response) = &response {
            peer.charge_serving(response.len());
            writer.write(response, limits.max_response_bytes).await?;
        }
        // Closed rather than reset, so that the peer reads what was said.
        writer.finish().await?;
        response.map(drop).ok_or(StreamError::Ended)
    };
    timeout(limits.serve_timeout, answer).await?
}
