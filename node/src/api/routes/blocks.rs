//! Blocks with their certificates.

use axum::Json;
use axum::extract::{self, Path, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use crypto::Digest;
use ledger::{Ledger, LedgerError, StoredBlock};
use serde::Deserialize;

use super::{OCTETS, State, accepts, octets};
use crate::api::error::Failure;
use crate::api::present;
use crate::api::types::{BlockAnswer, ErrorAnswer};

const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 100;

/// Which part of the chain.
#[derive(Deserialize)]
pub(super) struct Part {
    from: Option<u64>,
    limit: Option<u64>,
}

/// How long to wait for it to be committed and attested.
#[derive(Deserialize)]
pub(super) struct Wait {
    wait_ms: Option<u64>,
}

/// Which block.
#[derive(Clone, Copy)]
enum Which {
    Latest,
    Number(u64),
    Hash(Digest),
}

impl Which {
    fn parse(text: &str) -> Result<Self, Failure> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let number = text.parse().map(Self::Number).ok();
        let hash = || text.parse().map(Self::Hash).ok();
        number.or_else(hash).ok_or_else(|| {
            Failure::bad_request("a block is named by its number, its hash, or \"latest\"")
        })
    }

    fn find(self, ledger: &Ledger) -> Result<Option<StoredBlock>, LedgerError> {
        match self {
            Self::Latest => ledger.stored_block(ledger.tip().number),
            Self::Number(number) => ledger.stored_block(number),
            Self::Hash(hash) => match ledger.block_by_hash(&hash)? {
                Some(block) => ledger.stored_block(block.header.number),
                None => Ok(None),
            },
        }
    }
}

/// Blocks from a number on; the newest ones when none is given.
#[utoipa::path(get, path = "/v1/blocks",
    params(("from" = Option<u64>, Query, description = "the first block; without it the newest are meant"),
        ("limit" = Option<u64>, Query, description = "how many, at most 100")),
    responses((status = 200, body = Vec<BlockAnswer>)))]
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Query(part): Query<Part>,
) -> Result<Json<Vec<BlockAnswer>>, Failure> {
    let limit = part.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let blocks = state.read(move |ledger| {
        let tip = ledger.tip().number;
        let newest = tip.saturating_sub(limit.saturating_sub(1));
        let from = part.from.unwrap_or(newest);
        let last = tip.min(from.saturating_add(limit).saturating_sub(1));
        let mut blocks = Vec::new();
        for number in from..=last {
            if limit > 0
                && let Some(stored) = ledger.stored_block(number)?
            {
                blocks.push(present::block(ledger, &stored)?);
            }
        }
        Ok(blocks)
    });
    Ok(Json(blocks.await?))
}

/// One block.
#[utoipa::path(get, path = "/v1/blocks/{block}",
    params(("block" = String, Path, description = "its number, its hash, or `latest`"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = BlockAnswer), (status = 404, body = ErrorAnswer)))]
pub(super) async fn block(
    extract::State(state): extract::State<State>,
    Path(block): Path<String>,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let which = Which::parse(&block)?;
    let attested = wait.wait_ms.is_some();
    let found = state
        .read_until(wait.wait_ms, move |ledger| {
            let found = which.find(ledger)?;
            // Genesis itself attests block 0.
            let ready = |found: &StoredBlock| {
                !attested || found.certificate.is_some() || found.block.header.number == 0
            };
            Ok(found.filter(ready))
        })
        .await?;
    let missing = || Failure::not_found(format!("there is no block {block} here"));
    let stored = found.ok_or_else(missing)?;
    if accepts(&headers, OCTETS) {
        return Ok(octets(crypto::encode(&stored)));
    }
    let shown = state.read(move |ledger| Ok(present::block(ledger, &stored)?));
    Ok(Json(shown.await?).into_response())
}
