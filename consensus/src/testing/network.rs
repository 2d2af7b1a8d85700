//! The network between the nodes: it loses, delays, doubles and reorders, and
//! is cut in parts, until it heals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::{Agenda, Event};
use super::config::Faults;
use super::dice::Dice;
use super::ledger::{Request, Served};
use super::twins::Place;
use crate::{ReplicaId, RequestDigest, SequenceNumber, Verified};

/// What travels between nodes.
#[derive(Clone)]
pub(crate) enum Packet {
    /// A message between replicas, verified as it left.
    Verified(Verified),
    /// The same as bytes, and whether they are still what was sent.
    Bytes { bytes: Arc<[u8]>, corrupted: bool },
    /// Requests in full: gossip, or the answer to [`Packet::RequestsWanted`].
    Requests(Vec<Request>),
    /// The sender lacks these.
    RequestsWanted(Vec<RequestDigest>),
    /// The sender lacks the blocks after this one.
    BlocksWanted { after: SequenceNumber },
    /// Blocks without a gap, with the certificates there are.
    Blocks(Vec<Served>),
}

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) corrupted: u64,
}

/// One direction between two nodes.
pub(crate) type Link = (ReplicaId, ReplicaId);

/// The network.
pub(crate) struct Network {
    loss: f64,
    duplication: f64,
    corruption: f64,
    delay: RangeInclusive<Duration>,
    straggling: f64,
    cuts: BTreeMap<u32, BTreeSet<Link>>,
    traffic: Traffic,
}

impl Network {
    pub(crate) fn new(faults: &Faults) -> Self {
        Self {
            loss: faults.loss,
            duplication: faults.duplication,
            corruption: faults.corruption,
            delay: faults.delay.clone(),
            straggling: faults.straggling,
            cuts: BTreeMap::new(),
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Takes these links away, until the cut of this number is mended.
    pub(crate) fn cut(&mut self, number: u32, links: BTreeSet<Link>) {
        self.cuts.insert(number, links);
    }

    pub(crate) fn mend(&mut self, number: u32) {
        self.cuts.remove(&number);
    }

    /// From here on no packet gets lost, doubled, spoilt or held up.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.loss = 0.0;
        self.duplication = 0.0;
        self.corruption = 0.0;
        self.straggling = 0.0;
    }

    /// Takes a packet on its way, which its sender holds up for so long.
    pub(crate) fn send(
        &mut self,
        from: ReplicaId,
        to: Place,
        packet: Packet,
        held_up: Duration,
        dice: &mut Dice,
        agenda: &mut Agenda,
    ) {
        self.traffic.sent += 1;
        let lost = dice.chance(self.loss);
        let doubled = dice.chance(self.duplication);
        if lost
            || self
                .cuts
                .values()
                .any(|links| links.contains(&(from, to.id)))
        {
            self.traffic.lost += 1;
            return;
        }
        if doubled {
            self.traffic.doubled += 1;
            let packet = packet.clone();
            let delay = held_up.saturating_add(self.delay(dice));
            agenda.after(delay, Event::Arrival { from, to, packet });
        }
        let packet = self.spoil(packet, dice);
        let delay = held_up.saturating_add(self.delay(dice));
        agenda.after(delay, Event::Arrival { from, to, packet });
    }

    /// Flips a bit now and then, where packets are bytes.
    fn spoil(&mut self, packet: Packet, dice: &mut Dice) -> Packet {
        match packet {
            Packet::Bytes { bytes, .. } if dice.chance(self.corruption) => {
                self.traffic.corrupted += 1;
                let mut spoilt = bytes.to_vec();
                let (at, bit) = (dice.below(spoilt.len()), dice.below(8));
                spoilt[at] ^= 1 << bit;
                Packet::Bytes {
                    bytes: spoilt.into(),
                    corrupted: true,
                }
            }
            sound => sound,
        }
    }

    /// Whether a packet of a client gets lost, and how long it travels otherwise.
    pub(crate) fn client_delay(&self, dice: &mut Dice) -> Option<Duration> {
        let lost = dice.chance(self.loss);
        let delay = self.delay(dice);
        (!lost).then_some(delay)
    }

    fn delay(&self, dice: &mut Dice) -> Duration {
        let delay = dice.time(&self.delay);
        if dice.chance(self.straggling) {
            delay.saturating_mul(10)
        } else {
            delay
        }
    }
}
