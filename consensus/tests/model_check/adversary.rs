//! What Byzantine replicas can say: whatever they may sign, to whomever, at any
//! time, as often as they like, and what they can put together from what the
//! others have signed.
//!
//! They have no state: what they can say grows with what the others have said,
//! of which they know everything at once.

use std::collections::BTreeMap;

use consensus::message::{
    Checkpoint, Commit, NewView, PrePrepare, Prepare, Proposed, Signed, ViewChange,
};
use consensus::{
    Batch, CheckpointCertificate, CheckpointDigest, Message, PreparedCertificate, ReplicaId,
    SequenceNumber, View,
};

use crate::local::{GENESIS, executed};
use crate::world::sign;

/// The Byzantine replicas and what they care to lie about.
#[derive(Clone)]
pub(crate) struct Adversary {
    pub(crate) replicas: Vec<ReplicaId>,
    /// What they propose and vote for at the first sequence number.
    pub(crate) batches: Vec<Batch>,
    /// The last view in which they propose and vote.
    pub(crate) last_vote: View,
    /// The last view to which anybody goes.
    pub(crate) last_view: View,
    /// Whether they attest outcomes.
    pub(crate) attests: bool,
}

const FIRST: SequenceNumber = SequenceNumber(1);
const QUORUM: usize = 3;

fn primary(view: View) -> ReplicaId {
    ReplicaId(u32::try_from(view.0 % 4).unwrap())
}

impl Adversary {
    /// What they can say before anybody else has said anything.
    pub(crate) fn opening(&self) -> Vec<Message> {
        let mut said = Vec::new();
        for signer in self.replicas.iter().copied() {
            for batch in &self.batches {
                for view in (0..=self.last_vote.0).map(View) {
                    said.extend(votes(signer, view, batch));
                }
                if self.attests {
                    let digest = executed(GENESIS, batch);
                    let sequence = FIRST;
                    let checkpoint = Checkpoint { sequence, digest };
                    said.push(Message::Checkpoint(sign(checkpoint, signer)));
                }
            }
        }
        said
    }

    /// What they can say once all of this was said.
    pub(crate) fn replies(&self, said: &[&Message]) -> Vec<Message> {
        let mut replies = Vec::new();
        if self.attests {
            let certificates = certificates(said).into_iter();
            replies.extend(certificates.map(Message::CheckpointCertificate));
        }
        if self.last_view > View(0) {
            self.leave(said, &mut replies);
            self.begin(said, &mut replies);
            replies.extend(handed_on(said));
        }
        replies
    }

    /// VIEW-CHANGEs for view 1: one that hides everything, one for every batch
    /// that can be shown to have prepared, and one for every stable checkpoint.
    fn leave(&self, said: &[&Message], replies: &mut Vec<Message>) {
        let prepared = prepared(said).into_iter().map(|of| (None, vec![of]));
        let stable = certificates(said).into_iter().filter(|_| self.attests);
        let stable = stable.map(|of| (Some(of), Vec::new()));
        let reports = [(None, Vec::new())].into_iter().chain(prepared);
        for (stable, prepared) in reports.chain(stable) {
            for signer in self.replicas.iter().copied() {
                let body = ViewChange {
                    view: View(1),
                    stable: stable.clone(),
                    prepared: prepared.clone(),
                };
                replies.push(Message::ViewChange(sign(body, signer)));
            }
        }
    }

    /// As primary of view 1 they can begin it with any quorum of VIEW-CHANGEs.
    fn begin(&self, said: &[&Message], replies: &mut Vec<Message>) {
        let view = View(1);
        if !self.replicas.contains(&primary(view)) {
            return;
        }
        let mut left: BTreeMap<ReplicaId, Vec<&Signed<ViewChange>>> = BTreeMap::new();
        for message in said {
            if let Message::ViewChange(vote) = message
                && vote.body.view == view
            {
                left.entry(vote.signer).or_default().push(vote);
            }
        }
        for absent in left.keys().copied().map(Some).chain([None]) {
            let votes = left.iter().filter(|(signer, _)| Some(**signer) != absent);
            let votes: Vec<_> = votes.map(|(_, votes)| votes).collect();
            if votes.len() != QUORUM {
                continue;
            }
            for one in votes[0] {
                for two in votes[1] {
                    for three in votes[2] {
                        let quorum = [*one, *two, *three].map(Clone::clone);
                        replies.push(new_view(view, &quorum));
                    }
                }
            }
        }
    }
}

/// Whoever knows a batch can hand it on with what a new view says of it.
fn handed_on(said: &[&Message]) -> Vec<Message> {
    let mut replies = Vec::new();
    let mut batches = BTreeMap::new();
    for message in said {
        if let Message::PrePrepare(of) = message {
            batches.insert(of.pre_prepare.body.digest, of.batch.clone());
        }
    }
    for message in said {
        let Message::NewView(of) = message else {
            continue;
        };
        for pre_prepare in of.body.pre_prepares.iter().cloned() {
            if let Some(batch) = batches.get(&pre_prepare.body.digest).cloned() {
                replies.push(Message::PrePrepare(Proposed { pre_prepare, batch }));
            }
        }
    }
    replies
}

/// Whatever a replica can say for a batch in a view, also out of its role.
fn votes(signer: ReplicaId, view: View, batch: &Batch) -> [Message; 3] {
    let sequence = FIRST;
    let digest = batch.digest();
    let pre_prepare = PrePrepare {
        view,
        sequence,
        digest,
    };
    let prepare = Prepare {
        view,
        sequence,
        digest,
    };
    let commit = Commit {
        view,
        sequence,
        digest,
    };
    let proposed = Proposed {
        pre_prepare: sign(pre_prepare, signer),
        batch: batch.clone(),
    };
    [
        Message::PrePrepare(proposed),
        Message::Prepare(sign(prepare, signer)),
        Message::Commit(sign(commit, signer)),
    ]
}

/// One certificate for every outcome that a quorum attests.
fn certificates(said: &[&Message]) -> Vec<CheckpointCertificate> {
    let mut attested: BTreeMap<(SequenceNumber, CheckpointDigest), Vec<&Signed<Checkpoint>>> =
        BTreeMap::new();
    for message in said {
        if let Message::Checkpoint(vote) = message {
            let place = (vote.body.sequence, vote.body.digest);
            attested.entry(place).or_default().push(vote);
        }
    }
    let quorums = attested.into_values().filter(|of| of.len() >= QUORUM);
    quorums
        .map(|mut votes| {
            votes.sort_by_key(|vote| vote.signer);
            votes.truncate(QUORUM);
            let signatures = votes.iter().map(|vote| (vote.signer, vote.signature));
            CheckpointCertificate {
                checkpoint: votes[0].body,
                signatures: signatures.collect(),
            }
        })
        .collect()
}

/// One certificate for everything that prepared in view 0.
fn prepared(said: &[&Message]) -> Vec<PreparedCertificate> {
    let mut certificates = Vec::new();
    for message in said {
        let Message::PrePrepare(of) = message else {
            continue;
        };
        let body = of.pre_prepare.body;
        if body.view > View(0) {
            continue;
        }
        let agrees = Prepare {
            view: body.view,
            sequence: body.sequence,
            digest: body.digest,
        };
        let mut prepares: Vec<_> = said
            .iter()
            .filter_map(|message| match message {
                Message::Prepare(vote) if vote.body == agrees => {
                    Some((vote.signer, vote.signature))
                }
                _ => None,
            })
            .collect();
        prepares.sort();
        if prepares.len() >= QUORUM - 1 {
            prepares.truncate(QUORUM - 1);
            let pre_prepare = of.pre_prepare.clone();
            certificates.push(PreparedCertificate {
                pre_prepare,
                prepares,
            });
        }
    }
    certificates
}

/// The NEW-VIEW with these VIEW-CHANGEs, of which each reports at most the
/// first sequence number: nothing, that it prepared in view 0, or that it is stable.
fn new_view(view: View, view_changes: &[Signed<ViewChange>]) -> Message {
    let is_stable = view_changes.iter().any(|vote| vote.body.stable.is_some());
    let reported = view_changes.iter().flat_map(|vote| &vote.body.prepared);
    let mut reported = reported.filter(|_| !is_stable);
    let signer = primary(view);
    let again = reported.next().map(|of| {
        let PrePrepare {
            sequence, digest, ..
        } = of.pre_prepare.body;
        let body = PrePrepare {
            view,
            sequence,
            digest,
        };
        sign(body, signer)
    });
    let body = NewView {
        view,
        view_changes: view_changes.to_vec(),
        pre_prepares: again.into_iter().collect(),
    };
    Message::NewView(sign(body, signer))
}
