//! STATUS and retransmission: messages get lost, and no connection is trusted
//! to bring them all (TOCS '02, 5.2).
//!
//! Every replica tells the others from time to time where it stands, and each
//! sends it again what it itself has said and the other lacks. When nobody
//! lacks anything that is all: an idle network stays quiet.

use super::Replica;
use crate::log::{Held, Slot};
use crate::message::{Signed, SlotStatus, Status, ViewChange};
use crate::{Effect, Message, ReplicaId, SequenceNumber, Timer, Watermarks};

/// How many statuses of one peer are acted on between two status ticks: the
/// periodic one and a few more, as after a reconnection or at the beginning of a view.
const STATUSES_PER_TICK: u8 = 4;

impl Replica {
    pub(super) fn set_status_timer(&mut self) {
        self.emit(Effect::SetTimer {
            timer: Timer::Status,
            after: self.config.status_interval,
        });
    }

    pub(super) fn on_status_tick(&mut self) {
        self.statuses_heard.clear();
        self.set_status_timer();
        let status = self.own_status(true);
        self.emit(Effect::Broadcast(Message::Status(status)));
        self.catch_up_if_stuck();
    }

    pub(super) fn on_connected(&mut self, peer: ReplicaId) {
        self.forget_disconnection(peer);
        let status = self.own_status(true);
        self.send(peer, Message::Status(status));
    }

    /// Sends the peer what it lacks, and asks in turn if it is ahead. A status
    /// proves nothing: this replica's own state does not follow from it.
    pub(super) fn on_status(&mut self, from: ReplicaId, status: &Status) {
        if from == self.id() {
            return;
        }
        if status.view == self.view && status.changing.is_none() && self.is_active() {
            self.note_suspicion(from, status.suspects);
        }
        let heard = self.statuses_heard.entry(from).or_default();
        if *heard == STATUSES_PER_TICK {
            return;
        }
        *heard += 1;
        if !status.listening {
            self.learn_where_others_stand(from, status.last_executed);
        }
        self.resend_certificates(from, status);
        self.resend_view_change(from, status);
        if status.view == self.view && status.changing.is_none() && self.is_active() {
            self.resend_votes(from, status);
        }
        if status.asks && (self.is_behind(status) || planted!(AnswerEveryStatus)) {
            let status = self.own_status(planted!(AnswerEveryStatus));
            self.send(from, Message::Status(status));
        }
    }

    /// Where this replica stands. It may have executed by a quorum's COMMITs
    /// what did not prepare here; then it still asks for the PREPAREs, for
    /// another replica may need its COMMIT to come as far. For the same reason it
    /// asks for a batch that the view has taken over and that it has executed
    /// without having it, from a block of others.
    pub(super) fn own_status(&self, asks: bool) -> Status {
        let quorum = self.config.replicas.quorum();
        let unprepared = |slot: &Slot| {
            let voted = slot.held.as_ref().is_some_and(|held| held.voted);
            let lacks_batch = slot.reproposed.is_some() && slot.held.is_none();
            lacks_batch || (voted && slot.prepared_in(self.view).is_none())
        };
        let slots = self
            .log
            .iter()
            .filter(|(sequence, slot)| {
                let is_ahead = *sequence > self.last_executed;
                (is_ahead && !slot.is_of_the_past()) || unprepared(slot)
            })
            .filter(|_| self.is_active())
            .map(|(sequence, slot)| SlotStatus {
                sequence,
                pre_prepared: slot.held.is_some(),
                prepared: slot.prepared_in(self.view).is_some(),
                committed: sequence <= self.last_executed || slot.has_commits(quorum),
            })
            .collect();
        let window = usize::try_from(self.config.log_window).unwrap_or(usize::MAX);
        Status {
            view: self.view,
            changing: (!self.is_active())
                .then(|| self.collected().iter().map(|vote| vote.signer).collect()),
            suspects: self.suspects(),
            listening: self.is_listening(),
            last_executed: self.last_executed,
            low: self.watermarks().low,
            asks,
            slots,
            uncertified: self.checkpoints.uncertified().take(window).collect(),
        }
    }

    /// The newest certificate, to whoever has not executed so far; and for what
    /// the peer has executed without having a certificate, the certificate or
    /// else this replica's own CHECKPOINT.
    fn resend_certificates(&mut self, to: ReplicaId, status: &Status) {
        let newest = self.checkpoints.newest_certified().or(self.stable.as_ref());
        if let Some(newest) = newest
            && newest.checkpoint.sequence > status.last_executed
        {
            let message = Message::CheckpointCertificate(newest.clone());
            self.send(to, message);
        }
        for sequence in &status.uncertified {
            // After a restart it may be all that this replica has of its past.
            let stable = self.stable.as_ref();
            if let Some(stable) = stable.filter(|it| it.checkpoint.sequence == *sequence) {
                let message = Message::CheckpointCertificate(stable.clone());
                self.send(to, message);
                continue;
            }
            let Some(entry) = self.checkpoints.get(*sequence) else {
                continue;
            };
            let certificate = entry.certificate.clone().filter(|_| entry.certified);
            let message = certificate
                .map(Message::CheckpointCertificate)
                .or_else(|| entry.votes.of(self.id()).cloned().map(Message::Checkpoint));
            if let Some(message) = message {
                self.send(to, message);
            }
        }
    }

    /// To a peer that is not where this replica is: the NEW-VIEW that it lacks,
    /// whoever made it, or this replica's own VIEW-CHANGE.
    fn resend_view_change(&mut self, to: ReplicaId, status: &Status) {
        let same = status.view == self.view;
        let behind = status.view < self.view || (same && status.changing.is_some());
        if !behind || planted!(NeverSayAgain) {
            return;
        }
        if let Some(new_view) = self.new_view().cloned() {
            self.send(to, Message::NewView(new_view));
        }
        let lacks = |vote: &&Signed<ViewChange>| {
            let known = status.changing.as_ref().filter(|_| same);
            known.is_none_or(|known| !known.contains(&vote.signer))
        };
        if let Some(vote) = self.own_view_change().filter(lacks).cloned() {
            self.send(to, Message::ViewChange(vote));
        }
    }

    /// Of every sequence number in the peer's window: the PRE-PREPARE, this
    /// replica's PREPARE and COMMIT, as far as it lacks them.
    fn resend_votes(&mut self, to: ReplicaId, status: &Status) {
        let window = Watermarks {
            low: status.low,
            high: status.low.saturating_add(self.config.log_window),
        };
        for sequence in self.log.sequences() {
            if !window.contain(sequence) {
                continue;
            }
            let has = has_of(status, sequence);
            let pre_prepare = self
                .log
                .held(sequence)
                .filter(|held| !has.pre_prepared && self.may_show(held))
                .map(|held| Message::PrePrepare(held.proposed.clone()));
            let prepare = self.own_prepare(sequence).filter(|_| !has.prepared);
            let commit = self.own_commit(sequence).filter(|_| !has.committed);
            for message in pre_prepare.into_iter().chain(prepare).chain(commit) {
                self.send(to, message);
            }
        }
    }

    /// Whether a PRE-PREPARE may be handed on: nothing was found wrong with it,
    /// and if it is this replica's own, it has not forgotten that it is.
    pub(super) fn may_show(&self, held: &Held) -> bool {
        let own = held.proposed.pre_prepare.signer == self.id();
        held.is_examined() && !(own && self.is_listening())
    }

    /// Whether the peer seems to have something that this replica lacks.
    fn is_behind(&self, status: &Status) -> bool {
        let own = self.own_status(false);
        let has_more = |theirs: &SlotStatus| {
            let ours = has_of(&own, theirs.sequence);
            theirs.sequence > own.last_executed
                && ((theirs.pre_prepared && !ours.pre_prepared)
                    || (theirs.prepared && !ours.prepared)
                    || (theirs.committed && !ours.committed))
        };
        let ahead = status.view > self.view
            || (status.view == self.view && status.changing.is_none() && !self.is_active());
        ahead || status.last_executed > self.last_executed || status.slots.iter().any(has_more)
    }
}

/// What the sender of `status` has of `sequence`.
fn has_of(status: &Status, sequence: SequenceNumber) -> SlotStatus {
    let executed = sequence <= status.last_executed;
    let unnamed = SlotStatus {
        sequence,
        pre_prepared: executed,
        prepared: executed,
        committed: executed,
    };
    status
        .slots
        .binary_search_by_key(&sequence, |slot| slot.sequence)
        .map_or(unnamed, |at| status.slots[at])
}
