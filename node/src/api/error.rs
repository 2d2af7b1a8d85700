//! Refusals in the form that clients read: a code, a sentence, and what to do.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger::{EndorseError, LedgerError, Refusal};

use super::types::{Answer, ErrorAnswer, ErrorBody, Place};
use crate::services::{EndorseFailure, SubmitError};

/// What a call ends with when it does not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    body: ErrorBody,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody {
                code: code.to_owned(),
                message: message.into(),
                cause: None,
                hint: None,
                committed: None,
            },
        }
    }

    /// The word for it.
    pub(super) fn code(&self) -> &str {
        &self.body.code
    }

    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.body.hint = Some(hint.to_owned());
        self
    }

    pub(super) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.body.cause = Some(cause.into());
        self
    }

    pub(super) fn committed(mut self, place: Option<Place>) -> Self {
        self.body.committed = place;
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "BUSY", message).hint("try again shortly")
    }

    pub(super) fn stopping() -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "NOT_READY", "the node is stopping").hint("ask another node")
    }
}

impl Failure {
    /// As one of several answers that go together.
    pub(super) fn answer(self) -> Answer {
        let body = ErrorAnswer { error: self.body };
        Answer::new(self.status, serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status;
        let answer = Json(ErrorAnswer { error: self.body });
        if status == StatusCode::TOO_MANY_REQUESTS {
            return (status, [(header::RETRY_AFTER, "1")], answer).into_response();
        }
        (status, answer).into_response()
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(
            status,
            "STORE_FAILURE",
            "this node cannot read its database",
        )
        .cause(error.to_string())
        .hint("ask another node; whoever runs this one finds more in its log")
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let hint = match refusal {
            Refusal::WrongNetwork { .. } => "sign for this network: its id is in /v1/status",
            Refusal::BadSignature { .. } => {
                "docs/formats.md says what is signed of the bytes that are sent"
            }
            _ => "docs/formats.md says what it must look like",
        };
        Self::new(status, refusal.code(), refusal.to_string()).hint(hint)
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::UnknownCreator { .. } => Self::new(StatusCode::FORBIDDEN, code, message)
                .hint("use a key that genesis names, or have the key enrolled"),
            SubmitError::PoolFull { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).hint("try again shortly")
            }
            SubmitError::NotReady { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).hint("ask another node")
            }
        }
    }
}

impl From<EndorseFailure> for Failure {
    fn from(failure: EndorseFailure) -> Self {
        match failure {
            EndorseFailure::Endorse(error) => error.into(),
            EndorseFailure::Busy { .. } => Self::busy(failure.to_string()),
            EndorseFailure::Ledger(error) => error.into(),
            EndorseFailure::Stopping => Self::stopping(),
        }
    }
}

impl From<EndorseError> for Failure {
    fn from(error: EndorseError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        let status = match error {
            EndorseError::Refused(refusal) => return refusal.into(),
            EndorseError::Store(error) => return LedgerError::Store(error).into(),
            EndorseError::UnknownCreator
            | EndorseError::CreatorRevoked { .. }
            | EndorseError::CreatorNotPermitted { .. } => StatusCode::FORBIDDEN,
            EndorseError::AlreadyCommitted { .. } => StatusCode::CONFLICT,
            EndorseError::UnknownContract { .. } => StatusCode::NOT_FOUND,
            EndorseError::NotInstalled { .. } => StatusCode::NOT_IMPLEMENTED,
            EndorseError::EndorserRevoked => StatusCode::SERVICE_UNAVAILABLE,
            EndorseError::Expired { .. } | EndorseError::Contract(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        let hint = match status {
            StatusCode::FORBIDDEN => "use a key of a client or an admin that `/v1/members` lists",
            StatusCode::CONFLICT => "nothing is to be done: ask for its receipt",
            StatusCode::NOT_FOUND => "the contracts there are stand in /v1/network",
            StatusCode::NOT_IMPLEMENTED | StatusCode::SERVICE_UNAVAILABLE => "ask another node",
            _ => "the contract decided so on the state after the newest block",
        };
        Self::new(status, code, message).hint(hint)
    }
}
