//! Virtual time: what is going to happen, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use super::faults::Fault;
use super::network::Packet;
use super::node::Wake;
use super::twins::Place;
use crate::ReplicaId;

/// Something that is going to happen.
pub(crate) enum Event {
    /// A packet reaches a node, if that node is up.
    Arrival {
        from: ReplicaId,
        to: Place,
        packet: Packet,
    },
    /// Something a process waits for. It dies with the process.
    Wake {
        node: Place,
        incarnation: u32,
        wake: Wake,
    },
    /// A client looks after its request of this number.
    ClientTurn(u32),
    /// A client's request of this number reaches a node.
    Submission { to: Place, request: u32 },
    /// A node's receipt for the request of this number reaches its client.
    Reply { request: u32 },
    /// Something goes wrong, or well again.
    Fault(Fault),
    /// Is everything done that was to be done?
    Inspection,
}

impl Event {
    /// Whose process it happens to, if it does to a process.
    pub(crate) fn process(&self) -> Option<Place> {
        match self {
            Self::Arrival { to, .. } | Self::Submission { to, .. } => Some(*to),
            Self::Wake { node, .. } => Some(*node),
            _ => None,
        }
    }
}

/// Events in the order of time; equally early ones in the order they were made.
#[derive(Default)]
pub(crate) struct Agenda {
    now: Duration,
    made: u64,
    events: BTreeMap<(Duration, u64), Event>,
}

impl Agenda {
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.made += 1;
        self.events
            .insert((self.now.saturating_add(delay), self.made), event);
    }

    /// The next event; it is then its time.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.events.pop_first()?;
        assert!(at >= self.now, "time does not go back");
        self.now = at;
        Some(event)
    }
}
