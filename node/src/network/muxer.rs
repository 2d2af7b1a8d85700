//! Yamux with a bound on what it buffers.
//!
//! The libp2p wrapper of the same crate does not let the receive window of a
//! connection be set, and its default is 1 GiB: a peer could make this node
//! hold that much by sending what is not read. Hence this thin one.

use std::collections::VecDeque;
use std::future::{Future as _, Ready, ready};
use std::io;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use tokio::time::Sleep;
use yamux::{Connection, ConnectionError, Mode, Stream};

/// How many streams a connection may have, both directions together. Two
/// correct nodes use about half of them.
pub(super) const MAX_STREAMS: usize = 32;

/// What all streams of a connection may have received and not been read, in
/// bytes: half of it is guaranteed to streams (256 KiB each), the other half
/// goes to those that need larger windows over long distances.
const MAX_RECEIVE_WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// How many streams that the peer has opened wait to be negotiated.
const MAX_WAITING_STREAMS: usize = 8;

/// From the order to close a connection until its socket is dropped, whether or
/// not the peer reads the farewell: one that stands still never would, and its
/// connection would count as one for ever.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a connection carry many streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multiplexing;

fn config() -> yamux::Config {
    let mut config = yamux::Config::default();
    // In this order: the window must cover the streams at every moment.
    config.set_max_num_streams(MAX_STREAMS);
    config.set_max_connection_receive_window(Some(MAX_RECEIVE_WINDOW_BYTES));
    config
}

/// A connection that carries many streams.
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    /// Opened by the peer while nobody was ready to take them.
    waiting: VecDeque<Stream>,
    /// Whoever is to be told about those.
    taker: Option<Waker>,
    /// When to give up on closing in good order.
    farewell: Option<Pin<Box<Sleep>>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn new(io: C, mode: Mode) -> Self {
        Self {
            connection: Connection::new(io, config(), mode),
            waiting: VecDeque::new(),
            taker: None,
            farewell: None,
        }
    }

    /// The connection makes progress only by being asked for streams.
    fn poll_opened(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        self.connection
            .poll_next_inbound(cx)
            .map(|stream| stream.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let opened = self.poll_opened(cx);
        if opened.is_pending() {
            self.taker = Some(cx.waker().clone());
        }
        opened
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        if let Poll::Ready(closed) = self.connection.poll_close(cx) {
            return Poll::Ready(closed);
        }
        let farewell = self
            .farewell
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)));
        farewell.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let stream = match self.poll_opened(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) => stream,
        };
        // Dropping a stream resets it: the peer opens more than it may.
        if self.waiting.len() < MAX_WAITING_STREAMS {
            self.waiting.push_back(stream);
            if let Some(taker) = self.taker.take() {
                taker.wake();
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl UpgradeInfo for Multiplexing {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Multiplexing {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, io::Error>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(io, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Multiplexing {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Output, io::Error>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(io, Mode::Client)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::AsyncWrite as _;
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    use super::*;

    #[tokio::test]
    async fn closing_ends_although_the_peer_reads_nothing() {
        let (near, _far) = tokio::io::duplex(64);
        let mut muxer = Muxer::new(near.compat(), Mode::Client);
        let mut stream = poll_fn(|cx| Pin::new(&mut muxer).poll_outbound(cx))
            .await
            .unwrap();
        let write = |cx: &mut Context<'_>| Pin::new(&mut stream).poll_write(cx, &[0; 1000]);
        assert!(poll_fn(write).await.is_ok());
        let stuck = poll_fn(|cx| Poll::Ready(Pin::new(&mut muxer).poll(cx).is_pending()));
        assert!(stuck.await);
        let close = poll_fn(|cx| Pin::new(&mut muxer).poll_close(cx));
        let closed = tokio::time::timeout(Duration::from_mins(1), close).await;
        assert!(closed.is_ok_and(|closed| closed.is_ok()));
    }
}
