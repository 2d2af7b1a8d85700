//! What can be called. The router and the `OpenAPI` document are made from the
//! same list, so that neither has what the other lacks.

mod blocks;
mod events;
mod evidence;
mod extract;
mod health;
mod members;
mod state;
mod status;
mod submit;
mod transactions;
mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use ledger::Ledger;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Failure;
use super::types::{BytesBody, MAX_BYTES_TOGETHER};
use crate::services::{Progress, Services};

/// The longest that a call waits for something to happen.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// From the headers of a request to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many reads of the database run at a time; more wait.
const MAX_READS: usize = 8;

/// How many requests that bring many calls are worked on at a time; more wait. So
/// their calls leave room, in the queue of ingress and with the endorser, for those
/// that come alone.
const MAX_TOGETHER: usize = 8;

/// How long one waits for that before it is refused: what waits for longer is more
/// than this node can do.
const MAX_WAIT_FOR_PLACE: Duration = Duration::from_secs(2);

/// The longest body of such a request, whatever one call may have: in hexadecimal,
/// in a JSON document.
const MAX_TOGETHER_BODY: usize = 2 * MAX_BYTES_TOGETHER + 4 * 1024;

/// How many streams of events are served at a time.
const MAX_STREAMS: usize = 64;

const OCTETS: &str = "application/octet-stream";

/// What every call is given.
#[derive(Clone)]
pub(super) struct State {
    services: Services,
    reads: Arc<Semaphore>,
    together: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
    document: Arc<str>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Logothete node",
    description = "What one node of a Logothete network is asked. Signed things travel as canonical bytes; docs/formats.md describes them."
))]
struct Document;

/// Every path, with the document that describes them.
fn api() -> OpenApiRouter<State> {
    let together = OpenApiRouter::new()
        .routes(routes!(submit::endorse_together))
        .routes(routes!(submit::submit_together))
        .layer(DefaultBodyLimit::max(MAX_TOGETHER_BODY));
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(status::status))
        .routes(routes!(status::network))
        .routes(routes!(status::describe))
        .routes(routes!(submit::endorse))
        .merge(together)
        .routes(routes!(submit::evaluate))
        .routes(routes!(submit::submit, transactions::list))
        .routes(routes!(transactions::transaction))
        .routes(routes!(transactions::receipt))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::block))
        .routes(routes!(blocks::headers))
        .routes(routes!(members::members))
        .routes(routes!(members::contracts))
        .routes(routes!(state::range))
        .routes(routes!(state::state))
        .routes(routes!(state::history))
        .routes(routes!(events::events))
        .routes(routes!(views::view))
        .routes(routes!(evidence::list))
        .routes(routes!(evidence::get))
        .routes(routes!(evidence::fault))
        .routes(routes!(evidence::cut))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// The router. A body may have `max_body` bytes.
pub(super) fn router(services: Services, max_body: usize, stop: CancellationToken) -> Router {
    let (router, document) = api().split_for_parts();
    let document = document.to_json();
    let state = State {
        services,
        reads: Arc::new(Semaphore::new(MAX_READS)),
        together: Arc::new(Semaphore::new(MAX_TOGETHER)),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        stop,
        document: document.expect("the document is a tree of text").into(),
    };
    router
        .fallback(|| async { Failure::not_found("there is nothing under this path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(
                axum::http::StatusCode::METHOD_NOT_ALLOWED,
                "BAD_REQUEST",
                "this path does not know that method",
            )
        })
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(state)
}

impl State {
    /// Does work that reads the database, a bounded number of works at a time.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Ledger) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = self.reads.clone().acquire_owned().await;
        let place = place.map_err(|_| Failure::stopping())?;
        let ledger = self.services.ledger.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&ledger)
        });
        done.await.unwrap_or_else(|_| Err(Failure::stopping()))
    }

    /// Counts what a client sent and is not taken.
    fn counted(&self, why: impl Into<Failure>) -> Failure {
        let failure = why.into();
        self.services.metrics.refused(failure.code());
        failure
    }

    /// A place for a request that brings many calls.
    async fn place_for_many(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = self.together.clone().acquire_owned();
        let place = tokio::time::timeout(MAX_WAIT_FOR_PLACE, place).await;
        let busy = |_| self.counted(Failure::busy("too many calls are worked on here"));
        place.map_err(busy)?.map_err(|_| Failure::stopping())
    }

    /// Tries until there is an answer, whenever the chain has grown or a
    /// certificate has come in, for at most `wait_ms`.
    async fn read_until<T: Send + 'static>(
        &self,
        wait_ms: Option<u64>,
        work: impl Fn(&Ledger) -> Result<Option<T>, Failure> + Clone + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        let wait = Duration::from_millis(wait_ms.unwrap_or(0)).min(MAX_WAIT);
        let deadline = tokio::time::Instant::now() + wait;
        let mut progress = self.services.progress.clone();
        loop {
            progress.mark_unchanged();
            let work = work.clone();
            if let Some(found) = self.read(move |ledger| work(ledger)).await? {
                return Ok(Some(found));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Failure::stopping()),
                changed = progress.changed() => changed.map_err(|_| Failure::stopping())?,
                () = tokio::time::sleep_until(deadline) => return Ok(None),
            }
        }
    }

    fn progress(&self) -> Progress {
        *self.services.progress.borrow()
    }
}

/// A body that arrived in time: whoever sends one for ever would keep a connection.
struct Whole(Bytes);

impl FromRequest<State> for Whole {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &State) -> Result<Self, Failure> {
        let body = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state));
        let body = body.await.map_err(|_| {
            let status = axum::http::StatusCode::REQUEST_TIMEOUT;
            Failure::new(status, "BAD_REQUEST", "the body did not arrive in time")
        })?;
        let body = body.map_err(|error| {
            let refused = error.into_response().status();
            let code = if refused == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                "TOO_LARGE"
            } else {
                "BAD_REQUEST"
            };
            Failure::new(refused, code, "the body is too large or was cut off")
        })?;
        Ok(Self(body))
    }
}

/// Canonical bytes, sent as they are or as JSON.
struct SignedBytes(Bytes);

impl FromRequest<State> for SignedBytes {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &State) -> Result<Self, Failure> {
        let is_json = content_type(request.headers()).starts_with("application/json");
        let Whole(body) = Whole::from_request(request, state).await?;
        if !is_json {
            return Ok(Self(body));
        }
        let parsed: BytesBody = serde_json::from_slice(&body).map_err(|error| {
            Failure::bad_request("the body is not {\"bytes\": \"<hexadecimal>\"}")
                .cause(error.to_string())
        })?;
        let bytes = hex::decode(&parsed.bytes).map_err(|error| {
            Failure::bad_request("\"bytes\" is not hexadecimal").cause(error.to_string())
        })?;
        Ok(Self(bytes.into()))
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Whether the client asks for this kind of answer.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let value = headers.get(header::ACCEPT);
    value
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains(kind))
}

/// Canonical bytes as an answer.
fn octets(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, OCTETS)], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_describes_every_path() {
        let document = api().into_openapi();
        let paths: Vec<&String> = document.paths.paths.keys().collect();
        let expected = [
            "/healthz",
            "/metrics",
            "/readyz",
            "/v1/blocks",
            "/v1/blocks/{block}",
            "/v1/contracts",
            "/v1/evaluate",
            "/v1/events",
            "/v1/evidence",
            "/v1/evidence/{id}",
            "/v1/headers",
            "/v1/history/{contract}/{key}",
            "/v1/members",
            "/v1/network",
            "/v1/openapi.json",
            "/v1/proposals",
            "/v1/proposals/together",
            "/v1/state/{contract}",
            "/v1/state/{contract}/{key}",
            "/v1/status",
            "/v1/testing/cut",
            "/v1/testing/fault",
            "/v1/transactions",
            "/v1/transactions/together",
            "/v1/transactions/{id}",
            "/v1/transactions/{id}/receipt",
            "/v1/views/{view}",
        ];
        assert_eq!(paths, expected);
    }
}
