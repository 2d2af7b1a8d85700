//! Blocks as they are attested, one after the other without a gap.
//!
//! A stream is fed from the database and holds one block at a time: a slow
//! reader costs nothing but its place.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::extract::Asked;
use super::{State, accepts};
use crate::api::error::Failure;
use crate::api::present;
use crate::api::types::{BlockEvent, ErrorAnswer};

/// Where to begin.
#[derive(Deserialize)]
pub(super) struct Begin {
    from: Option<u64>,
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
    next: u64,
    framing: Framing,
    _place: OwnedSemaphorePermit,
}

/// Attested blocks from a number on (the next one, when none is given), one JSON
/// document per line, or server-sent events for those who accept them. Ends when
/// the node stops.
#[utoipa::path(get, path = "/v1/events",
    params(("from" = Option<u64>, Query, description = "the first block")),
    responses((status = 200, body = BlockEvent, content_type = "application/x-ndjson"),
        (status = 429, body = ErrorAnswer)))]
pub(super) async fn events(
    extract::State(state): extract::State<State>,
    Asked(begin): Asked<Begin>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let place = state.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| Failure::busy("too many streams of events are open"))?;
    let (framing, kind) = if accepts(&headers, "text/event-stream") {
        (Framing::ServerSentEvents, "text/event-stream")
    } else {
        (Framing::Lines, "application/x-ndjson")
    };
    let newest = state.services.ledger.tip().number;
    let reader = Reader {
        next: begin.from.unwrap_or(newest.saturating_add(1)),
        state,
        framing,
        _place: place,
    };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let line = reader.next_line().await?;
        Some((Ok::<_, Infallible>(line), reader))
    });
    let kind = [(header::CONTENT_TYPE, kind)];
    Ok((kind, Body::from_stream(stream)).into_response())
}

impl Reader {
    /// Waits for the next block; nothing when the node stops or cannot read.
    async fn next_line(&mut self) -> Option<Bytes> {
        loop {
            let number = self.next;
            let found = self.state.read_until(Some(u64::MAX), move |ledger| {
                let Some(stored) = ledger.stored_block(number)? else {
                    return Ok(None);
                };
                let attested = stored.certificate.is_some() || number == 0;
                Ok(attested.then(|| present::block_event(&stored.block)))
            });
            if let Some(event) = found.await.ok()? {
                self.next = number.checked_add(1)?;
                return Some(self.framing.frame(&event));
            }
        }
    }
}
