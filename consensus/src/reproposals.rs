//! What a new view re-proposes, as a function of its VIEW-CHANGEs (paper, 4.4).
//!
//! The primary computes it, and everybody else computes it again: a NEW-VIEW
//! whose `O` is not this one does not pass the door.
//!
//! Why it is safe: a batch that committed anywhere prepared at a quorum, and
//! any quorum of VIEW-CHANGEs shares a correct replica with that one, which
//! reports it or a stable checkpoint above it. Of several batches that prepared
//! at one sequence number, the one of the latest view is the only one that can
//! have committed.

use std::collections::BTreeMap;

use crate::message::{PrePrepare, Signed, ViewChange};
use crate::{Batch, BatchDigest, CheckpointCertificate, SequenceNumber, View};

/// What a new view begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reproposals {
    /// The newest checkpoint that is proved stable by a VIEW-CHANGE: `min-s`.
    pub(crate) stable: Option<CheckpointCertificate>,
    /// One statement per sequence number in `(min-s, max-s]`, without a gap.
    pub(crate) statements: Vec<PrePrepare>,
}

impl Reproposals {
    /// What follows from these VIEW-CHANGEs, which are a quorum's and for `view`,
    /// and well-formed: each reports nothing beyond a log window above its own
    /// stable checkpoint, so that there are no more statements than that.
    pub(crate) fn of(view: View, view_changes: &[Signed<ViewChange>]) -> Self {
        let stable = view_changes
            .iter()
            .filter_map(|vote| vote.body.stable.as_ref())
            .max_by_key(|certificate| certificate.checkpoint.sequence)
            .cloned();
        let min = stable
            .as_ref()
            .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        let mut latest: BTreeMap<SequenceNumber, (View, BatchDigest)> = BTreeMap::new();
        let prepared = view_changes.iter().flat_map(|vote| &vote.body.prepared);
        for certificate in prepared {
            let body = certificate.pre_prepare.body;
            if body.sequence > min {
                let known = latest
                    .entry(body.sequence)
                    .or_insert((body.view, body.digest));
                let later = known.0 < body.view;
                if later != planted!(EarliestPrepared) {
                    *known = (body.view, body.digest);
                }
            }
        }
        let max = latest
            .last_key_value()
            .map_or(min, |(sequence, _)| *sequence);
        let null = Batch::null().digest();
        let mut statements = Vec::new();
        let mut sequence = min;
        while sequence < max {
            sequence = sequence.next();
            if planted!(NoNullRequests) && !latest.contains_key(&sequence) {
                continue;
            }
            let digest = latest.get(&sequence).map_or(null, |(_, digest)| *digest);
            statements.push(PrePrepare {
                view,
                sequence,
                digest,
            });
        }
        if planted!(LastPreparedForgotten) {
            statements.pop();
        }
        Self { stable, statements }
    }

    /// The last sequence number that the new view begins with: the next one is
    /// the first that its primary assigns afresh.
    pub(crate) fn last(&self) -> SequenceNumber {
        let stable = self.stable.as_ref();
        let min = stable.map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        self.statements.last().map_or(min, |of| of.sequence)
    }
}
