//! One sequence number of the log: what was proposed for it in the current
//! view and who voted how. It holds facts and answers questions about them;
//! what is sent when is the replica's affair.

use super::Votes;
use crate::certificate::PreparedCertificate;
use crate::message::{Commit, PrePrepare, Prepare, Proposed};
use crate::{BatchDigest, ReplicaId};

/// How far the examination of a PRE-PREPARE has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Its predecessor's time is not known yet.
    Waiting,
    /// Its time is later than its predecessor's; the world was asked whether
    /// the batch is sound.
    Asked,
    /// The batch is sound and held in full.
    Passed,
    /// It gets no vote. It stays, so that a second one for the same view and
    /// sequence number is still known for what it is.
    Failed,
}

/// The first PRE-PREPARE that came for a view and sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The PRE-PREPARE with its batch.
    pub(crate) proposed: Proposed,
    /// The peer it came from.
    pub(crate) from: ReplicaId,
    /// How far its examination has come.
    pub(crate) check: Check,
    /// Whether this replica stands by it: the `PrePrepared` record is written,
    /// and its PREPARE (the primary's PRE-PREPARE) may be sent at any time.
    pub(crate) voted: bool,
}

impl Held {
    /// The primary's statement.
    pub(crate) fn statement(&self) -> PrePrepare {
        self.proposed.pre_prepare.body
    }

    /// The digest of the batch.
    pub(crate) fn digest(&self) -> BatchDigest {
        self.proposed.pre_prepare.body.digest
    }

    /// The time of the batch, once it is known to be later than its predecessor's.
    pub(crate) fn time(&self) -> Option<u64> {
        let later = self.voted || matches!(self.check, Check::Asked | Check::Passed);
        later.then_some(self.proposed.batch.timestamp_ms)
    }

    /// The PREPARE that agrees to this PRE-PREPARE.
    pub(crate) fn prepare(&self) -> Prepare {
        let PrePrepare {
            view,
            sequence,
            digest,
        } = self.statement();
        Prepare {
            view,
            sequence,
            digest,
        }
    }

    /// The COMMIT that follows from its preparation.
    pub(crate) fn commit(&self) -> Commit {
        let PrePrepare {
            view,
            sequence,
            digest,
        } = self.statement();
        Commit {
            view,
            sequence,
            digest,
        }
    }
}

/// What is known of one sequence number in the current view. Votes may be here
/// before the PRE-PREPARE is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// The PRE-PREPARE.
    pub(crate) held: Option<Held>,
    /// The PREPAREs, this replica's own among them.
    pub(crate) prepares: Votes<Prepare>,
    /// The COMMITs, this replica's own among them.
    pub(crate) commits: Votes<Commit>,
    /// The certificate that was made durable before this replica's COMMIT was sent.
    pub(crate) prepared: Option<PreparedCertificate>,
}

impl Slot {
    /// `prepared(m, v, n, i)`: a PRE-PREPARE this replica stands by, and
    /// `needed` PREPAREs by distinct backups that agree with it (paper, 4.2).
    pub(crate) fn is_prepared(&self, needed: usize) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.voted && self.prepares.count(&held.prepare()) >= needed)
    }

    /// Whether a quorum's COMMITs agree with the PRE-PREPARE held.
    pub(crate) fn has_commits(&self, quorum: usize) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| self.commits.count(&held.commit()) >= quorum)
    }

    /// `committed-local(m, v, n, i)`: a quorum's COMMITs for a batch that this
    /// replica holds and found sound. A quorum's COMMITs show by themselves
    /// that the batch prepared, so whether it prepared here is not asked.
    pub(crate) fn committed_local(&self, quorum: usize) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.check == Check::Passed)
            && self.has_commits(quorum)
    }
}
