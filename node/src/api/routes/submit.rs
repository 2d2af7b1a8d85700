//! What changes the world, or asks what would: proposals and transactions.

use axum::Json;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ledger::{EndorseError, SignedProposal};

use super::{OCTETS, SignedBytes, State, accepts, octets};
use crate::api::error::Failure;
use crate::api::present::text;
use crate::api::types::{
    BytesBody, EndorseAnswer, EndorsementAnswer, ErrorAnswer, EvaluateAnswer, Place, SubmitAnswer,
};
use crate::services::{EndorseFailure, Submitted};

impl State {
    fn proposal(&self, bytes: &[u8]) -> Result<SignedProposal, Failure> {
        let limits = self.services.genesis.limits();
        Ok(
            SignedProposal::from_bytes(bytes, &limits).inspect_err(|refusal| {
                self.services.metrics.refused(refusal.code());
            })?,
        )
    }

    /// What a proposal was refused for; of a committed one, with its place.
    async fn refused(&self, failure: EndorseFailure) -> Failure {
        let mut place = None;
        if let EndorseFailure::Endorse(error) = &failure {
            self.services.metrics.refused(error.code());
            if let EndorseError::AlreadyCommitted { id } = error {
                let id = *id;
                let found = self.read(move |ledger| Ok(ledger.location(&id)?)).await;
                place = found.ok().flatten().map(Place::from);
            }
        }
        Failure::from(failure).committed(place)
    }
}

/// Executes a signed proposal on the newest state and endorses what it would do.
#[utoipa::path(post, path = "/v1/proposals", request_body = BytesBody, responses(
    (status = 200, body = EndorseAnswer),
    (status = 400, body = ErrorAnswer), (status = 403, body = ErrorAnswer),
    (status = 409, body = ErrorAnswer), (status = 422, body = ErrorAnswer),
    (status = 429, body = ErrorAnswer)))]
pub(super) async fn endorse(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    SignedBytes(bytes): SignedBytes,
) -> Result<Response, Failure> {
    let proposal = state.proposal(&bytes)?;
    let endorsed = match state.services.endorse.endorse(proposal).await {
        Ok(endorsed) => endorsed,
        Err(failure) => return Err(state.refused(failure).await),
    };
    if accepts(&headers, OCTETS) {
        return Ok(octets(crypto::encode(&endorsed)));
    }
    let answer = EndorseAnswer {
        transaction_id: endorsed.transaction_id.to_string(),
        endorsement: EndorsementAnswer {
            endorser: endorsed.endorsement.endorser.to_string(),
            signature: endorsed.endorsement.signature.to_string(),
        },
        contract_version: endorsed.contract_version,
        rwset: hex::encode(crypto::encode(&endorsed.rwset)),
        response: hex::encode(crypto::encode(&endorsed.response)),
        payload: text(&endorsed.response.payload),
        key_policies: endorsed
            .key_policies
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    Ok(Json(answer).into_response())
}

/// Executes a signed proposal on the newest state and answers, without ordering.
#[utoipa::path(post, path = "/v1/evaluate", request_body = BytesBody, responses(
    (status = 200, body = EvaluateAnswer),
    (status = 400, body = ErrorAnswer), (status = 403, body = ErrorAnswer),
    (status = 422, body = ErrorAnswer), (status = 429, body = ErrorAnswer)))]
pub(super) async fn evaluate(
    extract::State(state): extract::State<State>,
    SignedBytes(bytes): SignedBytes,
) -> Result<Json<EvaluateAnswer>, Failure> {
    let proposal = state.proposal(&bytes)?;
    match state.services.endorse.evaluate(proposal).await {
        Ok(evaluation) => Ok(Json(EvaluateAnswer {
            response: text(&evaluation.response.payload),
            height: evaluation.height,
            block_hash: evaluation.block_hash.to_string(),
        })),
        Err(failure) => Err(state.refused(failure).await),
    }
}

/// Hands in a transaction to be ordered.
#[utoipa::path(post, path = "/v1/transactions", request_body = BytesBody, responses(
    (status = 202, body = SubmitAnswer, description = "on its way"),
    (status = 200, body = SubmitAnswer, description = "committed already"),
    (status = 400, body = ErrorAnswer), (status = 403, body = ErrorAnswer),
    (status = 413, body = ErrorAnswer), (status = 429, body = ErrorAnswer)))]
pub(super) async fn submit(
    extract::State(state): extract::State<State>,
    SignedBytes(bytes): SignedBytes,
) -> Result<(StatusCode, Json<SubmitAnswer>), Failure> {
    let (status, id, committed) = match state.services.submit.submit(bytes).await? {
        Submitted::Accepted(id) => (StatusCode::ACCEPTED, id, None),
        Submitted::AlreadyCommitted(id, location) => (StatusCode::OK, id, Some(location.into())),
    };
    let answer = SubmitAnswer {
        transaction_id: id.to_string(),
        committed,
    };
    Ok((status, Json(answer)))
}
