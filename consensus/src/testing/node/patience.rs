//! How long requests wait at a node: the world's half of the request timer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Node, Wake};
use crate::testing::network::Packet;
use crate::testing::report::Violation;
use crate::testing::trace::Happening;
use crate::testing::world::World;
use crate::{Effect, Input, RequestDigest, SequenceNumber, View};

/// What a process knows of how long requests have waited.
#[derive(Default)]
pub(super) struct Patience {
    /// When the current view began here.
    entered: Duration,
    /// What the replica was told last.
    overdue: bool,
    /// When somebody looks again.
    next_look: Option<Duration>,
    /// What was executed first of what is not attested, and since when it is.
    unattested: Option<(SequenceNumber, Duration)>,
}

impl Node {
    /// A view begins: everything waits again, from now on.
    pub(super) fn enter_view(&mut self, view: View, world: &mut World) {
        self.note(world, Happening::Enters { view });
        world.summary.view_changes = world.summary.view_changes.max(view.0);
        if let Some(process) = &mut self.live {
            process.patience.entered = world.agenda.now();
            process.patience.overdue = false;
            let executing: BTreeSet<RequestDigest> =
                process.committer.executing().copied().collect();
            process.pool.begin_view(&executing);
        }
    }

    pub(super) fn on_impatience(&mut self, world: &mut World) -> Result<(), Violation> {
        if let Some(process) = &mut self.live {
            process.patience.next_look = None;
        }
        self.watch_requests(world)
    }

    /// Tells the replica when it changes whether a request has waited too long.
    pub(super) fn watch_requests(&mut self, world: &mut World) -> Result<(), Violation> {
        let now = world.agenda.now();
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        let patience = &mut process.patience;
        // In a view that the replica has entered, and this node not yet, nothing waits.
        let mut effects = process.effects.iter();
        let enters = effects.any(|effect| matches!(effect, Effect::ViewEntered(_)));
        let timeout = process.replica.request_timeout();
        let Some(timeout) = timeout.filter(|_| !enters) else {
            patience.overdue = false;
            return Ok(());
        };
        let timeout = self.clock.real(timeout);
        let first = process.replica.first_unattested();
        if patience.unattested.map(|(sequence, _)| sequence) != first {
            patience.unattested = first.map(|sequence| (sequence, now));
        }
        let unattested = patience.unattested.map(|(_, since)| since);
        let oldest = process.pool.oldest().into_iter().chain(unattested).min();
        let waits_since = oldest.map(|since| since.max(patience.entered));
        let deadline = waits_since.map(|since| since.saturating_add(timeout));
        let overdue = deadline.is_some_and(|deadline| deadline <= now);
        let look_at = deadline.filter(|deadline| *deadline > now);
        if let Some(at) = look_at
            && patience.next_look.is_none_or(|next| next > at)
        {
            patience.next_look = Some(at);
            self.wake_after(at.saturating_sub(now), Wake::Impatience, world);
        }
        self.tell_overdue(overdue, world)
    }

    /// What has waited too long is sent to everybody, so that all of them watch it.
    fn tell_overdue(&mut self, overdue: bool, world: &mut World) -> Result<(), Violation> {
        let place = self.place;
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        if process.patience.overdue == overdue {
            return Ok(());
        }
        process.patience.overdue = overdue;
        if overdue {
            let waiting = process.pool.waiting_longest();
            for peer in world.peers(place.id) {
                world.send(place, peer, &Packet::Requests(waiting.clone()));
            }
        }
        self.step(Input::Overdue(overdue), world)
    }
}
