//! The clients: each submits one request and does not rest until it is shown
//! a receipt for it.

use std::time::Duration;

use super::agenda::Event;
use super::ledger::Request;
use super::world::World;
use crate::RequestDigest;

/// All clients of a simulation.
pub(crate) struct Clients {
    content: Vec<bool>,
}

impl Clients {
    pub(crate) fn new(requests: u32) -> Self {
        Self {
            content: vec![false; usize::try_from(requests).unwrap_or(usize::MAX)],
        }
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.content.len()).unwrap_or(u32::MAX)
    }

    /// Everything that clients ever ask for.
    pub(crate) fn digests(&self) -> impl Iterator<Item = RequestDigest> + use<> {
        self.numbers().map(|number| Request { number }.digest())
    }

    /// Every client begins at some time before `until`.
    pub(crate) fn begin(&self, until: Duration, world: &mut World) {
        for number in self.numbers() {
            let at = world.dice.time(&(Duration::ZERO..=until));
            world.after(at, Event::ClientTurn(number));
        }
    }

    /// A client that waits submits, for the first time or again, to some nodes.
    pub(crate) fn turn(&mut self, number: u32, world: &mut World) {
        if self.is_content(number) {
            return;
        }
        let mut nodes: Vec<_> = world.replicas.ids().collect();
        world.dice.shuffle(&mut nodes);
        nodes.truncate(world.dice.below(nodes.len()) + 1);
        for to in nodes {
            if let Some(delay) = world.network.client_delay(&mut world.dice) {
                let request = number;
                for to in world.twins.places(to) {
                    world.after(delay, Event::Submission { to, request });
                }
            }
        }
        let pause = world.dice.micros(100_000..=400_000);
        world.after(pause, Event::ClientTurn(number));
    }

    /// A client has its receipt.
    pub(crate) fn reply(&mut self, number: u32) {
        if let Some(content) = self.content.get_mut(number as usize) {
            *content = true;
        }
    }

    fn is_content(&self, number: u32) -> bool {
        self.content.get(number as usize).is_none_or(|is| *is)
    }

    /// The first client that still waits.
    pub(crate) fn waiting(&self) -> Option<u32> {
        self.numbers().find(|number| !self.is_content(*number))
    }
}
