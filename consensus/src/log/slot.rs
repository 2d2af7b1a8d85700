//! One sequence number of the log: what was proposed for it in the current
//! view and who voted how. It holds facts and answers questions about them;
//! what is sent when is the replica's affair.

use super::Votes;
use crate::certificate::PreparedCertificate;
use crate::message::{Commit, PrePrepare, Prepare, Proposed, Signed};
use crate::{Batch, BatchDigest, ReplicaId, View};

/// How far the examination of a PRE-PREPARE has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, Hash)]
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
    /// When it is executed: known once the time of its predecessor is.
    pub(crate) time: Option<u64>,
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

    /// Whether nothing was found wrong with it so far, and something was looked at.
    pub(crate) fn is_examined(&self) -> bool {
        self.voted || matches!(self.check, Check::Asked | Check::Passed)
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

/// What is known of one sequence number in the current view, and what prepared
/// in an earlier one. Votes may be here before the PRE-PREPARE is.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Slot {
    /// What the NEW-VIEW of the current view re-proposes here. Its batch may be
    /// missing still.
    pub(crate) reproposed: Option<Signed<PrePrepare>>,
    /// The PRE-PREPARE.
    pub(crate) held: Option<Held>,
    /// The PREPAREs, this replica's own among them.
    pub(crate) prepares: Votes<Prepare>,
    /// The COMMITs, this replica's own among them.
    pub(crate) commits: Votes<Commit>,
    /// The certificate of the latest view in which a batch prepared here. It was
    /// made durable before this replica's COMMIT was sent.
    pub(crate) prepared: Option<PreparedCertificate>,
    /// What this replica voted for in earlier views, the newest last; among it the
    /// batch that `prepared` is about, when `held` is not about it. Any of them may
    /// have prepared at a replica that says so only views later, as a faulty one
    /// does when it likes: whoever voted can produce it until it is below the low
    /// watermark (the log of the paper, 4.3).
    pub(crate) voted_before: Vec<Batch>,
}

/// How many requests the batches that were voted for in earlier views may have
/// together; they are 2 MiB. Beyond that the oldest are forgotten, which takes
/// some dozens of views in which full batches are proposed and none is executed.
const MAX_REQUESTS_BEFORE: usize = 64 * 1024;

impl Slot {
    /// The certificate, if it is of this view.
    pub(crate) fn prepared_in(&self, view: View) -> Option<&PreparedCertificate> {
        self.prepared
            .as_ref()
            .filter(|of| of.pre_prepare.body.view == view)
    }

    /// A new view begins: what was voted in the last one counts no more. Returns
    /// the batch that was proposed in it, unless this replica voted for it and
    /// keeps it.
    pub(crate) fn begin_view(&mut self) -> Option<Batch> {
        self.reproposed = None;
        self.prepares = Votes::default();
        self.commits = Votes::default();
        let held = self.held.take()?;
        if !held.voted {
            return Some(held.proposed.batch);
        }
        self.keep(held.proposed.batch);
        self.forget_oldest();
        None
    }

    /// Forgets the oldest of what was voted for before, but not what prepared, while
    /// it is more than it may be.
    fn forget_oldest(&mut self) {
        let prepared = self.prepared.as_ref().map(|of| of.pre_prepare.body.digest);
        // An empty one takes room too.
        let room = |batch: &Batch| batch.requests.len() + 1;
        while self.voted_before.iter().map(room).sum::<usize>() > MAX_REQUESTS_BEFORE
            && let Some(oldest) = self
                .voted_before
                .iter()
                .position(|batch| prepared != Some(batch.digest()))
        {
            self.voted_before.remove(oldest);
        }
    }

    /// This replica voted for `batch` in a view that is over.
    pub(crate) fn keep(&mut self, batch: Batch) {
        self.voted_before.retain(|of| *of != batch);
        self.voted_before.push(batch);
    }

    /// The batch of this digest, if this replica voted for it in an earlier view.
    pub(crate) fn voted_for(&self, digest: BatchDigest) -> Option<&Batch> {
        let mut newest_first = self.voted_before.iter().rev();
        newest_first.find(|of| of.digest() == digest)
    }

    /// Whether the batch of this digest is here, of this view or of an earlier one.
    pub(crate) fn can_produce(&self, digest: BatchDigest) -> bool {
        let held = self.held.as_ref().map(Held::digest);
        held == Some(digest) || self.voted_for(digest).is_some()
    }

    /// Whether nothing is known here any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_of_the_past() && self.prepared.is_none() && self.voted_before.is_empty()
    }

    /// Whether nothing is known here of the current view.
    pub(crate) fn is_of_the_past(&self) -> bool {
        self.reproposed.is_none()
            && self.held.is_none()
            && self.prepares.is_empty()
            && self.commits.is_empty()
    }

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
