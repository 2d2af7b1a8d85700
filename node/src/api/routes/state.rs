//! What the contracts hold now, and how it came to be.

use axum::Json;
use axum::extract;
use ledger::names::{is_contract_name, is_namespace};
use ledger::{HistoryPart, KeyRange, LedgerError, RangePart, Snapshot, Version};
use serde::Deserialize;

use super::State;
use super::extract::{Asked, Named, limit};
use crate::api::error::Failure;
use crate::api::present::text;
use crate::api::types::{
    ErrorAnswer, HistoryAnswer, HistoryWrite, StateAnswer, StateRangeAnswer, StateRow,
    VersionAnswer,
};

const MAX_HISTORY: usize = 1000;
const MAX_ROWS: usize = 1000;

/// After how many bytes an answer ends: the rest is asked for separately.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

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
        let snapshot = ledger.snapshot()?;
        let found = snapshot.state(&contract, &key)?;
        let (height, block_hash) = moment(&snapshot);
        let Some(found) = found else {
            return Err(Failure::not_found(format!("{contract} has no key {key:?}"))
                .cause(format!("it has none after block {height}, {block_hash}")));
        };
        Ok(StateAnswer {
            height,
            block_hash,
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

/// The block after which a snapshot is the state.
fn moment(snapshot: &Snapshot<'_>) -> (u64, String) {
    (snapshot.number(), snapshot.block_hash().to_string())
}

/// Which keys of a contract.
#[derive(Deserialize)]
pub(super) struct Range {
    start: Option<String>,
    end: Option<String>,
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Range {
    fn part(self) -> Result<RangePart, Failure> {
        let keys = match (self.prefix, self.start, self.end) {
            (Some(prefix), None, None) => KeyRange::Prefix(prefix),
            (Some(_), _, _) => {
                let message = "either `prefix`, or `start` and `end`, not both";
                return Err(Failure::bad_request(message));
            }
            (None, start, end) => {
                let (start, end) = (start.unwrap_or_default(), end.unwrap_or_default());
                if !end.is_empty() && start >= end {
                    let message = "`end` is the first key beyond, and must come after `start`";
                    return Err(Failure::bad_request(message));
                }
                KeyRange::Between { start, end }
            }
        };
        Ok(RangePart {
            keys,
            after: self.after,
            max_rows: limit(self.limit, MAX_ROWS)?,
            max_bytes: MAX_ANSWER_BYTES,
        })
    }
}

/// A page of the keys of a contract, by ascending key (compared as bytes): all of
/// them, a range, or those that begin alike. One page is of one block; the next may
/// be of a later one, which its height and hash show.
#[utoipa::path(get, path = "/v1/state/{contract}",
    params(("contract" = String, Path, description = "the contract"),
        ("start" = Option<String>, Query, description = "the first key"),
        ("end" = Option<String>, Query, description = "the first key beyond"),
        ("prefix" = Option<String>, Query, description = "what the keys begin with, instead of a range"),
        ("after" = Option<String>, Query, description = "only keys after this one: `next` of the page before"),
        ("limit" = Option<usize>, Query, description = "how many, at most 1000; fewer when they are large")),
    responses((status = 200, body = StateRangeAnswer), (status = 400, body = ErrorAnswer),
        (status = 404, body = ErrorAnswer)))]
pub(super) async fn range(
    extract::State(state): extract::State<State>,
    Named(contract): Named<String>,
    Asked(range): Asked<Range>,
) -> Result<Json<StateRangeAnswer>, Failure> {
    let part = range.part()?;
    let answer = state.read(move |ledger| {
        let snapshot = ledger.snapshot()?;
        if !is_there(&snapshot, &contract)? {
            return Err(
                Failure::not_found(format!("there is no contract {contract:?}"))
                    .hint("/v1/contracts lists those there are"),
            );
        }
        let page = snapshot.page(&contract, &part)?;
        let (height, block_hash) = moment(&snapshot);
        let rows = page.rows.into_iter().map(|(key, found)| StateRow {
            value: text(&found.value),
            bytes: hex::encode(&found.value),
            version: found.version.into(),
            policy: found.policy.map(|policy| policy.to_string()),
            key,
        });
        Ok(StateRangeAnswer {
            height,
            block_hash,
            rows: rows.collect(),
            next: page.next,
            contract,
        })
    });
    Ok(Json(answer.await?))
}

/// Whether there is a contract of this name, or a part of the system.
fn is_there(snapshot: &Snapshot<'_>, name: &str) -> Result<bool, LedgerError> {
    if !is_contract_name(name) {
        return Ok(is_namespace(name));
    }
    Ok(ledger::members::contract(snapshot, name)?.is_some())
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
        max_entries: limit(part.limit, MAX_HISTORY)?,
        max_bytes: MAX_ANSWER_BYTES,
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
        max_bytes: MAX_ANSWER_BYTES,
    }
}
