//! A stream of frames, and the hello that begins it in both directions.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::Stream;
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{Encoder as _, FramedRead};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

use super::frame::{FrameCodec, FrameError};
use super::hello::{Hello, HelloError, MAX_HELLO_BYTES};
use super::substreams::OpenError;

/// Why a stream is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// It never was.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The two sides do not belong together.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// It broke, or the peer broke the rules of framing.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer closed it.
    #[error("the peer closed the stream")]
    Ended,
    /// The peer was silent for too long.
    #[error("the peer was silent for too long")]
    Silent,
    /// The peer says something where it may not.
    #[error("a frame against the direction of the stream")]
    Unexpected,
}

impl From<std::io::Error> for StreamError {
    fn from(error: std::io::Error) -> Self {
        Self::Frame(error.into())
    }
}

impl From<tokio::time::error::Elapsed> for StreamError {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Silent
    }
}

/// The half of a stream that is read.
pub(super) struct FrameReader(FramedRead<ReadHalf<Compat<Stream>>, FrameCodec>);

/// The half of a stream that is written.
pub(super) struct FrameWriter(WriteHalf<Compat<Stream>>);

/// Both halves of a stream on which nothing has been said.
pub(super) fn framed(stream: Stream) -> (FrameReader, FrameWriter) {
    let (reader, writer) = tokio::io::split(stream.compat());
    let codec = FrameCodec::new(MAX_HELLO_BYTES);
    (
        FrameReader(FramedRead::new(reader, codec)),
        FrameWriter(writer),
    )
}

impl FrameReader {
    /// Reads the peer's hello and compares it.
    pub(super) async fn hear_hello(&mut self, ours: Hello) -> Result<(), StreamError> {
        let theirs = self.next(MAX_HELLO_BYTES).await?;
        ours.check(&theirs)?;
        Ok(())
    }

    /// The next frame, if it has at most `limit` bytes and some of them come within every
    /// `silence`: on a slow line a long one takes its time.
    pub(super) async fn next_unless_silent(
        &mut self,
        limit: usize,
        silence: Duration,
    ) -> Result<Bytes, StreamError> {
        loop {
            let before = self.0.read_buffer().len();
            match timeout(silence, self.next(limit)).await {
                Err(_) if self.0.read_buffer().len() > before => {}
                frame => return frame?,
            }
        }
    }

    /// The next frame, if it has at most `limit` bytes.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Bytes, StreamError> {
        self.0.decoder_mut().set_limit(limit);
        match self.0.next().await {
            Some(Ok(frame)) => Ok(frame),
            Some(Err(error)) => Err(error.into()),
            None => Err(StreamError::Ended),
        }
    }
}

impl FrameWriter {
    /// Says hello.
    pub(super) async fn say_hello(&mut self, ours: Hello) -> Result<(), StreamError> {
        self.write(&ours.to_bytes(), MAX_HELLO_BYTES).await
    }

    /// Writes one frame of at most `limit` bytes.
    pub(super) async fn write(&mut self, payload: &[u8], limit: usize) -> Result<(), StreamError> {
        let mut bytes = BytesMut::new();
        FrameCodec::new(limit).encode(payload, &mut bytes)?;
        self.write_encoded(&bytes).await
    }

    /// Writes frames that are encoded already.
    pub(super) async fn write_encoded(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.write_all(bytes).await?;
        self.0.flush().await?;
        Ok(())
    }

    /// Tells the peer that nothing follows.
    pub(super) async fn finish(&mut self) -> Result<(), StreamError> {
        Ok(self.0.shutdown().await?)
    }
}
