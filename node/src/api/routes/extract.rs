//! Paths and queries, with refusals in the form that every other refusal has.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::error::Failure;

/// What the path names.
pub(super) struct Named<T>(pub(super) T);

/// What the query asks for.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|refused| {
            Failure::bad_request("the path cannot be understood").cause(refused.body_text())
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(asked)| Self(asked)).map_err(|refused| {
            Failure::bad_request("the query cannot be understood").cause(refused.body_text())
        })
    }
}

/// How many of something an answer is to have.
pub(super) fn limit(asked: Option<usize>, most: usize) -> Result<usize, Failure> {
    match asked {
        Some(0) => Err(Failure::bad_request("`limit` is at least 1")),
        asked => Ok(asked.unwrap_or(most).min(most)),
    }
}
