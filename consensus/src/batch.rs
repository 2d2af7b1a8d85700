//! What one sequence number orders: a time and a list of request digests.

use crypto::Domain;
use crypto::codec::{self, Decode, Encode};

use crate::{BatchDigest, RequestDigest};

/// A batch of requests, named by their digests. An empty one is the null
/// request: it is executed too, so that every sequence number has its block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Batch {
    /// The primary's time in milliseconds since the Unix epoch, later than that
    /// of the batch before.
    pub timestamp_ms: u64,
    /// The requests in the order of their execution.
    pub requests: Vec<RequestDigest>,
}

impl Batch {
    /// The digest that PRE-PREPARE, PREPARE and COMMIT name.
    #[must_use]
    pub fn digest(&self) -> BatchDigest {
        BatchDigest(Domain::Batch.hash(&codec::encode(self)))
    }
}
