//! A client's connection that is cut when the client takes what it asked for too slowly:
//! otherwise a few readers hold every place, and the answers for them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A connection with a bound on how slowly its client may take its answers.
pub(super) struct ClientStream {
    stream: TcpStream,
    timeout: Duration,
    min_bytes: usize,
    /// Runs while the client is behind with taking.
    behind: Option<Behind>,
}

/// A client has not taken all that was to be written.
struct Behind {
    timeout: Pin<Box<Sleep>>,
    /// What it has taken since, in bytes.
    taken: usize,
}

impl ClientStream {
    /// A client must take `min_bytes` within `timeout`, or all there is.
    pub(super) fn new(stream: TcpStream, timeout: Duration, min_bytes: usize) -> Self {
        Self {
            stream,
            timeout,
            min_bytes,
            behind: None,
        }
    }

    /// Writes, or fails when the client has been taking too little for too long.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            if let (Some(behind), Ok(bytes)) = (&mut self.behind, &written) {
                behind.taken = behind.taken.saturating_add(*bytes);
                if behind.taken >= self.min_bytes {
                    self.behind = None;
                }
            }
            return Poll::Ready(written);
        }
        let timeout = self.timeout;
        let behind = self.behind.get_or_insert_with(|| Behind {
            timeout: Box::pin(tokio::time::sleep(timeout)),
            taken: 0,
        });
        ready!(behind.timeout.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream, context| {
            stream.poll_write_vectored(context, parts)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when there is nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.behind = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);
    const ANSWER_BYTES: usize = 24 * 1024 * 1024;

    /// Writes a long answer to one who never takes nothing for long.
    async fn write_to_slow_reader(min_bytes: usize) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut reader = TcpStream::connect(listener.local_addr()?).await?;
        let (writer, _) = listener.accept().await?;
        let mut writer = ClientStream::new(writer, TIMEOUT, min_bytes);
        let answer = vec![7; ANSWER_BYTES];
        let writing = async move {
            writer.write_all(&answer).await?;
            writer.shutdown().await
        };
        let mut drop_of_it = vec![0; 64 * 1024];
        let reading = async {
            while reader.read(&mut drop_of_it).await? > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            io::Result::Ok(())
        };
        let (written, _) = tokio::join!(writing, reading);
        written
    }

    #[tokio::test]
    async fn who_takes_an_answer_by_drops_is_cut_off_and_who_takes_it_slowly_is_not() {
        let cut_off = write_to_slow_reader(ANSWER_BYTES).await.unwrap_err();
        assert_eq!(cut_off.kind(), io::ErrorKind::TimedOut);
        write_to_slow_reader(1).await.unwrap();
    }
}
