//! What all nodes of a simulation share.

use std::collections::BTreeSet;
use std::time::Duration;

use super::agenda::{Agenda, Event};
use super::config::Links;
use super::dice::Dice;
use super::door::Door;
use super::invariants::{Invariants, Observation};
use super::network::{Network, Packet};
use super::report::{Summary, Violation};
use super::trace::{Happening, Trace};
use super::twins::{Place, Twins};
use crate::{ReplicaId, ReplicaSet};

/// Time, chance, the network, and those who watch.
pub(crate) struct World {
    pub(crate) replicas: ReplicaSet,
    /// Who is not correct.
    pub(crate) byzantine: BTreeSet<ReplicaId>,
    /// Whose state was altered.
    pub(crate) altered: BTreeSet<ReplicaId>,
    pub(crate) twins: Twins,
    pub(crate) links: Links,
    pub(crate) agenda: Agenda,
    pub(crate) dice: Dice,
    pub(crate) network: Network,
    pub(crate) door: Door,
    pub(crate) trace: Trace,
    pub(crate) invariants: Invariants,
    pub(crate) summary: Summary,
}

impl World {
    pub(crate) fn note(&mut self, node: Option<Place>, what: Happening) {
        self.trace.note(self.agenda.now(), node, what);
    }

    /// Holds against the invariants what a correct node does; the others are
    /// held to nothing, or to little.
    pub(crate) fn observe(&mut self, seen: &Observation<'_>) -> Result<(), Violation> {
        match seen.node() {
            Some(node) if self.altered.contains(&node) => self.invariants.observe_diverged(seen),
            Some(node) if self.byzantine.contains(&node) => Ok(()),
            _ => self.invariants.observe(seen),
        }
    }

    pub(crate) fn send(&mut self, from: Place, to: ReplicaId, packet: &Packet) {
        self.send_later((from, to), packet, Duration::ZERO);
    }

    /// Sends a packet that the sender holds up for so long.
    pub(crate) fn send_later(
        &mut self,
        (from, to): (Place, ReplicaId),
        packet: &Packet,
        held_up: Duration,
    ) {
        for place in self.twins.places(to) {
            if self.twins.meet(from, place) {
                let (packet, dice) = (packet.clone(), &mut self.dice);
                let agenda = &mut self.agenda;
                self.network
                    .send(from.id, place, packet, held_up, dice, agenda);
            }
        }
    }

    /// Everybody but `node`.
    pub(crate) fn peers(&self, node: ReplicaId) -> Vec<ReplicaId> {
        self.replicas.ids().filter(|id| *id != node).collect()
    }

    /// Somebody but `node`, if there is anybody.
    pub(crate) fn any_peer(&mut self, node: ReplicaId) -> Option<ReplicaId> {
        let peers = self.peers(node);
        if peers.is_empty() {
            return None;
        }
        Some(peers[self.dice.below(peers.len())])
    }

    /// The true time, in milliseconds since the Unix epoch.
    pub(crate) fn clock_ms(&self) -> u64 {
        const BEGIN: Duration = Duration::from_hours(500_000);
        let now = BEGIN.saturating_add(self.agenda.now());
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.agenda.after(delay, event);
    }
}
