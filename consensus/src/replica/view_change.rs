//! Leaving a view: VIEW-CHANGE (paper, 4.4).
//!
//! Not here: when to leave ([`suspicion`](super::suspicion)) and what the next
//! view begins with ([`new_view`](super::new_view)).

use std::collections::{BTreeMap, VecDeque};

use super::Replica;
use crate::message::{NewView, PrePrepare, Signed, ViewChange};
use crate::{
    Effect, Evidence, Message, PreparedCertificate, Record, ReplicaId, SequenceNumber, Timer, View,
};

/// Where this replica is between views.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct ViewChanges {
    /// Whether it has left for `view`, which has not begun.
    changing: bool,
    /// The newest VIEW-CHANGE of every replica, for views that are not over:
    /// one each, whatever they send.
    newest: BTreeMap<ReplicaId, Signed<ViewChange>>,
    /// On the way to `view`: those for it of replicas whose newest is for a later
    /// one. A replica that lied and does so no more comes back like this.
    come_back: BTreeMap<ReplicaId, Signed<ViewChange>>,
    /// Whether the timer runs that ends the wait for the NEW-VIEW.
    timed: bool,
    /// The NEW-VIEW by which the current view began; none in view 0.
    new_view: Option<Signed<NewView>>,
    /// What it re-proposes beyond this replica's window, which has yet to move.
    uninstalled: VecDeque<Signed<PrePrepare>>,
    /// The last sequence number that the current view began with.
    last_reproposed: SequenceNumber,
}

impl Replica {
    /// Whether it is in its view, and not on the way to it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.view_changes.changing
    }

    /// Leaves for `view`: the record first, then the VIEW-CHANGE. A listening
    /// replica has forgotten what prepared at it and has nothing to report.
    pub(super) fn start_view_change(&mut self, view: View) {
        let listens = self.is_listening() && !planted!(LeaveWhileListening);
        if listens || view <= self.view {
            return;
        }
        let vote = self.sign(ViewChange {
            view,
            stable: self.stable.clone(),
            prepared: self.prepared_above_low(),
        });
        self.move_to(view);
        self.view_changes.newest.insert(self.id(), vote.clone());
        self.emit(Effect::Persist(Record::ViewChange(vote.clone())));
        self.emit(Effect::Broadcast(Message::ViewChange(vote)));
        self.progress_view_change();
    }

    /// On the way to `view`, with nothing said about it yet.
    fn move_to(&mut self, view: View) {
        assert!(view > self.view, "views only rise");
        self.lose_haste();
        self.view = view;
        self.forgive();
        let state = &mut self.view_changes;
        state.changing = true;
        state.timed = false;
        state.new_view = None;
        state.uninstalled.clear();
        state.come_back.clear();
        state.newest.retain(|_, vote| vote.body.view >= view);
    }

    /// Takes up a view change where a crash has interrupted it.
    pub(super) fn resume_view_change(&mut self, vote: Signed<ViewChange>) {
        #[cfg(feature = "planted-bugs")]
        let vote = if planted!(ViewChangeAnew) {
            let anew = self.sign(ViewChange {
                view: vote.body.view,
                stable: self.stable.clone(),
                prepared: self.prepared_above_low(),
            });
            self.emit(Effect::Persist(Record::ViewChange(anew.clone())));
            anew
        } else {
            vote
        };
        self.view = vote.body.view;
        let state = &mut self.view_changes;
        state.changing = true;
        state.new_view = None;
        state.uninstalled.clear();
        self.view_changes.newest.insert(self.id(), vote.clone());
        self.emit(Effect::Broadcast(Message::ViewChange(vote)));
    }

    /// The view has begun, and `last` is where what it begins with ends.
    pub(super) fn end_view_change(&mut self, new_view: Signed<NewView>, last: SequenceNumber) {
        let view = new_view.body.view;
        assert!(
            view > self.view || (view == self.view && !self.is_active()),
            "a view begins once"
        );
        self.view = view;
        self.forgive();
        let state = &mut self.view_changes;
        state.changing = false;
        state.timed = false;
        state.come_back.clear();
        state.newest.retain(|_, vote| vote.body.view > view);
        state.uninstalled = new_view.body.pre_prepares.iter().cloned().collect();
        state.last_reproposed = last;
        state.new_view = Some(new_view);
    }

    /// The NEW-VIEW by which the current view began; none in view 0 and on the
    /// way to a view.
    #[must_use]
    pub fn new_view(&self) -> Option<&Signed<NewView>> {
        self.view_changes.new_view.as_ref()
    }

    /// The last sequence number that the current view began with.
    pub(super) fn last_reproposed(&self) -> SequenceNumber {
        self.view_changes.last_reproposed
    }

    /// The next statement of the NEW-VIEW up to `high` that has no slot yet.
    pub(super) fn next_to_install(&mut self, high: SequenceNumber) -> Option<Signed<PrePrepare>> {
        let within = |signed: &mut Signed<PrePrepare>| signed.body.sequence <= high;
        self.view_changes.uninstalled.pop_front_if(within)
    }

    /// `P`: what prepared above the low watermark.
    fn prepared_above_low(&self) -> Vec<PreparedCertificate> {
        self.log
            .iter()
            .filter_map(|(_, slot)| slot.prepared.clone())
            .collect()
    }

    /// A VIEW-CHANGE counts for its signer's newest view, and for the one that
    /// this replica is on its way to; one for a view that has begun is late.
    pub(super) fn on_view_change(&mut self, vote: Signed<ViewChange>) {
        let (signer, view) = (vote.signer, vote.body.view);
        let late = view < self.view || (view == self.view && self.is_active());
        if signer == self.id() || late {
            return;
        }
        let state = &mut self.view_changes;
        let newest = state.newest.get(&signer);
        let is_newest = newest.is_none_or(|newest| newest.body.view < view);
        let of_view = newest.into_iter().chain(state.come_back.get(&signer));
        if let Some(known) = of_view.into_iter().find(|known| known.body.view == view) {
            if known.body != vote.body {
                let (known, vote) = (Box::new(known.clone()), Box::new(vote));
                self.tell(Evidence::ViewChange(known, vote));
            }
            return;
        }
        if !is_newest && view != self.view {
            return;
        }
        self.compare_with_own(&vote);
        let kept = if is_newest {
            &mut self.view_changes.newest
        } else {
            &mut self.view_changes.come_back
        };
        kept.insert(signer, vote);
        self.join();
        self.progress_view_change();
    }

    /// What prepared elsewhere may show that a primary proposed two batches.
    fn compare_with_own(&mut self, vote: &Signed<ViewChange>) {
        for certificate in &vote.body.prepared {
            let theirs = &certificate.pre_prepare;
            let Some(held) = self.log.held(theirs.body.sequence) else {
                continue;
            };
            let ours = held.proposed.pre_prepare.clone();
            if ours.body.view == theirs.body.view && ours.body.digest != theirs.body.digest {
                self.tell(Evidence::PrePrepare(ours, theirs.clone()));
            }
        }
    }

    /// `f+1` others are on their way to later views, one of them correct: goes
    /// to the smallest of those, even if its own timer has not run down (paper,
    /// 4.5.2). Fewer move nobody.
    fn join(&mut self) {
        let ahead: Vec<View> = self.gone_ahead().map(|vote| vote.body.view).collect();
        let enough = if planted!(JoinOne) {
            1
        } else {
            self.config.replicas.weak_quorum()
        };
        if planted!(JoinNobody) {
            return;
        }
        if ahead.len() < enough {
            self.leave_if_suspected();
        } else if let Some(smallest) = ahead.into_iter().min() {
            self.start_view_change(smallest);
        }
    }

    /// The VIEW-CHANGEs of those who are on their way to later views.
    pub(super) fn gone_ahead(&self) -> impl Iterator<Item = &Signed<ViewChange>> {
        let newest = self.view_changes.newest.values();
        newest.filter(|vote| vote.body.view > self.view)
    }

    /// The VIEW-CHANGEs for the view that this replica is on its way to.
    pub(super) fn collected(&self) -> Vec<&Signed<ViewChange>> {
        let state = &self.view_changes;
        let for_view = |(signer, newest)| -> Option<&Signed<ViewChange>> {
            let come_back = state.come_back.get(signer);
            let votes = [newest].into_iter().chain(come_back);
            votes.into_iter().find(|vote| vote.body.view == self.view)
        };
        state.newest.iter().filter_map(for_view).collect()
    }

    /// Once a quorum has left for this view or a later one, the view is given so
    /// much time (paper, 4.5.2: not before, or timeouts would run away). Those
    /// who are further count too: their messages for this view may be lost for
    /// good, and nobody else would ever follow them. Once a quorum wants this
    /// view, its primary begins it.
    pub(super) fn progress_view_change(&mut self) {
        let quorum = self.config.replicas.quorum();
        let state = &mut self.view_changes;
        if !state.changing || state.newest.len() < quorum {
            return;
        }
        if !state.timed {
            state.timed = true;
            self.emit(Effect::SetTimer {
                timer: Timer::NewView,
                after: self.patience(),
            });
        }
        if self.is_primary() && self.collected().len() >= quorum {
            self.make_new_view();
        }
    }

    /// The primary of the view that a quorum wants did not begin it in time.
    pub(super) fn on_new_view_timeout(&mut self) {
        if !self.is_active() && self.view_changes.timed {
            self.start_view_change(self.view.next());
        }
    }

    /// This replica's own VIEW-CHANGE, while it is on its way.
    pub(super) fn own_view_change(&self) -> Option<&Signed<ViewChange>> {
        self.view_changes
            .newest
            .get(&self.id())
            .filter(|_| !self.is_active())
    }
}
