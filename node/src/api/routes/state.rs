//! What the contracts hold now, and how it came to be.

use axum::Json;
use axum::extract;
use ledger::{HistoryPart, Version};
use serde::Deserialize;

use super::State;
use super::extract::{Asked, Named};
use crate::api::error::Failure;
use crate::api::present::text;
use crate::api::types::{ErrorAnswer, HistoryAnswer, HistoryWrite, StateAnswer, VersionAnswer};

const MAX_HISTORY: usize = 1000;

/// After how many bytes an answer ends: the rest is asked for separately.
const MAX_HISTORY_BYTES: usize = 4 * 1024 * 1024;

/// How much of a history.
#[derive(Deserialize)]
pub(super) struct Part {
    from_block: Option<u64>,
    from_index: Option<u32>,
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
            policy: found.policy.map(|policy| policy.to_string()),
            contract,
            key,
        })
    });
    Ok(Json(answer.await?))
}

/// What was written to a key, oldest first. Where an answer does not hold all,
/// it says where the next one begins.
#[utoipa::path(get, path = "/v1/history/{contract}/{key}",
    params(("contract" = String, Path, description = "the contract"),
        ("key" = String, Path, description = "the key, percent-encoded"),
        ("from_block" = Option<u64>, Query, description = "the block of the first write wanted"),
        ("from_index" = Option<u32>, Query, description = "its position in that block"),
        ("limit" = Option<usize>, Query, description = "how many writes, at most 1000")),
    responses((status = 200, body = HistoryAnswer)))]
pub(super) async fn history(
    extract::State(state): extract::State<State>,
    Named((contract, key)): Named<(String, String)>,
    Asked(part): Asked<Part>,
) -> Result<Json<HistoryAnswer>, Failure> {
    let part = HistoryPart {
        from: Version {
            block: part.from_block.unwrap_or(0),
            index: part.from_index.unwrap_or(0),
        },
        max_entries: part.limit.unwrap_or(MAX_HISTORY).min(MAX_HISTORY),
        max_bytes: MAX_HISTORY_BYTES,
    };
    let answer = state.read(move |ledger| {
        let entries = ledger.history(&contract, &key, part)?;
        let next = entries.last().map(|last| VersionAnswer {
            block: last.version.block,
            index: last.version.index.saturating_add(1),
        });
        let more = match next {
            Some(next) => !ledger.history(&contract, &key, after(next))?.is_empty(),
            None => false,
        };
        let entries = entries.into_iter().map(|entry| HistoryWrite {
            version: entry.version.into(),
            transaction_id: entry.transaction_id.map(|id| id.to_string()),
            value: entry.value.as_deref().map(text),
            policy: entry.policy.map(|policy| policy.to_string()),
        });
        Ok(HistoryAnswer {
            entries: entries.collect(),
            next: next.filter(|_| more),
            contract,
            key,
        })
    });
    Ok(Json(answer.await?))
}

/// The one write from there on.
fn after(next: VersionAnswer) -> HistoryPart {
    HistoryPart {
        from: Version {
            block: next.block,
            index: next.index,
        },
        max_entries: 1,
        max_bytes: MAX_HISTORY_BYTES,
    }
}
