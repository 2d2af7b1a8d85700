//! Blocks as they are attested, one after the other without a gap, or what matches
//! in them.
//!
//! A stream is fed from the database and holds one line at a time: a slow reader
//! costs nothing but its place.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::extract::Asked;
use super::{State, accepts};
use crate::api::error::Failure;
use crate::api::filter::{Filter, Had};
use crate::api::present;
use crate::api::types::{BlockEvent, ErrorAnswer, Position};

/// After how many blocks in which nothing matches a line says so: whoever comes back
/// has not to look through more than these again.
const BOOKMARK_BLOCKS: usize = 1000;

/// The header by which server-sent events are resumed.
const LAST_EVENT_ID: &str = "last-event-id";

/// Where to begin, and what to show.
#[derive(Deserialize)]
pub(super) struct Subscribed {
    from: Option<u64>,
    after: Option<String>,
    contract: Option<String>,
    event: Option<String>,
    creator: Option<String>,
}

/// The first block of a stream, and what of it was had already.
type Begin = (u64, Option<Had>);

fn position(text: &str) -> Result<Begin, Failure> {
    let position: Position = text
        .parse()
        .map_err(|error| Failure::bad_request("that is no position").cause(format!("{error}")))?;
    if position.within.is_some() {
        return Ok((position.block, position.within));
    }
    let next = position.block.checked_add(1);
    let next = next.ok_or_else(|| Failure::bad_request("no chain has so many blocks"))?;
    Ok((next, None))
}

impl Subscribed {
    /// Where the stream begins. Who was cut off and says where has read further than
    /// the address it began with.
    fn begin(&self, headers: &HeaderMap, newest: u64) -> Result<Begin, Failure> {
        let resumed = headers.get(LAST_EVENT_ID);
        if let Some(id) = resumed.filter(|id| !id.is_empty()) {
            return position(id.to_str().unwrap_or_default());
        }
        match (self.from, &self.after) {
            (Some(_), Some(_)) => Err(Failure::bad_request("either `from` or `after`, not both")),
            (Some(from), None) => Ok((from, None)),
            (None, Some(after)) => position(after),
            (None, None) => Ok((newest.saturating_add(1), None)),
        }
    }
}

/// How a line of the stream is framed.
#[derive(Clone, Copy)]
enum Framing {
    Lines,
    ServerSentEvents,
}

impl Framing {
    fn frame(self, event: &BlockEvent) -> Bytes {
        let json = serde_json::to_string(event).unwrap_or_default();
        match self {
            Self::Lines => format!("{json}\n").into(),
            Self::ServerSentEvents => format!("id: {}\ndata: {json}\n\n", event.block).into(),
        }
    }
}

/// One reader of the stream.
struct Reader {
    state: State,
    begin: Begin,
    filter: Option<Arc<Filter>>,
    /// How many blocks were passed over since the last line.
    passed: usize,
    /// The last of them.
    last: Option<BlockEvent>,
    /// It has not come to the newest block yet.
    behind: bool,
    framing: Framing,
    _place: OwnedSemaphorePermit,
}

/// Attested blocks from a number on (the next one, when none is given), one JSON
/// document per line, or server-sent events for those who accept them. With
/// `contract`, `event` or `creator`, only what matches all of them, with its position;
/// a line without transactions says that all is done up to its block. Ends when the
/// node stops.
#[utoipa::path(get, path = "/v1/events",
    params(("from" = Option<u64>, Query, description = "the first block"),
        ("after" = Option<String>, Query, description = "how far one has come, instead: BLOCK, BLOCK.INDEX or BLOCK.INDEX.EVENT; Last-Event-ID comes before both"),
        ("contract" = Option<String>, Query, description = "only transactions of this contract"),
        ("event" = Option<String>, Query, description = "only events of this name"),
        ("creator" = Option<String>, Query, description = "only transactions of this member (name@organisation) or public key")),
    responses((status = 200, body = BlockEvent, content_type = "application/x-ndjson"),
        (status = 400, body = ErrorAnswer), (status = 404, body = ErrorAnswer),
        (status = 429, body = ErrorAnswer)))]
pub(super) async fn events(
    extract::State(state): extract::State<State>,
    Asked(asked): Asked<Subscribed>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let begin = asked.begin(&headers, state.services.ledger.tip().number)?;
    let filter = state.read(move |ledger| {
        let creator = asked.creator.as_deref();
        Filter::new(ledger, asked.contract, asked.event, creator)
    });
    let filter = filter.await?.map(Arc::new);
    let place = state.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Failure::busy("too many streams of events are open"))?;
    let (framing, kind) = if accepts(&headers, "text/event-stream") {
        (Framing::ServerSentEvents, "text/event-stream")
    } else {
        (Framing::Lines, "application/x-ndjson")
    };
    let reader = Reader {
        state,
        begin,
        filter,
        passed: 0,
        last: None,
        behind: true,
        framing,
        _place: place,
    };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let line = match reader.filter.clone() {
            Some(filter) => reader.next_match(&filter).await?,
            None => reader.next_block().await?,
        };
        Some((Ok::<_, Infallible>(reader.framing.frame(&line)), reader))
    });
    let kind = [(header::CONTENT_TYPE, kind)];
    Ok((kind, Body::from_stream(stream)).into_response())
}

impl Reader {
    /// Waits for the next block; nothing when the node stops or cannot read.
    async fn next_block(&mut self) -> Option<BlockEvent> {
        loop {
            let (number, _) = self.begin;
            let found = self.state.read_until(Some(u64::MAX), move |ledger| {
                let block = present::attested(ledger, number)?;
                Ok(block.as_ref().map(present::block_event))
            });
            if let Some(line) = found.await.ok()? {
                self.begin = (number.checked_add(1)?, None);
                return Some(line);
            }
        }
    }

    /// Waits for the next block in which something matches, or for the time to say
    /// how far it has come without.
    async fn next_match(&mut self, filter: &Arc<Filter>) -> Option<BlockEvent> {
        loop {
            let (begin, room) = (self.begin, BOOKMARK_BLOCKS - self.passed);
            let filter = filter.clone();
            let scan = move |ledger: &ledger::Ledger| Ok(filter.scan(ledger, begin, room)?);
            let wait = if self.behind { 0 } else { u64::MAX };
            match self.state.read_until(Some(wait), scan).await.ok()? {
                Some(line) => {
                    let scanned = line.block - begin.0 + 1;
                    self.begin = (line.block.checked_add(1)?, None);
                    if !line.transactions.is_empty() {
                        self.passed = 0;
                        return Some(line);
                    }
                    self.passed += usize::try_from(scanned).unwrap_or(usize::MAX);
                    self.last = Some(line);
                    if self.passed < BOOKMARK_BLOCKS {
                        continue;
                    }
                }
                None if self.behind && self.passed > 0 => self.behind = false,
                None => {
                    self.behind = false;
                    continue;
                }
            }
            self.passed = 0;
            if let Some(bookmark) = self.last.take() {
                return Some(bookmark);
            }
        }
    }
}
