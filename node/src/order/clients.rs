//! Whoever puts load on this node: payloads come in over TCP and are made into
//! bundles; when those are executed, it is told.
//!
//! What has come meanwhile is a bundle. While much is under way more is waited
//! for, but not for long: it could not be ordered before that anyway, and every
//! bundle costs. Where the pool has no room nothing is read, which is felt by the
//! client.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::{ReplicaId, RequestDigest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Encoder as _;
use tokio_util::sync::CancellationToken;

use super::bundle::{Bundle, HEAD_BYTES, Whole, head};
use super::fold::Outcomes;
use super::wire::{MAX_SAID_BYTES, Said, Standing};
use crate::driver::Event;
use crate::gossip;
use crate::network::{FrameCodec, NetworkHandle};
use crate::pool::PoolBudget;
use crate::request::Request as _;
use crate::services::ConsensusStatus;

/// How many bytes a bundle has at most, unless one payload alone is longer.
pub(super) const BUNDLE_BYTES: usize = 64 * 1024;

/// From how many bundles in the pool on more payloads are waited for, and how long.
const BUSY: usize = 4;
const LINGER: Duration = Duration::from_millis(4);

/// How often room in a full pool is looked for.
const ROOM_INTERVAL: Duration = Duration::from_millis(2);

/// How many answers wait for a client; one that does not read them is left.
const ANSWERS: usize = 4096;

/// A client's payloads that are under way as one bundle.
struct Handed {
    to: mpsc::Sender<Said>,
    first: u64,
    count: u64,
}

/// Who waits for which bundle. There are no more of them than the pool has room for.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<RequestDigest, Handed>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<RequestDigest, Handed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This bundle was executed; if it came from a client of this node, it is told.
    pub(super) fn executed(&self, digest: RequestDigest) {
        let handed = self.lock().remove(&digest);
        if let Some(Handed { to, first, count }) = handed {
            // The queue of a client that does not read is left full.
            let _ = to.try_send(Said::Executed { first, count });
        }
    }
}

/// See the module.
pub(super) struct Clients {
    pub(super) origin: ReplicaId,
    pub(super) max_payload_bytes: usize,
    pub(super) budget: Arc<PoolBudget>,
    pub(super) network: NetworkHandle,
    pub(super) driver: mpsc::Sender<Event<Bundle>>,
    pub(super) waiting: Waiting,
    pub(super) outcomes: Outcomes,
    pub(super) status: watch::Receiver<ConsensusStatus>,
    /// How many bundles were begun here.
    pub(super) bundles: AtomicU64,
}

/// Why a client is not listened to any more.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a payload of {found} bytes where {limit} are allowed")]
    TooLong { found: usize, limit: usize },
    #[error("it does not read what it is told")]
    Deaf,
    #[error("the node is stopping")]
    Stopping,
}

impl Clients {
    /// Listens until `stop` is cancelled.
    pub(super) async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let clients = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let (clients, stop) = (clients.clone(), stop.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = clients.serve(stream, from) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a client could not be accepted");
                    sleep(ROOM_INTERVAL).await;
                }
            }
        }
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr) {
        let (reader, writer) = stream.into_split();
        let (answers, to_write) = mpsc::channel(ANSWERS);
        let ended = tokio::select! {
            ended = self.listen(reader, answers) => ended,
            ended = write(writer, to_write) => ended,
        };
        match ended {
            Ok(()) => tracing::debug!(%from, "a client has left"),
            Err(error) => tracing::warn!(%from, "a client is left: {error}"),
        }
    }

    /// Takes in the payloads of one client until it has no more.
    async fn listen(
        &self,
        mut reader: OwnedReadHalf,
        answers: mpsc::Sender<Said>,
    ) -> Result<(), Left> {
        let mut first = 0;
        let mut buffer = self.next_head(&[]);
        loop {
            let whole = self.next_whole(&mut reader, &mut buffer).await?;
            let rest = buffer.split_off(HEAD_BYTES + whole.bytes);
            if whole.payloads > 0 {
                let handed = Handed {
                    to: answers.clone(),
                    first,
                    count: whole.payloads,
                };
                self.hand_in(buffer, handed).await?;
                first += whole.payloads;
            }
            let mut rest = &rest[..];
            match whole.next {
                Some(0) => {
                    rest = &rest[size_of::<u32>()..];
                    let stands = Said::Stands(self.standing());
                    answers.try_send(stands).map_err(|_| Left::Deaf)?;
                }
                Some(found) if found > self.max_payload_bytes => {
                    let limit = self.max_payload_bytes;
                    return Err(Left::TooLong { found, limit });
                }
                _ if whole.payloads == 0 => return Ok(()),
                _ => {}
            }
            buffer = self.next_head(rest);
        }
    }

    /// The beginning of the next bundle, with what of it has come already.
    fn next_head(&self, rest: &[u8]) -> BytesMut {
        let number = self.bundles.fetch_add(1, Ordering::Relaxed);
        let mut buffer = head(self.origin, number, BUNDLE_BYTES.max(rest.len()));
        buffer.extend_from_slice(rest);
        buffer
    }

    /// Reads until there is a bundle, or something that cannot be part of one.
    /// Nothing whole and nothing strange: the client has ended.
    async fn next_whole(
        &self,
        reader: &mut OwnedReadHalf,
        buffer: &mut BytesMut,
    ) -> Result<Whole, Left> {
        let mut whole = Whole::default();
        let mut until = None;
        loop {
            let longest = self.max_payload_bytes;
            whole = whole.count(&buffer[HEAD_BYTES..], longest, BUNDLE_BYTES);
            let strange = |next: usize| next == 0 || next > longest;
            let no_room = whole.payloads > 0 && buffer.len() == buffer.capacity();
            if no_room || whole.is_full(BUNDLE_BYTES) || whole.next.is_some_and(strange) {
                return Ok(whole);
            }
            // Room for a payload that is longer than a bundle usually is.
            buffer.reserve(1);
            let read = reader.read_buf(buffer);
            let read = if whole.payloads == 0 {
                read.await
            } else {
                let busy = self.budget.usage().0 >= BUSY;
                let linger = if busy { LINGER } else { Duration::ZERO };
                let until = *until.get_or_insert_with(|| Instant::now() + linger);
                match timeout_at(until, read).await {
                    Ok(read) => read,
                    Err(_) => return Ok(whole),
                }
            };
            if read? == 0 {
                return Ok(whole);
            }
        }
    }

    /// To the peers first, so that they have it when a batch names it.
    async fn hand_in(&self, bytes: BytesMut, handed: Handed) -> Result<(), Left> {
        let bundle = Bundle::parse(bytes.freeze()).expect("it was made of whole payloads");
        while !self.budget.reserve(bundle.bytes().len()) {
            sleep(ROOM_INTERVAL).await;
        }
        self.waiting.lock().insert(bundle.digest(), handed);
        gossip::broadcast(&self.network, std::slice::from_ref(bundle.shared()));
        let event = Event::Transactions(vec![Arc::new(bundle)]);
        self.driver.send(event).await.map_err(|_| Left::Stopping)
    }

    fn standing(&self) -> Standing {
        let connected = self.network.connected();
        Standing {
            connected: u32::try_from(connected.len()).unwrap_or(u32::MAX),
            view: self.status.borrow().view,
            outcomes: self.outcomes.told(),
        }
    }
}

/// Tells a client what it waits for, as much at a time as there is.
async fn write(mut writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Said>) -> Result<(), Left> {
    let mut codec = FrameCodec::new(MAX_SAID_BYTES);
    while let Some(first) = answers.recv().await {
        let mut bytes = BytesMut::new();
        let more = std::iter::from_fn(|| answers.try_recv().ok());
        for said in std::iter::once(first).chain(more) {
            let encoded = codec.encode(&said.encode(), &mut bytes);
            encoded.expect("what is said here is short");
        }
        writer.write_all(&bytes).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio_util::codec::FramedRead;

    use super::*;

    /// What becomes of a client that writes these bytes: the bundles that the driver
    /// is given are executed at once.
    async fn hear(bytes: Vec<u8>, max_payload_bytes: usize) -> (Vec<Arc<Bundle>>, Vec<Said>) {
        let (driver, mut events) = mpsc::channel(64);
        let waiting = Waiting::default();
        let clients = Clients {
            origin: ReplicaId(0),
            max_payload_bytes,
            budget: Arc::new(PoolBudget::new(1000, 100_000_000)),
            network: crate::testing::alone(0).await,
            driver,
            waiting: waiting.clone(),
            outcomes: Outcomes::default(),
            status: watch::channel(ConsensusStatus::default()).1,
            bundles: AtomicU64::new(0),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(clients.run(listener, stop.clone()));
        let (reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let written = tokio::spawn(async move {
            // A client that is not listened to any more cannot write.
            let _ = writer.write_all(&bytes).await;
            writer
        });
        let mut bundles = Vec::new();
        let mut said = Vec::new();
        let mut answers = FramedRead::new(reader, FrameCodec::new(MAX_SAID_BYTES));
        // The last answer is where it stands, or the end.
        loop {
            tokio::select! {
                Some(Event::Transactions(handed)) = events.recv() => {
                    for bundle in handed {
                        waiting.executed(bundle.digest());
                        bundles.push(bundle);
                    }
                }
                answer = answers.next() => {
                    let Some(Ok(answer)) = answer else { break };
                    said.push(Said::decode(&answer).unwrap());
                    if matches!(said.last(), Some(Said::Stands(_))) {
                        break;
                    }
                }
            }
        }
        stop.cancel();
        running.await.unwrap();
        while let Ok(Event::Transactions(handed)) = events.try_recv() {
            bundles.extend(handed);
        }
        drop(written.await.unwrap());
        (bundles, said)
    }

    fn payloads(count: usize, size: usize) -> Vec<u8> {
        let length = u32::try_from(size).unwrap().to_be_bytes();
        let one = [&length[..], &vec![7; size]].concat();
        one.repeat(count)
    }

    /// Sizes around that of a bundle, and one that is longer than any.
    #[tokio::test]
    async fn every_payload_is_in_one_bundle_and_answered_once() {
        for (count, size) in [(1, 1), (2000, 512), (5, 40_000), (3, BUNDLE_BYTES + 1)] {
            let ask = [0; 4];
            let bytes = [&payloads(count, size)[..], &ask].concat();
            let (bundles, said) = hear(bytes, 100_000).await;
            let whole: u64 = bundles.iter().map(|bundle| bundle.payloads()).sum();
            assert_eq!(whole, count as u64);
            let longest = BUNDLE_BYTES.max(4 + size) + HEAD_BYTES;
            assert!(bundles.iter().all(|it| it.bytes().len() <= longest));
            let mut next = 0;
            for answer in said {
                if let Said::Executed { first, count } = answer {
                    assert_eq!(first, next);
                    next += count;
                }
            }
            // What was asked last may be answered before the last bundle is executed.
            assert!(next <= whole);
        }
    }

    #[tokio::test]
    async fn a_client_with_a_payload_that_is_too_long_is_left() {
        let bytes = [payloads(1, 10), payloads(1, 101), payloads(1, 10)].concat();
        let (bundles, _) = hear(bytes, 100).await;
        assert!(bundles.iter().all(|bundle| bundle.payloads() == 1));
        assert!(bundles.len() <= 1, "nothing after it counts");
    }
}
