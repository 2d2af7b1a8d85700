//! Beginning a view: NEW-VIEW, and what is voted for anew (paper, 4.4).

use std::collections::BTreeMap;

use super::Replica;
use crate::log::{Check, Held};
use crate::message::{NewView, PrePrepare, Proposed, Signed};
use crate::reproposals::Reproposals;
use crate::{Batch, Effect, Evidence, Message, Record, SequenceNumber};

impl Replica {
    /// At the primary of the view that a quorum wants: begins it.
    pub(super) fn make_new_view(&mut self) {
        let quorum = self.config.replicas.quorum();
        let view_changes: Vec<_> = self.collected().into_iter().take(quorum).cloned().collect();
        assert_eq!(view_changes.len(), quorum, "a view begins with a quorum");
        let reproposals = Reproposals::of(self.view, &view_changes);
        let statements = reproposals.statements.into_iter();
        let pre_prepares = statements.map(|body: PrePrepare| self.sign(body)).collect();
        let new_view = self.sign(NewView {
            view: self.view,
            view_changes,
            pre_prepares,
        });
        self.emit(Effect::Persist(Record::NewView(new_view.clone())));
        self.emit(Effect::Broadcast(Message::NewView(new_view.clone())));
        self.enter(new_view);
    }

    /// A NEW-VIEW proves itself (the door saw to it), so it is followed also by
    /// a replica that has not wanted its view. One for an earlier view is late.
    pub(super) fn on_new_view(&mut self, new_view: Signed<NewView>) {
        let view = new_view.body.view;
        let entered = view == self.view && self.is_active();
        if entered
            && let Some(known) = self.new_view()
            && known.body != new_view.body
        {
            let (known, new_view) = (Box::new(known.clone()), Box::new(new_view));
            self.tell(Evidence::NewView(known, new_view));
            return;
        }
        if entered || (view < self.view && !planted!(EnterEarlierViews)) {
            return;
        }
        self.emit(Effect::Persist(Record::NewView(new_view.clone())));
        self.enter(new_view);
    }

    /// The view begins here, with what it re-proposes. Nothing that was executed
    /// is executed again; it is voted for again, for those who still need it.
    fn enter(&mut self, new_view: Signed<NewView>) {
        let view = new_view.body.view;
        let reproposals = Reproposals::of(view, &new_view.body.view_changes);
        self.end_view_change(new_view, reproposals.last());
        self.emit(Effect::ViewEntered(view));
        self.set_fall_back_timer();
        if planted!(ExecuteAgain) {
            self.execution_asked = self.watermarks().low;
        }
        let batches = self.log.begin_view();
        self.install(batches);
        if let Some(stable) = reproposals.stable {
            self.on_certificate(stable);
        }
        // What the others said of this view before it began here was lost.
        let status = self.own_status(true);
        self.emit(Effect::Broadcast(Message::Status(status)));
    }

    /// The view in which a crash has met this replica goes on.
    pub(super) fn resume_view(&mut self, new_view: Signed<NewView>) {
        let body = &new_view.body;
        let last = Reproposals::of(body.view, &body.view_changes).last();
        #[cfg(feature = "planted-bugs")]
        if planted!(ForgetReproposals) {
            self.end_view_change(new_view, SequenceNumber::GENESIS);
            while self.next_to_install(SequenceNumber(u64::MAX)).is_some() {}
            return;
        }
        self.end_view_change(new_view, last);
    }

    /// Puts what the new view re-proposes into the slots of this replica's
    /// window that do not have it yet, with its batch where that is known: this
    /// replica voted for it, it is among `batches`, or it is the null request.
    pub(super) fn install(&mut self, mut batches: BTreeMap<SequenceNumber, Batch>) {
        let watermarks = self.watermarks();
        let mut installed = Vec::new();
        while let Some(signed) = self.next_to_install(watermarks.high) {
            let PrePrepare {
                sequence, digest, ..
            } = signed.body;
            if !watermarks.contain(sequence) {
                continue;
            }
            let slot = self.log.slot(sequence);
            slot.reproposed = Some(signed.clone());
            if slot.held.is_some() {
                continue;
            }
            let batch = slot
                .voted_for(digest)
                .cloned()
                .or_else(|| batches.remove(&sequence).filter(|of| of.digest() == digest))
                .or_else(|| Some(Batch::null()).filter(|of| of.digest() == digest));
            if let Some(batch) = batch {
                self.hold_reproposed(Proposed {
                    pre_prepare: signed,
                    batch,
                });
                installed.push(sequence);
            }
        }
        for sequence in installed {
            self.consider_reproposed(sequence);
        }
    }

    /// Holds a batch that the new view takes over.
    pub(super) fn hold_reproposed(&mut self, proposed: Proposed) {
        let sequence = proposed.pre_prepare.body.sequence;
        let from = proposed.pre_prepare.signer;
        self.log.slot(sequence).held = Some(Held {
            proposed,
            from,
            check: Check::Waiting,
            voted: false,
            time: None,
        });
    }

    /// What is executed already is voted for at once, the rest when it was examined.
    pub(super) fn consider_reproposed(&mut self, sequence: SequenceNumber) {
        if sequence > self.execution_asked {
            self.examine(sequence);
            return;
        }
        if let Some(held) = self.log.held_mut(sequence) {
            held.check = Check::Passed;
            self.vote(sequence);
        }
    }
}
