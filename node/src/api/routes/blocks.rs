//! Blocks with their certificates.

use axum::Json;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use crypto::Digest;
use ledger::{AttestedHeader, Ledger, LedgerError, StoredBlock};
use serde::Deserialize;

use super::extract::{Asked, Named, limit};
use super::{OCTETS, State, accepts, octets};
use crate::api::error::Failure;
use crate::api::present;
use crate::api::types::{BlockAnswer, ErrorAnswer};

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

/// A list ends with the block that brings its transactions to so many bytes:
/// whoever wants more asks on from there.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Which part of the chain.
#[derive(Deserialize)]
pub(super) struct Part {
    from: Option<u64>,
    limit: Option<usize>,
}

impl Part {
    fn limit(&self) -> Result<usize, Failure> {
        limit(self.limit.or(Some(DEFAULT_LIMIT)), MAX_LIMIT)
    }
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

/// Those of the blocks `numbers` that one answer has room for.
fn those_that_fit(
    ledger: &Ledger,
    numbers: impl Iterator<Item = u64>,
) -> Result<Vec<BlockAnswer>, LedgerError> {
    let (mut blocks, mut bytes) = (Vec::new(), 0_usize);
    for number in numbers {
        let Some(stored) = ledger.stored_block(number)? else {
            break;
        };
        blocks.push(present::block(ledger, &stored)?);
        let sizes = stored.block.transactions.iter().map(|it| it.len());
        bytes = bytes.saturating_add(sizes.sum());
        if bytes >= MAX_LIST_BYTES {
            break;
        }
    }
    Ok(blocks)
}

/// Blocks from a number on; the newest ones when none is given. Fewer than asked
/// for when they are large.
#[utoipa::path(get, path = "/v1/blocks",
    params(("from" = Option<u64>, Query, description = "the first block; without it the newest are meant"),
        ("limit" = Option<u64>, Query, description = "how many, at most 100")),
    responses((status = 200, body = Vec<BlockAnswer>)))]
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    Asked(part): Asked<Part>,
) -> Result<Json<Vec<BlockAnswer>>, Failure> {
    let count = part.limit()?;
    let blocks = state.read(move |ledger| {
        let tip = ledger.tip().number;
        if let Some(from) = part.from {
            return Ok(those_that_fit(ledger, (from..=tip).take(count))?);
        }
        let mut newest = those_that_fit(ledger, (0..=tip).rev().take(count))?;
        newest.reverse();
        Ok(newest)
    });
    Ok(Json(blocks.await?))
}

/// Headers with their certificates, from a number on.
#[utoipa::path(get, path = "/v1/headers",
    params(("from" = Option<u64>, Query, description = "the first header; without it the newest are meant"),
        ("limit" = Option<u64>, Query, description = "how many, at most 100")),
    responses((status = 200, body = Vec<Object>, description = "as in receipts: `header`, `certificate`")))]
pub(super) async fn headers(
    extract::State(state): extract::State<State>,
    Asked(part): Asked<Part>,
) -> Result<Json<Vec<AttestedHeader>>, Failure> {
    let count = part.limit()?;
    let headers = state.read(move |ledger| {
        let tip = ledger.tip().number;
        let from = part.from.unwrap_or((tip + 1).saturating_sub(count as u64));
        let mut headers = Vec::new();
        for number in (from..=tip).take(count) {
            headers.extend(ledger.attested_header(number)?);
        }
        Ok(headers)
    });
    Ok(Json(headers.await?))
}

/// One block.
#[utoipa::path(get, path = "/v1/blocks/{block}",
    params(("block" = String, Path, description = "its number, its hash, or `latest`"),
        ("wait_ms" = Option<u64>, Query, description = "wait until it is committed and attested")),
    responses((status = 200, body = BlockAnswer), (status = 404, body = ErrorAnswer)))]
pub(super) async fn block(
    extract::State(state): extract::State<State>,
    Named(block): Named<String>,
    Asked(wait): Asked<Wait>,
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
