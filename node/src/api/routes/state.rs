//! What the contracts hold now, and how it came to be.

use axum::Json;
use axum::extract;
use serde::Deserialize;

use super::State;
use super::extract::{Asked, Named};
use crate::api::error::Failure;
use crate::api::present::text;
use crate::api::types::{ErrorAnswer, HistoryAnswer, HistoryWrite, StateAnswer};

const MAX_HISTORY: usize = 1000;

/// How much of a history.
#[derive(Deserialize)]
pub(super) struct Part {
    limit: Option<usize>,
}

/// The value of a key.
#[utoipa::path(get, path = "/v1/state/{contract}/{key}",
    params(("contract" = String, Path, description = "the contract"),
        ("key" = String, Path, description = "the key, percent-encoded")),
    responses((status = 200, body = StateAnswer), (status = 404, body = ErrorAnswer)))]
pub(super) async fn state(
    extract::State(state): extract::State<State>,
    Named((contract, key)): Named<(String, String)>,
) -> Result<Json<StateAnswer>, Failure> {
    let answer = state.read(move |ledger| {
        let Some(found) = ledger.state(&contract, &key)? else {
            return Err(Failure::not_found(format!("{contract} has no key {key:?}")));
        };
        Ok(StateAnswer {
            value: text(&found.value),
            bytes: hex::encode(&found.value),
            version: found.version.into(),
            contract,
            key,
        })
    });
    Ok(Json(answer.await?))
}

/// What was written to a key, oldest first.
#[utoipa::path(get, path = "/v1/history/{contract}/{key}",
    params(("contract" = String, Path, description = "the contract"),
        ("key" = String, Path, description = "the key, percent-encoded"),
        ("limit" = Option<usize>, Query, description = "how many writes, at most 1000")),
    responses((status = 200, body = HistoryAnswer)))]
pub(super) async fn history(
    extract::State(state): extract::State<State>,
    Named((contract, key)): Named<(String, String)>,
    Asked(part): Asked<Part>,
) -> Result<Json<HistoryAnswer>, Failure> {
    let limit = part.limit.unwrap_or(MAX_HISTORY).min(MAX_HISTORY);
    let answer = state.read(move |ledger| {
        let entries = ledger.history(&contract, &key, limit)?;
        let entries = entries.into_iter().map(|entry| HistoryWrite {
            version: entry.version.into(),
            transaction_id: entry.transaction_id.map(|id| id.to_string()),
            value: entry.value.as_deref().map(text),
        });
        Ok(HistoryAnswer {
            entries: entries.collect(),
            contract,
            key,
        })
    });
    Ok(Json(answer.await?))
}
