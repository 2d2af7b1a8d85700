//! Exactly once: a request is applied where it is first ordered and never
//! again, and nothing is applied that no client asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Observation};
use crate::{ReplicaId, RequestDigest};

pub(super) struct ExactlyOnce {
    submitted: BTreeSet<RequestDigest>,
    applied: BTreeMap<ReplicaId, BTreeSet<RequestDigest>>,
}

impl ExactlyOnce {
    pub(super) fn new(submitted: BTreeSet<RequestDigest>) -> Self {
        Self {
            submitted,
            applied: BTreeMap::new(),
        }
    }
}

impl Invariant for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly_once"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::LosesDisk { node } => {
                self.applied.remove(node);
            }
            Observation::Stores { node, block, .. } => {
                let before = self.applied.entry(*node).or_default();
                let sequence = block.sequence;
                for request in &block.applied {
                    if !self.submitted.contains(request) {
                        return Err(format!("no client submitted {request} of {sequence}"));
                    }
                    if !block.batch.requests.contains(request) {
                        return Err(format!("{request} is not in the batch of {sequence}"));
                    }
                    if !before.insert(*request) {
                        return Err(format!("{node} applies {request} again in {sequence}"));
                    }
                }
                let mut ordered = block.batch.requests.iter();
                if let Some(request) = ordered.find(|request| !before.contains(request)) {
                    return Err(format!("{node} leaves out {request} of {sequence}"));
                }
            }
            Observation::Ends { nodes } => {
                for (node, contents) in *nodes {
                    let applied = |request| contents.ledger.applied_at(request).is_some();
                    if let Some(request) = self.submitted.iter().find(|of| !applied(of)) {
                        return Err(format!("{node} never applied {request}"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
