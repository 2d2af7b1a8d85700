//! The normal case: PRE-PREPARE, PREPARE, COMMIT (paper, 4.2).

use crypto::Domain;
use crypto::codec::{Decode, Encode};

use super::{Body, Signed};
use crate::{Batch, BatchDigest, SequenceNumber, View};

macro_rules! vote {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
        pub struct $name {
            /// The view the statement is made in.
            pub view: View,
            /// The sequence number it is about.
            pub sequence: SequenceNumber,
            /// The batch it is about.
            pub digest: BatchDigest,
        }

        impl Body for $name {
            const DOMAIN: Domain = Domain::$name;
        }
    };
}

vote! {
    /// The primary of `view` assigns `sequence` to the batch of `digest`.
    PrePrepare
}
vote! {
    /// A backup agrees to the assignment. The primary sends none: its
    /// PRE-PREPARE says as much.
    Prepare
}
vote! {
    /// The sender has a quorum's agreement to the assignment.
    Commit
}

/// A PRE-PREPARE with the batch it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Proposed {
    /// The primary's statement.
    pub pre_prepare: Signed<PrePrepare>,
    /// The batch, which hashes to the digest of the statement.
    pub batch: Batch,
}
