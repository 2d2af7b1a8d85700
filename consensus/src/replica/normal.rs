//! The normal case: PRE-PREPARE, PREPARE, COMMIT, execution (paper, 4.2).
//!
//! Not here: what a batch means and whether it is sound (the world says so),
//! and what a new view begins with.

use super::Replica;
use crate::certificate::PreparedCertificate;
use crate::log::{Added, Check, Held};
use crate::message::{Commit, PrePrepare, Prepare, Proposed, Signed};
use crate::{
    Batch, BatchDigest, Effect, Evidence, Message, Record, Rejection, ReplicaId, RequestDigest,
    SequenceNumber, View,
};

impl Replica {
    /// How many batches this primary may propose now: within the watermarks, at
    /// most `max_in_flight` beyond the last one executed; none at a backup, and
    /// none while changing views, listening or catching up.
    #[must_use]
    pub fn room(&self) -> usize {
        let active = self.is_active() && !self.is_listening() && !self.is_catching_up();
        let proposes = self.is_primary() && active;
        let next = self.next_to_propose();
        if self.halted || !proposes || self.time_before(next).is_none() {
            return 0;
        }
        let in_flight = self.last_executed.saturating_add(self.config.max_in_flight);
        let highest = in_flight.min(self.watermarks().high);
        let room = highest.next().0.saturating_sub(next.0);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Whether batches are under way: proposed, and not executed yet.
    #[must_use]
    pub fn is_ordering(&self) -> bool {
        self.next_to_propose() > self.last_executed.next()
    }

    /// The primary assigns the next sequence number to a batch of `requests`.
    pub(super) fn propose(&mut self, timestamp_ms: u64, requests: Vec<RequestDigest>) {
        assert!(self.room() > 0, "a batch is proposed where there is room");
        let limit = self.config.max_batch_requests;
        assert!(requests.len() <= limit, "a batch holds at most {limit}");
        let sequence = self.next_to_propose();
        let previous = self
            .time_before(sequence)
            .expect("there is no room while the predecessor's time is unknown");
        let batch = Batch {
            timestamp_ms: timestamp_ms.max(previous.saturating_add(1)),
            requests,
        };
        let pre_prepare = self.sign(PrePrepare {
            view: self.view,
            sequence,
            digest: batch.digest(),
        });
        let proposed = Proposed { pre_prepare, batch };
        let from = self.id();
        let slot = self.log.slot(sequence);
        assert!(slot.held.is_none(), "a sequence number is assigned once");
        slot.held = Some(Held {
            proposed: proposed.clone(),
            from,
            check: Check::Passed,
            voted: true,
            time: Some(proposed.batch.timestamp_ms),
        });
        self.stand_by(proposed.clone());
        self.emit(Effect::Broadcast(Message::PrePrepare(proposed)));
        self.progress(sequence);
    }

    fn next_to_propose(&self) -> SequenceNumber {
        let held = self.log.highest_held().unwrap_or_default();
        held.max(self.last_reproposed())
            .max(self.execution_asked)
            .max(self.last_executed)
            .next()
    }

    /// "A backup accepts a pre-prepare message provided: the signatures are
    /// correct and d is the digest for m [the door saw to it]; it is in view v;
    /// it has not accepted a pre-prepare message for view v and sequence number
    /// n containing a different digest; n is between h and H." Where the view
    /// began with something, it is that. Then its time is examined, and then the
    /// world is asked about the batch.
    pub(super) fn on_pre_prepare(&mut self, from: ReplicaId, proposed: Proposed) {
        let PrePrepare {
            view,
            sequence,
            digest,
        } = proposed.pre_prepare.body;
        if !self.admits(from, view, sequence) {
            return;
        }
        let slot = self.log.slot(sequence);
        let reproposed = slot.reproposed.as_ref();
        let held = slot.held.as_ref().map(|held| &held.proposed.pre_prepare);
        if let Some(known) = reproposed.or(held).cloned()
            && known.body.digest != digest
        {
            self.tell(Evidence::PrePrepare(known, proposed.pre_prepare));
            return;
        }
        if held.is_some() {
            return;
        }
        if reproposed.is_some() {
            self.hold_reproposed(proposed);
            self.consider_reproposed(sequence);
            return;
        }
        // What a primary proposed it finds in its records, not in the network,
        // unless it lost them.
        if proposed.pre_prepare.signer == self.id() && !self.is_listening() {
            return;
        }
        if sequence <= self.last_reproposed() {
            let reason = Rejection::NotReproposed {
                view,
                sequence,
                found: digest,
            };
            self.reject(from, reason);
            return;
        }
        self.log.slot(sequence).held = Some(Held {
            proposed,
            from,
            check: Check::Waiting,
            voted: false,
            time: None,
        });
        self.examine(sequence);
    }

    /// Whether a message of the normal case is for this view and window. One of
    /// an earlier view or below the window is late, not wrong; and on the way to
    /// a view nothing of any view counts.
    fn admits(&mut self, from: ReplicaId, view: View, sequence: SequenceNumber) -> bool {
        let watermarks = self.watermarks();
        if view > self.view {
            let current = self.view;
            self.reject(
                from,
                Rejection::OtherView {
                    current,
                    found: view,
                },
            );
        } else if self.is_active() && view == self.view && sequence > watermarks.high {
            self.reject(
                from,
                Rejection::OutsideWatermarks {
                    sequence,
                    watermarks,
                },
            );
        }
        let within = if planted!(NoHighWatermark) {
            watermarks.low < sequence
        } else {
            watermarks.contain(sequence)
        };
        self.is_active() && view == self.view && within
    }

    /// The time of the batch before `sequence`, which is not executed yet, if it
    /// is known.
    pub(super) fn time_before(&self, sequence: SequenceNumber) -> Option<u64> {
        let previous = sequence.saturating_sub(1);
        if previous == self.last_executed {
            return Some(self.last_timestamp_ms);
        }
        let executing = self.executing.get(&previous).copied();
        executing.or_else(|| self.log.held(previous)?.time)
    }

    /// The time at which a batch with an agreed one is executed after another: time
    /// goes forward.
    fn time_after(previous: u64, agreed: u64) -> u64 {
        agreed.max(previous.saturating_add(1))
    }

    /// What was caught up with may be another batch than this replica had there: the
    /// times of those that it examined behind it follow from that.
    pub(super) fn hold_times_again(&mut self) {
        let mut sequence = self.execution_asked.next();
        while let Some(previous) = self.time_before(sequence)
            && let Some(held) = self.log.held_mut(sequence)
            && held.time.is_some()
        {
            let agreed = held.proposed.batch.timestamp_ms;
            held.time = Some(Self::time_after(previous, agreed));
            sequence = sequence.next();
        }
    }

    /// Holds the time of the PRE-PREPARE that waits at `sequence`, and of those
    /// that wait behind it, against the time of its predecessor. What a new view
    /// re-proposes was found in order when it was proposed, and may since have
    /// got another predecessor: it is executed the later, and not refused.
    pub(super) fn examine(&mut self, mut sequence: SequenceNumber) {
        let last_reproposed = self.last_reproposed();
        while let Some(previous) = self.time_before(sequence) {
            let Some(held) = self.log.held_mut(sequence) else {
                return;
            };
            if held.check != Check::Waiting {
                return;
            }
            let statement = held.statement();
            let batch = held.proposed.batch.clone();
            let from = held.from;
            let fresh = sequence > last_reproposed || planted!(FreshnessOfReproposals);
            if fresh && !held.voted && batch.timestamp_ms <= previous {
                held.check = Check::Failed;
                self.reject(
                    from,
                    Rejection::TimestampNotLater {
                        sequence,
                        previous,
                        found: batch.timestamp_ms,
                    },
                );
                return;
            }
            held.time = Some(Self::time_after(previous, batch.timestamp_ms));
            #[cfg(feature = "planted-bugs")]
            if planted!(VoteUnexamined) {
                held.check = Check::Passed;
                self.vote(sequence);
                sequence = sequence.next();
                continue;
            }
            held.check = Check::Asked;
            self.emit(Effect::CheckBatch {
                view: statement.view,
                sequence,
                digest: statement.digest,
                batch,
                fresh,
            });
            sequence = sequence.next();
        }
    }

    /// The world has examined a batch. An answer to a question that no longer
    /// stands is let go.
    pub(super) fn on_batch_checked(
        &mut self,
        view: View,
        sequence: SequenceNumber,
        digest: BatchDigest,
        verdict: Result<(), String>,
    ) {
        let left = !self.is_active() && !planted!(VoteAfterViewChange);
        if (view != self.view && !planted!(VoteAfterViewChange)) || left {
            return;
        }
        let Some(held) = self.log.held_mut(sequence) else {
            return;
        };
        let asked = held.check == Check::Asked && held.digest() == digest;
        if !asked {
            return;
        }
        if let Err(reason) = verdict {
            held.check = Check::Failed;
            let from = held.from;
            self.reject(from, Rejection::UnsoundBatch { sequence, reason });
            return;
        }
        held.check = Check::Passed;
        self.vote(sequence);
    }

    /// Stands by the batch that passed at `sequence`: the record first, then the
    /// PREPARE, which the primary has none of. A listening replica does not.
    pub(super) fn vote(&mut self, sequence: SequenceNumber) {
        let held = self.log.held(sequence).expect("what passed is held");
        assert_eq!(held.check, Check::Passed, "only sound batches get a vote");
        if !held.voted && !self.is_listening() {
            let proposed = held.proposed.clone();
            let prepare = held.prepare();
            let own = proposed.pre_prepare.signer == self.id();
            if let Some(held) = self.log.held_mut(sequence) {
                held.voted = true;
            }
            self.stand_by(proposed);
            if !own {
                let prepare = self.sign(prepare);
                let added = self.log.slot(sequence).prepares.add(prepare.clone());
                assert_eq!(added, Added::New, "a replica prepares once");
                self.emit(Effect::Broadcast(Message::Prepare(prepare)));
            }
            self.show_own_pre_prepare(sequence);
        }
        self.progress(sequence);
    }

    /// Whoever has agreed to another batch before this replica came to its own
    /// is shown that as well.
    fn show_own_pre_prepare(&mut self, sequence: SequenceNumber) {
        let Some(slot) = self.log.get(sequence) else {
            return;
        };
        let Some(held) = slot.held.as_ref().filter(|held| self.may_show(held)) else {
            return;
        };
        let message = Message::PrePrepare(held.proposed.clone());
        // Its own PREPARE is not among them: it is for this batch.
        for to in slot.prepares.others(&held.prepare()) {
            self.send(to, message.clone());
        }
    }

    /// Makes durable that this replica stands by a batch. What it voted for in
    /// earlier views is kept as well.
    fn stand_by(&mut self, proposed: Proposed) {
        let sequence = proposed.pre_prepare.body.sequence;
        let slot = self.log.get(sequence);
        let before = slot.into_iter().flat_map(|slot| &slot.voted_before);
        let others = before.filter(|batch| **batch != proposed.batch);
        let batches: Vec<Batch> = others.cloned().collect();
        if !batches.is_empty() {
            self.emit(Effect::Persist(Record::VotedBefore { sequence, batches }));
        }
        self.emit(Effect::Persist(Record::PrePrepared(proposed)));
    }

    /// A PREPARE counts when it is of this view and window, and the first of
    /// its signer. The primary has none to send: the door saw to it.
    pub(super) fn on_prepare(&mut self, from: ReplicaId, prepare: Signed<Prepare>) {
        let Prepare { view, sequence, .. } = prepare.body;
        let primary = self.config.replicas.primary(view);
        assert!(
            prepare.signer != primary || planted!(CountThePrimarysPrepare),
            "the primary's PREPARE does not pass the door"
        );
        if prepare.signer == self.id() || !self.admits(from, view, sequence) {
            return;
        }
        let (signer, digest) = (prepare.signer, prepare.body.digest);
        match self.log.slot(sequence).prepares.add(prepare) {
            Added::New => {
                self.show_other_pre_prepare(signer, sequence, digest);
                self.progress(sequence);
            }
            Added::Known => {}
            Added::Conflicting(known, found) => self.tell(Evidence::Prepare(known, found)),
        }
    }

    /// A backup agrees to another batch than the one this replica was proposed:
    /// either it lies, or the primary has proposed two. It is shown the
    /// PRE-PREPARE it seems not to know, and does the same in turn.
    fn show_other_pre_prepare(
        &mut self,
        to: ReplicaId,
        sequence: SequenceNumber,
        digest: BatchDigest,
    ) {
        let held = self.log.held(sequence);
        if let Some(held) = held.filter(|held| held.digest() != digest && self.may_show(held)) {
            let message = Message::PrePrepare(held.proposed.clone());
            self.send(to, message);
        }
    }

    /// A COMMIT counts when it is of this view and window, and the first of its signer.
    pub(super) fn on_commit(&mut self, from: ReplicaId, commit: Signed<Commit>) {
        let Commit { view, sequence, .. } = commit.body;
        if commit.signer == self.id() || !self.admits(from, view, sequence) {
            return;
        }
        match self.log.slot(sequence).commits.add(commit) {
            Added::New => self.progress(sequence),
            Added::Known => {}
            Added::Conflicting(known, found) => self.tell(Evidence::Commit(known, found)),
        }
    }

    /// How many PREPAREs, with the PRE-PREPARE, make a quorum.
    pub(super) fn prepares_needed(&self) -> usize {
        let needed = self.config.replicas.quorum() - 1;
        if planted!(PrepareQuorumOneTooSmall) {
            return needed.saturating_sub(1);
        }
        needed
    }

    /// Does what has become possible at `sequence`: the record of a batch that
    /// has prepared and then the COMMIT, and whatever is to be executed.
    pub(super) fn progress(&mut self, sequence: SequenceNumber) {
        let needed = self.prepares_needed();
        if let Some(slot) = self.log.get(sequence)
            && slot.prepared_in(self.view).is_none()
            && slot.is_prepared(needed)
            && let Some(held) = &slot.held
        {
            let mut prepares = slot.prepares.signatures(&held.prepare());
            prepares.truncate(needed);
            let certificate = PreparedCertificate {
                pre_prepare: held.proposed.pre_prepare.clone(),
                prepares,
            };
            let commit = held.commit();
            let commit = self.sign(commit);
            let slot = self.log.slot(sequence);
            slot.prepared = Some(certificate.clone());
            let added = slot.commits.add(commit.clone());
            assert_eq!(added, Added::New, "a replica commits once");
            self.emit(Effect::Persist(Record::Prepared(certificate)));
            self.emit(Effect::Broadcast(Message::Commit(commit)));
        }
        self.execute_ready();
    }

    /// Asks for the execution of everything committed that follows without a
    /// gap on what was asked for before. Not while catching up: somebody else
    /// executes then.
    pub(super) fn execute_ready(&mut self) {
        let quorum = self.config.replicas.quorum();
        let begun = self.effects.len();
        while !self.is_catching_up() {
            let sequence = self.execution_asked.next();
            let Some(slot) = self.log.get(sequence) else {
                break;
            };
            let Some(held) = slot.held.as_ref().filter(|_| slot.committed_local(quorum)) else {
                break;
            };
            let batch = held.proposed.batch.clone();
            let timestamp_ms = held.time.expect("what passed was examined");
            let previous = self.time_before(sequence);
            assert_eq!(
                previous.map(|previous| Self::time_after(previous, batch.timestamp_ms)),
                Some(timestamp_ms),
                "a batch is executed after the one that was executed before it"
            );
            self.execution_asked = sequence;
            self.executing.insert(sequence, timestamp_ms);
            self.emit(Effect::Execute {
                sequence,
                timestamp_ms,
                batch,
            });
        }
        if planted!(ExecuteOutOfOrder) {
            self.effects[begun..].reverse();
        }
    }
}
