//! Proof against other replicas, and the switches that make this one lie or
//! cut it off.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{self, FromRequest, Request};
use axum::http::StatusCode;
use consensus::byzantine::Modes;

use super::extract::Named;
use super::{State, Whole};
use crate::api::error::Failure;
use crate::api::types::{CutBody, EvidenceAnswer, EvidenceListAnswer, FaultBody};
use crate::fault::NotForTesting;
use crate::network::PeerId;

/// Every contradiction of a replica that this node can prove.
#[utoipa::path(get, path = "/v1/evidence", responses((status = 200, body = EvidenceListAnswer)))]
pub(super) async fn list(extract::State(state): extract::State<State>) -> Json<EvidenceListAnswer> {
    let found = state.services.evidence.list();
    let evidence = found.iter().map(|(_, found)| EvidenceAnswer::of(found));
    Json(EvidenceListAnswer {
        evidence: evidence.collect(),
    })
}

/// One contradiction, with the bytes that prove it.
#[utoipa::path(get, path = "/v1/evidence/{id}", params(("id" = String, Path)),
    responses((status = 200, body = EvidenceAnswer), (status = 400), (status = 404)))]
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    Named(id): Named<String>,
) -> Result<Json<EvidenceAnswer>, Failure> {
    let found = state.services.evidence.list();
    let mut named = found.iter().filter(|(known, _)| known.to_string() == id);
    let (_, evidence) = named
        .next()
        .ok_or_else(|| Failure::not_found("this node holds no evidence of this id"))?;
    let mut answer = EvidenceAnswer::of(evidence);
    answer.bytes = Some(hex::encode(evidence.encode()));
    Ok(Json(answer))
}

/// A body that networks for testing take, and others do not even read.
pub(super) struct ForTesting(Bytes);

impl FromRequest<State> for ForTesting {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &State) -> Result<Self, Failure> {
        let fault = &state.services.fault;
        fault.check_allowed().map_err(not_for_testing)?;
        let Whole(body) = Whole::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// From now on this node misbehaves in this way. Networks for testing only.
#[utoipa::path(post, path = "/v1/testing/fault", request_body = FaultBody,
    responses((status = 200, body = FaultBody), (status = 400), (status = 403)))]
pub(super) async fn fault(
    extract::State(state): extract::State<State>,
    ForTesting(body): ForTesting,
) -> Result<Json<FaultBody>, Failure> {
    let body: FaultBody = serde_json::from_slice(&body).map_err(|error| {
        Failure::bad_request("the body is not {\"mode\": \"...\"}").cause(error.to_string())
    })?;
    let modes: Modes = body
        .mode
        .parse()
        .map_err(|error: consensus::byzantine::ModeError| {
            Failure::bad_request(error.to_string())
        })?;
    let mode = modes.to_string();
    state.services.fault.set(modes).map_err(not_for_testing)?;
    Ok(Json(FaultBody { mode }))
}

/// From now on this node sends nothing to these replicas, and to all others
/// again. Networks for testing only.
#[utoipa::path(post, path = "/v1/testing/cut", request_body = CutBody,
    responses((status = 200, body = CutBody), (status = 400), (status = 403)))]
pub(super) async fn cut(
    extract::State(state): extract::State<State>,
    ForTesting(body): ForTesting,
) -> Result<Json<CutBody>, Failure> {
    let body: CutBody = serde_json::from_slice(&body).map_err(|error| {
        Failure::bad_request("the body is not {\"from\": [...]}").cause(error.to_string())
    })?;
    let from = body.from.iter().map(|id| PeerId(*id)).collect();
    state.services.network.cut(&from);
    Ok(Json(body))
}

#[expect(clippy::needless_pass_by_value, reason = "as an error is handed on")]
fn not_for_testing(refused: NotForTesting) -> Failure {
    let status = StatusCode::FORBIDDEN;
    Failure::new(status, "NOT_FOR_TESTING", refused.to_string())
        .hint("`logothete testnet up` makes networks that are")
}
