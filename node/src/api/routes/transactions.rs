//! What became of a transaction, and the proof of it.

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ledger::{Locator, ParseLocatorError};
use serde::Deserialize;

use super::extract::{Asked, Named};
use super::{OCTETS, State, accepts, octets};
use crate::api::error::Failure;
use crate::api::present;
use crate::api::types::{ErrorAnswer, TransactionAnswer};

/// How long to wait for it to be committed and attested.
#[derive(Deserialize)]
pub(super) struct Wait {
    wait_ms: Option<u64>,
}

fn locator(text: &str) -> Result<Locator, Failure> {
    let parsed = text.parse();
    parsed.map_err(|error: ParseLocatorError| Failure::bad_request(error.to_string()))
}

fn not_committed(locator: &Locator) -> Failure {
    let message = format!("transaction {locator} is not committed here");
    Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        .hint("ask with ?wait_ms=10000, or hand the same transaction in again: it counts once")
}

/// A committed and attested transaction.
#[utoipa::path(get, path = "/v1/transactions/{id}",
    params(("id" = String, Path, description = "the transaction's id, or its place as BLOCK.INDEX"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = TransactionAnswer), (status = 404, body = ErrorAnswer)))]
pub(super) async fn transaction(
    extract::State(state): extract::State<State>,
    Named(id): Named<String>,
    Asked(wait): Asked<Wait>,
) -> Result<Json<TransactionAnswer>, Failure> {
    let locator = locator(&id)?;
    let found = state
        .read_until(wait.wait_ms, move |ledger| {
            let Some(found) = ledger.transaction(locator)? else {
                return Ok(None);
            };
            if ledger.certificate(found.location.block)?.is_none() {
                return Ok(None);
            }
            Ok(Some(present::transaction(ledger, found)?))
        })
        .await?;
    found.map(Json).ok_or_else(|| not_committed(&locator))
}

/// The proof of what became of a transaction.
#[utoipa::path(get, path = "/v1/transactions/{id}/receipt",
    params(("id" = String, Path, description = "the transaction's id, or its place as BLOCK.INDEX"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = Object), (status = 404, body = ErrorAnswer)))]
pub(super) async fn receipt(
    extract::State(state): extract::State<State>,
    Named(id): Named<String>,
    Asked(wait): Asked<Wait>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let locator = locator(&id)?;
    let found = state
        .read_until(wait.wait_ms, move |ledger| Ok(ledger.receipt(locator)?))
        .await?;
    let receipt = found.ok_or_else(|| not_committed(&locator))?;
    if accepts(&headers, OCTETS) {
        return Ok(octets(receipt.to_bytes()));
    }
    Ok(Json(receipt).into_response())
}
