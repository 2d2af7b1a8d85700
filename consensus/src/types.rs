//! The small names of the paper: replicas, views, sequence numbers, digests.

use std::fmt;

use crypto::Digest;
use crypto::codec::{Decode, Encode};

/// Replica `i`, an index into the [`ReplicaSet`](crate::ReplicaSet).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ReplicaId(pub u32);

/// A view `v`. Its primary is replica `v mod n`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct View(pub u64);

/// A sequence number `n`. Sequence 0 is the genesis: nothing is ordered there.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct SequenceNumber(pub u64);

/// The digest of a request, opaque here: what a request means is the ledger's affair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct RequestDigest(pub Digest);

/// The digest of a [`Batch`](crate::Batch).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BatchDigest(pub Digest);

/// The digest of what executing up to a sequence number led to: the block hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CheckpointDigest(pub Digest);

impl View {
    /// The view after this one; the last view is followed by itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl SequenceNumber {
    /// Before the first batch.
    pub const GENESIS: Self = Self(0);

    /// The sequence number after this one.
    ///
    /// # Panics
    ///
    /// After `u64::MAX` batches, which no network lives to see; what peers send
    /// is held against the watermarks before it comes here.
    #[must_use]
    pub fn next(self) -> Self {
        Self(
            self.0
                .checked_add(1)
                .expect("sequence numbers are not exhausted"),
        )
    }

    /// This sequence number moved up by `distance`, at most to `u64::MAX`.
    #[must_use]
    pub fn saturating_add(self, distance: u64) -> Self {
        Self(self.0.saturating_add(distance))
    }

    /// This sequence number moved down by `distance`, at least to 0.
    #[must_use]
    pub fn saturating_sub(self, distance: u64) -> Self {
        Self(self.0.saturating_sub(distance))
    }
}

/// The sequence numbers in which a replica takes part: `low < n <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub struct Watermarks {
    /// `h`: everything up to here is stable.
    pub low: SequenceNumber,
    /// `H = h + log_window`.
    pub high: SequenceNumber,
}

impl Watermarks {
    /// Whether `sequence` is in `(low, high]`.
    #[must_use]
    pub fn contain(&self, sequence: SequenceNumber) -> bool {
        self.low < sequence && sequence <= self.high
    }
}

macro_rules! readable {
    ($($name:ident, $prefix:literal, $shown:expr;)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: fn(&Self) -> String = $shown;
                write!(f, "{}{}", $prefix, shown(self))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

readable! {
    ReplicaId, "", |id| id.0.to_string();
    View, "v", |view| view.0.to_string();
    SequenceNumber, "n", |sequence| sequence.0.to_string();
    RequestDigest, "", |digest| digest.0.short();
    BatchDigest, "", |digest| digest.0.short();
    CheckpointDigest, "", |digest| digest.0.short();
}
