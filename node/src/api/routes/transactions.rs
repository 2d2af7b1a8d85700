//! What became of a transaction, and the proof of it.

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ledger::TransactionId;
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

pub(super) fn transaction_id(text: &str) -> Result<TransactionId, Failure> {
    text.parse()
        .map_err(|_| Failure::bad_request("a transaction id is 64 hexadecimal digits"))
}

fn not_committed(id: &TransactionId) -> Failure {
    let message = format!("transaction {id} is not committed here");
    Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        .hint("ask with ?wait_ms=10000, or hand the same transaction in again: it counts once")
}

/// A committed and attested transaction.
#[utoipa::path(get, path = "/v1/transactions/{id}",
    params(("id" = String, Path, description = "the transaction's id"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = TransactionAnswer), (status = 404, body = ErrorAnswer)))]
pub(super) async fn transaction(
    extract::State(state): extract::State<State>,
    Named(id): Named<String>,
    Asked(wait): Asked<Wait>,
) -> Result<Json<TransactionAnswer>, Failure> {
    let id = transaction_id(&id)?;
    let found = state
        .read_until(wait.wait_ms, move |ledger| {
            let Some(found) = ledger.transaction(&id)? else {
                return Ok(None);
            };
            if ledger.certificate(found.location.block)?.is_none() {
                return Ok(None);
            }
            let place = found.location.into();
            Ok(Some(present::transaction(
                ledger,
                &id,
                place,
                found.transaction,
            )?))
        })
        .await?;
    found.map(Json).ok_or_else(|| not_committed(&id))
}

/// The proof of what became of a transaction.
#[utoipa::path(get, path = "/v1/transactions/{id}/receipt",
    params(("id" = String, Path, description = "the transaction's id"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = Object), (status = 404, body = ErrorAnswer)))]
pub(super) async fn receipt(
    extract::State(state): extract::State<State>,
    Named(id): Named<String>,
    Asked(wait): Asked<Wait>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let id = transaction_id(&id)?;
    let found = state
        .read_until(wait.wait_ms, move |ledger| Ok(ledger.receipt(&id)?))
        .await?;
    let receipt = found.ok_or_else(|| not_committed(&id))?;
    if accepts(&headers, OCTETS) {
        return Ok(octets(receipt.to_bytes()));
    }
    Ok(Json(receipt).into_response())
}
