//! Lies about what is said: each kind of message, altered and signed again.

use super::{Byzantine, Mode, Outgoing};
use crate::message::{
    Checkpoint, Commit, NewView, PrePrepare, Prepare, Proposed, Signed, ViewChange,
};
use crate::reproposals::Reproposals;
use crate::{
    Batch, BatchDigest, CheckpointDigest, Message, ReplicaId, RequestDigest, SequenceNumber, View,
};

/// How far ahead or back a wrong time is, in milliseconds: a day.
const WRONG_BY_MS: u64 = 24 * 3600 * 1000;

impl Byzantine {
    /// What is said to one replica instead.
    pub(super) fn lie(&mut self, mode: &Mode, of: Outgoing) -> Vec<Outgoing> {
        let Outgoing { to, message, delay } = of;
        let messages = match mode {
            Mode::Equivocate if self.is_in_other_half(to) => {
                let other = self.other_story(message);
                self.with_own_prepare(other)
            }
            Mode::WrongDigest => vec![self.wrong_digest(message)],
            Mode::CorruptSignatures => vec![corrupt(message)],
            Mode::LieViewChange => self.lie_about_views(to, message),
            Mode::KeepBack => self.keep_back(message),
            Mode::LieSync => vec![self.lie_about_height(message)],
            Mode::SkipSequences => vec![self.skip_ahead(message)],
            Mode::WrongTimes => vec![self.wrong_time(message)],
            Mode::InventRequests => vec![self.invent(message)],
            _ => vec![message],
        };
        let outgoing = |message| Outgoing { to, message, delay };
        messages.into_iter().map(outgoing).collect()
    }

    /// The same batch a moment later is another batch, and as sound as the first.
    fn retimed(&self, proposed: &Proposed, timestamp_ms: u64, sequence: SequenceNumber) -> Message {
        let batch = Batch {
            timestamp_ms,
            requests: proposed.batch.requests.clone(),
        };
        self.proposed(batch, proposed.pre_prepare.body.view, sequence)
    }

    fn proposed(&self, batch: Batch, view: View, sequence: SequenceNumber) -> Message {
        let digest = batch.digest();
        let pre_prepare = self.sign(PrePrepare {
            view,
            sequence,
            digest,
        });
        Message::PrePrepare(Proposed { pre_prepare, batch })
    }

    fn is_own(&self, message: &Message) -> bool {
        matches!(message, Message::PrePrepare(of) if of.pre_prepare.signer == self.id)
    }

    /// What the other half is told: of a batch its twin, of a vote one for
    /// another batch.
    fn other_story(&mut self, message: Message) -> Message {
        match &message {
            Message::PrePrepare(of) if self.is_own(&message) => {
                let time = of.batch.timestamp_ms.saturating_add(1);
                self.retimed(of, time, of.pre_prepare.body.sequence)
            }
            Message::ViewChange(vote) => {
                let mut body = vote.body.clone();
                body.prepared.pop();
                Message::ViewChange(self.sign(body))
            }
            Message::PrePrepare(_) | Message::NewView(_) | Message::Status(_) => message,
            _ => self.wrong_digest(message),
        }
    }

    /// A primary's own PREPARE beside its PRE-PREPARE, to be counted twice.
    fn with_own_prepare(&self, message: Message) -> Vec<Message> {
        let Message::PrePrepare(of) = &message else {
            return vec![message];
        };
        if of.pre_prepare.signer != self.id {
            return vec![message];
        }
        let PrePrepare {
            view,
            sequence,
            digest,
        } = of.pre_prepare.body;
        let prepare = self.sign(Prepare {
            view,
            sequence,
            digest,
        });
        vec![message, Message::Prepare(prepare)]
    }

    fn wrong_digest(&mut self, message: Message) -> Message {
        match message {
            Message::PrePrepare(of) if of.pre_prepare.signer == self.id => {
                let mut body = of.pre_prepare.body;
                body.digest = BatchDigest(Self::other(body.digest.0));
                Message::PrePrepare(Proposed {
                    pre_prepare: self.sign(body),
                    batch: of.batch,
                })
            }
            Message::Prepare(vote) => {
                let digest = BatchDigest(Self::other(vote.body.digest.0));
                Message::Prepare(self.sign(Prepare {
                    digest,
                    ..vote.body
                }))
            }
            Message::Commit(vote) => {
                let digest = BatchDigest(Self::other(vote.body.digest.0));
                Message::Commit(self.sign(Commit {
                    digest,
                    ..vote.body
                }))
            }
            Message::Checkpoint(vote) => {
                let digest = CheckpointDigest(Self::other(vote.body.digest.0));
                Message::Checkpoint(self.sign(Checkpoint {
                    digest,
                    ..vote.body
                }))
            }
            other => other,
        }
    }

    /// A gap that nobody can fill, up to the high watermark.
    fn skip_ahead(&mut self, message: Message) -> Message {
        match &message {
            Message::PrePrepare(of) if self.is_own(&message) => {
                let body = of.pre_prepare.body;
                let sequence = body.sequence.saturating_add(self.log_window - 1);
                self.retimed(of, of.batch.timestamp_ms, sequence)
            }
            _ => message,
        }
    }

    fn wrong_time(&mut self, message: Message) -> Message {
        match &message {
            Message::PrePrepare(of) if self.is_own(&message) => {
                let time = of.batch.timestamp_ms;
                let wrong = [
                    time.saturating_add(WRONG_BY_MS),
                    time.saturating_sub(WRONG_BY_MS),
                ];
                let wrong = wrong[usize::from(self.below(2) == 0)];
                self.retimed(of, wrong, of.pre_prepare.body.sequence)
            }
            _ => message,
        }
    }

    /// A batch that nobody can ever hold in full. It is no longer than the true one may be.
    fn invent(&self, message: Message) -> Message {
        match &message {
            Message::PrePrepare(of) if self.is_own(&message) => {
                let (body, mut batch) = (of.pre_prepare.body, of.batch.clone());
                batch.requests.pop();
                let invented = RequestDigest(Self::other(body.digest.0));
                batch.requests.push(invented);
                self.proposed(batch, body.view, body.sequence)
            }
            _ => message,
        }
    }

    fn lie_about_height(&mut self, message: Message) -> Message {
        match message {
            Message::Status(mut status) => {
                let distance = self.below(1_000_000);
                status.slots.clear();
                status.uncertified.clear();
                if self.below(2) == 0 {
                    status.last_executed = status.last_executed.saturating_add(distance);
                } else {
                    status.last_executed = status.last_executed.saturating_sub(distance);
                    status.low = status.low.min(status.last_executed);
                }
                Message::Status(status)
            }
            other => other,
        }
    }

    /// Of a VIEW-CHANGE: conceals what prepared. Of a NEW-VIEW: begins with
    /// something else, or keeps it from this replica. With a status: wants a
    /// view that nobody has a reason to want.
    fn lie_about_views(&mut self, to: ReplicaId, message: Message) -> Vec<Message> {
        match message {
            Message::ViewChange(vote) => vec![self.conceal(&vote)],
            Message::NewView(new_view) => match self.below(4) {
                0 => Vec::new(),
                1 => vec![self.begin_otherwise(&new_view)],
                2 => vec![self.begin_with_others_unheard(&new_view)],
                _ if self.is_in_other_half(to) => vec![self.begin_otherwise(&new_view)],
                _ => vec![Message::NewView(new_view)],
            },
            Message::Status(mut status) => {
                status.suspects = true;
                let distance = 1 + self.below(3) * self.below(1_000_000);
                let view = View(status.view.0.saturating_add(distance));
                let wish = self.sign(ViewChange {
                    view,
                    stable: None,
                    prepared: Vec::new(),
                });
                vec![Message::Status(status), Message::ViewChange(wish)]
            }
            other => vec![other],
        }
    }

    fn conceal(&mut self, vote: &Signed<ViewChange>) -> Message {
        let mut body = vote.body.clone();
        if self.below(2) == 0 {
            body.prepared.clear();
            body.stable = None;
        } else {
            body.prepared.pop();
        }
        Message::ViewChange(self.sign(body))
    }

    /// Of what prepared it says nothing in the first view change, and in all later
    /// ones it tells of the first that prepared, which others may have given up. The
    /// batch it shows nobody.
    fn keep_back(&mut self, message: Message) -> Vec<Message> {
        let vote = match message {
            Message::ViewChange(vote) if vote.signer == self.id => vote,
            Message::PrePrepare(of) if self.keeps_back(&of) => return Vec::new(),
            other => return vec![other],
        };
        let mut body = vote.body.clone();
        let low = body.stable.as_ref();
        let low = low.map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        self.kept_back.retain(|sequence, _| *sequence > low);
        for certificate in std::mem::take(&mut body.prepared) {
            let sequence = certificate.pre_prepare.body.sequence;
            let first = self.kept_back.entry(sequence);
            let (since, first) = first.or_insert_with(|| (body.view, certificate));
            if *since < body.view {
                body.prepared.push(first.clone());
            }
        }
        vec![Message::ViewChange(self.sign(body))]
    }

    fn keeps_back(&self, proposed: &Proposed) -> bool {
        let PrePrepare {
            sequence, digest, ..
        } = proposed.pre_prepare.body;
        let kept_back = self.kept_back.get(&sequence);
        kept_back.is_some_and(|(_, of)| of.pre_prepare.body.digest == digest)
    }

    /// A NEW-VIEW that leaves out what it must begin with, or begins with what
    /// it must not.
    fn begin_otherwise(&mut self, new_view: &Signed<NewView>) -> Message {
        let mut body = new_view.body.clone();
        if body.pre_prepares.pop().is_none() {
            let last = Reproposals::of(body.view, &body.view_changes).last();
            body.pre_prepares.push(self.sign(PrePrepare {
                view: body.view,
                sequence: last.next(),
                digest: Batch::null().digest(),
            }));
        }
        Message::NewView(self.sign(body))
    }

    /// A NEW-VIEW in which its own VIEW-CHANGE, which conceals what prepared,
    /// counts for everybody's.
    fn begin_with_others_unheard(&mut self, new_view: &Signed<NewView>) -> Message {
        let mut body = new_view.body.clone();
        let own = self.sign(ViewChange {
            view: body.view,
            stable: None,
            prepared: Vec::new(),
        });
        body.view_changes = vec![own; body.view_changes.len()];
        body.pre_prepares.clear();
        Message::NewView(self.sign(body))
    }
}

/// Spoils the signature by a bit.
fn corrupt(mut message: Message) -> Message {
    let signature = match &mut message {
        Message::PrePrepare(of) => &mut of.pre_prepare.signature,
        Message::Prepare(vote) => &mut vote.signature,
        Message::Commit(vote) => &mut vote.signature,
        Message::Checkpoint(vote) => &mut vote.signature,
        Message::ViewChange(vote) => &mut vote.signature,
        Message::NewView(new_view) => &mut new_view.signature,
        Message::CheckpointCertificate(_) | Message::Status(_) => return message,
    };
    signature.0[40] ^= 1;
    message
}
