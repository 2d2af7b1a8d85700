//! Votes of one kind on one sequence number, one per signer.
//!
//! *Architecture invariant:* whatever is counted is counted here, and a signer
//! is a key of a map: no replica is ever counted twice. A vote counts only for
//! the whole statement it signed (view, sequence number and digest).

use std::collections::BTreeMap;

use crypto::Signature;

use crate::ReplicaId;
use crate::message::Signed;

/// What became of a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Added<B> {
    /// It is the signer's first.
    New,
    /// The signer had said the same before.
    Known,
    /// The signer had said something else before, which stands: first that,
    /// then what came now.
    Conflicting(Signed<B>, Signed<B>),
}

/// The first vote of every signer.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Votes<B> {
    by_signer: BTreeMap<ReplicaId, Signed<B>>,
    /// How many votes came again: they count for nothing.
    #[cfg(feature = "planted-bugs")]
    repeated: usize,
}

impl<B> Default for Votes<B> {
    fn default() -> Self {
        Self {
            by_signer: BTreeMap::new(),
            #[cfg(feature = "planted-bugs")]
            repeated: 0,
        }
    }
}

impl<B: Clone + PartialEq> Votes<B> {
    /// Takes in a vote unless its signer has voted before.
    pub(crate) fn add(&mut self, vote: Signed<B>) -> Added<B> {
        match self.by_signer.get(&vote.signer) {
            Some(known) if known.body == vote.body && !planted!(SameIsContradiction) => {
                #[cfg(feature = "planted-bugs")]
                if planted!(CountMessages) {
                    self.repeated += 1;
                }
                Added::Known
            }
            Some(known) => Added::Conflicting(known.clone(), vote),
            None => {
                self.by_signer.insert(vote.signer, vote);
                Added::New
            }
        }
    }

    /// The vote of `signer`.
    pub(crate) fn of(&self, signer: ReplicaId) -> Option<&Signed<B>> {
        self.by_signer.get(&signer)
    }

    /// Whether nobody has voted.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_signer.is_empty()
    }

    /// Who made another statement than this one.
    pub(crate) fn others(&self, body: &B) -> Vec<ReplicaId> {
        let votes = self.by_signer.values();
        let others = votes.filter(|vote| vote.body != *body);
        others.map(|vote| vote.signer).collect()
    }

    /// How many signers made this statement.
    pub(crate) fn count(&self, body: &B) -> usize {
        let count = self.matching(body).count();
        #[cfg(feature = "planted-bugs")]
        let count = count + self.repeated;
        count
    }

    /// The signatures under this statement, in ascending order of signers.
    pub(crate) fn signatures(&self, body: &B) -> Vec<(ReplicaId, Signature)> {
        self.matching(body)
            .map(|vote| (vote.signer, vote.signature))
            .collect()
    }

    fn matching<'a>(&'a self, body: &'a B) -> impl Iterator<Item = &'a Signed<B>> {
        self.by_signer
            .values()
            .filter(move |vote| vote.body == *body || planted!(IgnoreDigests))
    }
}
