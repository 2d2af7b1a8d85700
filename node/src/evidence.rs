//! What this node can prove against other replicas.
//!
//! Bounded: one piece per replica and kind of message, the first that was found.
//! It is kept with the consensus records, and survives restarts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use consensus::Evidence;
use crypto::{Digest, Domain};

/// Everything that was found so far, by replica and kind of message.
#[derive(Debug, Default)]
pub struct EvidenceBook {
    found: Mutex<BTreeMap<(u32, &'static str), Evidence>>,
}

/// The name of a piece of evidence: the hash of its canonical bytes.
#[must_use]
pub fn evidence_id(evidence: &Evidence) -> Digest {
    Domain::Evidence.hash(&evidence.encode())
}

impl EvidenceBook {
    /// Takes in a piece of evidence; whether there was none of its kind against
    /// this replica.
    pub(crate) fn add(&self, evidence: Evidence) -> bool {
        let key = (evidence.signer().0, evidence.message());
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let news = !found.contains_key(&key);
        found.entry(key).or_insert(evidence);
        news
    }

    /// Everything that was found, with its ids.
    #[must_use]
    pub fn list(&self) -> Vec<(Digest, Evidence)> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |evidence: &Evidence| (evidence_id(evidence), evidence.clone());
        found.values().map(named).collect()
    }
}
