//! Answers that wait to be taken: large ones have a bounded number of bytes together.
//! Whoever asks for much and reads slowly would otherwise hold it in memory, once per
//! connection.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Failure;

/// What an answer may have without counting: there is one per connection.
const SMALL_BYTES: usize = 64 * 1024;

/// Bytes are counted in pieces of so many.
const PIECE_BYTES: usize = 1024;

/// The room for answers.
#[derive(Clone)]
pub(super) struct Answers {
    room: Arc<Semaphore>,
}

/// An answer with the room that it takes until all of it has been written.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answers {
    /// Room for so many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        let pieces = (max_bytes / PIECE_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(pieces)),
        }
    }

    /// The answer as it is, in its room; a refusal where there is none left. A stream
    /// has its own bounds.
    pub(super) async fn hold(self, answer: Response) -> Response {
        let size = answer.body().size_hint().exact();
        let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
            return answer;
        };
        if size <= SMALL_BYTES {
            return answer;
        }
        let pieces = u32::try_from(size.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = self.room.try_acquire_many_owned(pieces) else {
            return Failure::busy("too many answers wait here for those who asked to take them")
                .into_response();
        };
        let (parts, body) = answer.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, size).await else {
            return Failure::stopping().into_response();
        };
        let held = Held { bytes, _room: room };
        Response::from_parts(parts, Body::from(Bytes::from_owner(held)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use futures::StreamExt as _;

    use super::*;

    const LARGE: usize = 100 * PIECE_BYTES;

    #[tokio::test]
    async fn what_is_not_taken_yet_leaves_less_room_for_others() {
        let answers = Answers::new(2 * LARGE);
        let ask = |size: usize| answers.clone().hold(vec![7; size].into_response());
        let (first, second) = (ask(LARGE).await, ask(LARGE).await);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(ask(LARGE).await.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(ask(SMALL_BYTES).await.status(), StatusCode::OK);
        // Taken from the answer, it is not written yet.
        let mut parts = first.into_body().into_data_stream();
        let part = parts.next().await.unwrap().unwrap();
        assert_eq!(part, vec![7; LARGE]);
        drop(parts);
        assert_eq!(ask(LARGE).await.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(part);
        assert_eq!(ask(LARGE).await.status(), StatusCode::OK);
        // Nor is a place kept by whoever has gone.
        drop(second);
        assert_eq!(ask(LARGE).await.status(), StatusCode::OK);
    }
}
