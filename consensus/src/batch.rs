//! What one sequence number orders: a time and a list of request digests.

use crypto::Domain;
use crypto::codec::{self, Decode, Encode};

use crate::{BatchDigest, RequestDigest};

/// A batch of requests, named by their digests. An empty one is the null
/// request: it is executed too, so that every sequence number has its block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Batch {
    /// The primary's time in milliseconds since the Unix epoch, later than that
    /// of the batch before when it was proposed. A view change may put another
    /// batch before it: the time of its execution is the later of this and the
    /// first millisecond after its predecessor's.
    pub timestamp_ms: u64,
    /// The requests in the order of their execution.
    pub requests: Vec<RequestDigest>,
}

impl Batch {
    /// The null request with which a new view fills a gap. It has no time of its
    /// own: it is executed just after its predecessor.
    #[must_use]
    pub fn null() -> Self {
        Self {
            timestamp_ms: 0,
            requests: Vec::new(),
        }
    }

    /// The digest that PRE-PREPARE, PREPARE and COMMIT name.
    #[must_use]
    pub fn digest(&self) -> BatchDigest {
        BatchDigest(Domain::Batch.hash(&codec::encode(self)))
    }
}
