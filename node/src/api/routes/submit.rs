//! What changes the world, or asks what would: proposals and transactions.

use axum::Json;
use axum::body::Bytes;
use axum::extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crypto::SharedSignature;
use futures::future::join_all;
use ledger::{EndorseError, Endorsement, ProposalResponse, SignedProposal};

use super::{OCTETS, SignedBytes, State, accepts, octets};
use crate::api::error::Failure;
use crate::api::present::text;
use crate::api::types::{
    Answer, BytesBody, EndorseAnswer, EndorsementAnswer, ErrorAnswer, EvaluateAnswer,
    InclusionProofAnswer, MAX_CALLS_TOGETHER, Place, SubmitAnswer,
};
use crate::services::{EndorseFailure, SubmitError, Submitted};

/// After how many bytes of endorsements the calls that came with them are to be made
/// again: they are kept for as long as the client takes to read them.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

impl State {
    fn proposal(&self, bytes: &[u8]) -> Result<SignedProposal, Failure> {
        let limits = self.services.genesis.limits();
        let proposal = SignedProposal::from_bytes(bytes, &limits);
        proposal.map_err(|refusal| self.counted(refusal))
    }

    async fn submit(&self, bytes: Bytes) -> Result<Submitted, Failure> {
        let submitted = self.services.submit.submit(bytes).await;
        submitted.map_err(|error| self.counted(error))
    }

    /// What becomes of each, unless there is no room for them.
    async fn endorse(
        &self,
        proposals: Vec<SignedProposal>,
    ) -> Result<Vec<Result<ProposalResponse, Failure>>, Failure> {
        // What cannot be ordered now is not worth its signatures.
        let submit = &self.services.submit;
        if !submit.has_room() {
            let held = submit.pool_usage().0;
            return Err(self.counted(SubmitError::PoolFull { held }));
        }
        let endorsed = self.services.endorse.endorse(proposals).await;
        let endorsed = match endorsed {
            Ok(endorsed) => endorsed,
            Err(failure) => return Err(self.refused(failure).await),
        };
        let mut answers = Vec::with_capacity(endorsed.len());
        for each in endorsed {
            answers.push(match each {
                Ok(endorsed) => Ok(endorsed),
                Err(failure) => Err(self.refused(failure).await),
            });
        }
        Ok(answers)
    }

    /// What a proposal was refused for; of a committed one, with its place.
    async fn refused(&self, failure: EndorseFailure) -> Failure {
        let mut place = None;
        if let EndorseFailure::Endorse(EndorseError::AlreadyCommitted { id }) = &failure {
            let id = *id;
            let found = self.read(move |ledger| Ok(ledger.location(&id)?)).await;
            place = found.ok().flatten().map(Place::from);
        }
        self.counted(failure).committed(place)
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
    let endorsed = state.endorse(vec![state.proposal(&bytes)?]).await?;
    let endorsed = endorsed
        .into_iter()
        .next()
        .ok_or_else(Failure::stopping)??;
    if accepts(&headers, OCTETS) {
        return Ok(octets(crypto::encode(&endorsed)));
    }
    let Endorsement {
        endorser,
        signature: SharedSignature { signature, proof },
    } = endorsed.endorsement;
    let answer = EndorseAnswer {
        transaction_id: endorsed.transaction_id.to_string(),
        endorsement: EndorsementAnswer {
            endorser: endorser.to_string(),
            signature: signature.to_string(),
            proof: InclusionProofAnswer {
                index: proof.index,
                size: proof.size,
                path: proof.path.iter().map(ToString::to_string).collect(),
            },
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
    let (status, answer) = taken(&state.submit(bytes).await?);
    Ok((status, Json(answer)))
}

fn taken(submitted: &Submitted) -> (StatusCode, SubmitAnswer) {
    let (status, id, committed) = match submitted {
        Submitted::Accepted(id) => (StatusCode::ACCEPTED, id, None),
        Submitted::AlreadyCommitted(id, location) => (StatusCode::OK, id, Some((*location).into())),
    };
    let answer = SubmitAnswer {
        transaction_id: id.to_string(),
        committed,
    };
    (status, answer)
}

/// What came together, each as it was signed.
fn apart(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let calls: Vec<Vec<u8>> = crypto::decode(bytes, bytes.len()).map_err(|error| {
        Failure::bad_request("the body is no list of byte strings").cause(error.to_string())
    })?;
    if calls.len() > MAX_CALLS_TOGETHER {
        let (found, limit) = (calls.len(), MAX_CALLS_TOGETHER);
        let message = format!("{found} calls in one, and {limit} may be");
        return Err(Failure::bad_request(message));
    }
    Ok(calls)
}

/// Endorses many proposals: a canonical list of them comes, and one of their answers
/// goes. Each is what it would have been alone, `200` with canonical bytes, but that
/// one signature endorses all of them.
#[utoipa::path(post, path = "/v1/proposals/together", request_body = BytesBody, responses(
    (status = 200, content_type = "application/octet-stream"),
    (status = 400, body = ErrorAnswer), (status = 413, body = ErrorAnswer),
    (status = 429, body = ErrorAnswer)))]
pub(super) async fn endorse_together(
    extract::State(state): extract::State<State>,
    SignedBytes(bytes): SignedBytes,
) -> Result<Response, Failure> {
    let _place = state.place_for_many().await?;
    let mut answers = Vec::new();
    let (mut proposals, mut places) = (Vec::new(), Vec::new());
    for call in apart(&bytes)? {
        answers.push(match state.proposal(&call) {
            Ok(proposal) => {
                proposals.push(proposal);
                places.push(answers.len());
                Answer::default()
            }
            Err(failure) => failure.answer(),
        });
    }
    let mut length = 0_usize;
    for (place, endorsed) in places.into_iter().zip(state.endorse(proposals).await?) {
        answers[place] = match endorsed {
            Ok(_) if length >= MAX_ANSWER_BYTES => {
                let message = format!("there are {length} bytes of answers before this one");
                state.counted(Failure::busy(message)).answer()
            }
            Ok(endorsed) => Answer::new(StatusCode::OK, crypto::encode(&endorsed)),
            Err(failure) => failure.answer(),
        };
        length = length.saturating_add(answers[place].body.len());
    }
    Ok(octets(crypto::encode(&answers)))
}

/// Hands in many transactions: a canonical list of them comes, and one of their
/// answers goes. Each is what it would have been alone, in JSON.
#[utoipa::path(post, path = "/v1/transactions/together", request_body = BytesBody, responses(
    (status = 200, content_type = "application/octet-stream"),
    (status = 400, body = ErrorAnswer), (status = 413, body = ErrorAnswer)))]
pub(super) async fn submit_together(
    extract::State(state): extract::State<State>,
    SignedBytes(bytes): SignedBytes,
) -> Result<Response, Failure> {
    let _place = state.place_for_many().await?;
    let calls = apart(&bytes)?.into_iter();
    let submitted = join_all(calls.map(|call| state.submit(call.into()))).await;
    let answers = submitted.into_iter().map(|submitted| match submitted {
        Ok(submitted) => {
            let (status, answer) = taken(&submitted);
            Answer::new(status, serde_json::to_vec(&answer).unwrap_or_default())
        }
        Err(failure) => failure.answer(),
    });
    let answers: Vec<Answer> = answers.collect();
    Ok(octets(crypto::encode(&answers)))
}
