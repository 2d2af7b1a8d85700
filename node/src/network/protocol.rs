//! The names of peers, of streams and of what they carry.

use std::fmt;

/// A replica as its peers know it: its number in the genesis document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a frame belongs to. Each class has streams and queues of its own, so
/// that one cannot delay the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Messages of the agreement protocol: small and urgent.
    Consensus,
    /// Transactions on their way to every replica: many and patient.
    Transactions,
}

impl Class {
    /// Both, in the order of their urgency.
    pub const ALL: [Self; 2] = [Self::Consensus, Self::Transactions];

    /// Where this class stands in an array that has a place for each.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Consensus => 0,
            Self::Transactions => 1,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consensus => "consensus",
            Self::Transactions => "transactions",
        })
    }
}

/// What a stream is opened for. Its name is what the two ends negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A long-lived stream of frames towards the peer.
    Frames(Class),
    /// One request and its response.
    Fetch,
}

impl Protocol {
    /// All that a peer may open.
    pub(super) const ALL: [Self; 3] = [
        Self::Frames(Class::Consensus),
        Self::Frames(Class::Transactions),
        Self::Fetch,
    ];
}

impl AsRef<str> for Protocol {
    fn as_ref(&self) -> &str {
        match self {
            Self::Frames(Class::Consensus) => "/logothete/consensus/1",
            Self::Frames(Class::Transactions) => "/logothete/transactions/1",
            Self::Fetch => "/logothete/fetch/1",
        }
    }
}
