//! When a backup gives up on its primary, and how long it waits before it does
//! (paper, 4.4 and 4.5.2).
//!
//! A replica that sends a VIEW-CHANGE leaves its view and votes no more in it.
//! So it first says in its STATUS that it suspects the primary, and goes on; it
//! leaves once `f+1` replicas suspect, one of them correct. A replica that is
//! alone in its suspicion, because its own links are slow or were cut, stays and
//! disturbs nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Replica;
use crate::{Effect, Evidence, Message, ReplicaId, Timer};

/// A primary that nobody is connected to is given so small a part of the time.
const DISCONNECTED_DIVISOR: u32 = 8;

/// Who suspects the primary of the current view, and how patient this replica is.
#[derive(Clone, Debug, Hash)]
pub(super) struct Suspicion {
    /// A request has waited too long here.
    overdue: bool,
    /// The primary of the current view contradicted itself.
    proved: bool,
    /// The others that suspect it.
    others: BTreeSet<ReplicaId>,
    /// Whose connection is gone.
    disconnected: BTreeSet<ReplicaId>,
    /// How many times the timeout is doubled.
    doublings: u32,
    /// Whether the current view has lasted for a while without suspicion.
    settled: bool,
    /// Contradictions that were told of: one per replica and kind.
    told: BTreeMap<ReplicaId, BTreeSet<&'static str>>,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            overdue: false,
            proved: false,
            others: BTreeSet::new(),
            disconnected: BTreeSet::new(),
            doublings: 0,
            settled: true,
            told: BTreeMap::new(),
        }
    }
}

impl Replica {
    /// How long a request may wait before this node says that it is
    /// [`Overdue`](crate::Input::Overdue). None where nobody is to be
    /// suspected: at the primary, and during a view change.
    #[must_use]
    pub fn request_timeout(&self) -> Option<Duration> {
        let waits = self.is_active() && !self.is_primary();
        waits.then(|| self.patience())
    }

    /// The timeout of the current view's primary.
    pub(super) fn patience(&self) -> Duration {
        let factor = 1_u32
            .checked_shl(self.suspicion.doublings)
            .unwrap_or(u32::MAX);
        let timeout = self.config.request_timeout.saturating_mul(factor);
        let timeout = timeout.min(self.config.request_timeout_cap);
        if self.suspicion.disconnected.contains(&self.primary()) {
            timeout / DISCONNECTED_DIVISOR
        } else {
            timeout
        }
    }

    pub(super) fn on_disconnected(&mut self, peer: ReplicaId) {
        self.suspicion.disconnected.insert(peer);
    }

    pub(super) fn forget_disconnection(&mut self, peer: ReplicaId) {
        self.suspicion.disconnected.remove(&peer);
    }

    pub(super) fn on_overdue(&mut self, overdue: bool) {
        if self.is_primary() || !self.is_active() {
            return;
        }
        self.suspicion.overdue = overdue;
        if overdue {
            self.speak_suspicion();
        }
    }

    /// Whether this replica suspects its primary.
    #[must_use]
    pub fn suspects(&self) -> bool {
        self.suspicion.overdue || self.suspicion.proved
    }

    fn speak_suspicion(&mut self) {
        let status = self.own_status(false);
        self.emit(Effect::Broadcast(Message::Status(status)));
        self.leave_if_suspected();
    }

    /// A peer that is in the same view says whether it suspects the primary.
    pub(super) fn note_suspicion(&mut self, from: ReplicaId, suspects: bool) {
        if suspects {
            self.suspicion.others.insert(from);
            self.leave_if_suspected();
        } else {
            self.suspicion.others.remove(&from);
        }
    }

    /// `f+1` suspect the primary: at least one of them is correct. Whoever has
    /// left already suspects it too.
    pub(super) fn leave_if_suspected(&mut self) {
        let left = self.gone_ahead().map(|vote| vote.signer);
        let others: BTreeSet<_> = left.chain(self.suspicion.others.iter().copied()).collect();
        let suspecting = others.len() + usize::from(self.suspects());
        if self.is_active() && suspecting >= self.config.replicas.weak_quorum() {
            self.start_view_change(self.view.next());
        }
    }

    /// Nobody is suspected in a view that is new.
    pub(super) fn forgive(&mut self) {
        self.suspicion.overdue = false;
        self.suspicion.proved = false;
        self.suspicion.others.clear();
    }

    /// The view is over. If it has never worked for long, the next one is given
    /// more time, for it may be the timeout that is too short.
    pub(super) fn lose_haste(&mut self) {
        if std::mem::take(&mut self.suspicion.settled) {
            return;
        }
        let timeout = self.config.request_timeout;
        let cap = self.config.request_timeout_cap;
        let doublings = self.suspicion.doublings;
        let reached = 1_u32
            .checked_shl(doublings)
            .is_none_or(|factor| timeout.saturating_mul(factor) >= cap);
        if !reached {
            self.suspicion.doublings += 1;
        }
    }

    /// A time of calm settles a view, and makes long timeouts shorter again.
    pub(super) fn set_fall_back_timer(&mut self) {
        self.emit(Effect::SetTimer {
            timer: Timer::FallBack,
            after: self.config.request_timeout_cap,
        });
    }

    pub(super) fn on_fall_back(&mut self) {
        if !self.is_active() {
            return;
        }
        // So few may all lie.
        let others_are_calm = self.suspicion.others.len() < self.config.replicas.weak_quorum();
        if !self.suspects() && others_are_calm {
            self.suspicion.settled = true;
            self.suspicion.doublings = self.suspicion.doublings.saturating_sub(1);
        }
        if !self.suspicion.settled || self.suspicion.doublings > 0 {
            self.set_fall_back_timer();
        }
    }

    /// A replica has signed two statements of which a correct one signs one. A
    /// primary that does so in the current view is given no more time.
    pub(super) fn tell(&mut self, evidence: Evidence) {
        let signer = evidence.signer();
        if signer == self.id() {
            return;
        }
        let current = evidence.view() == Some(self.view) && signer == self.primary();
        let proves =
            current && matches!(evidence, Evidence::PrePrepare(..) | Evidence::NewView(..));
        if self
            .suspicion
            .told
            .entry(signer)
            .or_default()
            .insert(evidence.message())
        {
            self.emit(Effect::Contradiction(evidence.ordered()));
        }
        if proves && self.is_active() && !self.suspicion.proved {
            self.suspicion.proved = true;
            self.speak_suspicion();
        }
    }
}
