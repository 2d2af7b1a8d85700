//! What became of a transaction, and the proof of it; and who has made which.

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ledger::names::is_namespace;
use ledger::{ListingPart, Locator, ParseLocatorError, TransactionsOf, Version};
use serde::Deserialize;

use super::extract::{Asked, Named, limit};
use super::{OCTETS, State, accepts, octets};
use crate::api::creator::Creator;
use crate::api::error::Failure;
use crate::api::present;
use crate::api::types::{ErrorAnswer, ListingAnswer, TransactionAnswer};

const MAX_LISTED: usize = 100;

/// A list ends with the block that brings the blocks it is read from to so many bytes:
/// whoever wants more asks on from there.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

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

/// Whose transactions, and how many.
#[derive(Deserialize)]
pub(super) struct Listed {
    creator: Option<String>,
    contract: Option<String>,
    from_block: Option<u64>,
    from_index: Option<u32>,
    limit: Option<usize>,
}

impl Listed {
    fn part(&self) -> Result<ListingPart, Failure> {
        Ok(ListingPart {
            from: Version {
                block: self.from_block.unwrap_or(u64::MAX),
                index: self.from_index.unwrap_or(u32::MAX),
            },
            max_entries: limit(self.limit, MAX_LISTED)?,
            max_bytes: MAX_LIST_BYTES,
        })
    }
}

/// The transactions of a creator, of a contract, or of both: the newest first, valid
/// or not. A transaction that came again is listed where it stood first.
#[utoipa::path(get, path = "/v1/transactions",
    params(("creator" = Option<String>, Query, description = "name@organisation, for all keys it has and had, or a public key"),
        ("contract" = Option<String>, Query, description = "the contract called"),
        ("from_block" = Option<u64>, Query, description = "the newest block that is wanted"),
        ("from_index" = Option<u32>, Query, description = "the last position in that block that is wanted"),
        ("limit" = Option<usize>, Query, description = "how many, at most 100; fewer when they are far apart")),
    responses((status = 200, body = ListingAnswer), (status = 400, body = ErrorAnswer),
        (status = 404, body = ErrorAnswer)))]
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Asked(listed): Asked<Listed>,
) -> Result<Json<ListingAnswer>, Failure> {
    let part = listed.part()?;
    let contract = listed.contract;
    if contract.as_ref().is_some_and(|name| !is_namespace(name)) {
        return Err(Failure::bad_request("that cannot be a contract's name"));
    }
    let answer = state.read(move |ledger| {
        let of = match (listed.creator, contract) {
            (Some(creator), contract) => TransactionsOf::Creators {
                keys: Creator::find(ledger, &creator)?.keys,
                contract,
            },
            (None, Some(contract)) => TransactionsOf::Contract(contract),
            (None, None) => {
                return Err(Failure::bad_request("whose: `creator`, `contract` or both")
                    .hint("/v1/blocks lists everything"));
            }
        };
        let listing = ledger.transactions_of(&of, part)?;
        Ok(present::listing(ledger, listing)?)
    });
    Ok(Json(answer.await?))
}
