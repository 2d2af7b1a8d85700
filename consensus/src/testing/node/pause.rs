//! A process that is stopped for a while, as by SIGSTOP, and knows nothing of it.

use std::time::Duration;

use super::Node;
use crate::testing::agenda::Event;
use crate::testing::trace::Happening;
use crate::testing::world::World;

impl Node {
    /// From now on whatever is to reach the process piles up.
    pub(crate) fn pause(&mut self, world: &mut World) {
        if !self.is_up() || self.piled_up.is_some() {
            return;
        }
        self.piled_up = Some(Vec::new());
        self.note(world, Happening::Pauses);
        world.summary.pauses += 1;
    }

    /// Keeps what reaches a paused process for later; gives it back otherwise.
    pub(crate) fn pile_up(&mut self, event: Event) -> Option<Event> {
        match &mut self.piled_up {
            Some(piled_up) => {
                piled_up.push(event);
                None
            }
            None => Some(event),
        }
    }

    /// The process goes on: everything comes at once, in the order in which it came due.
    pub(crate) fn resume(&mut self, world: &mut World) {
        let Some(piled_up) = self.piled_up.take() else {
            return;
        };
        let events = piled_up.len();
        self.note(world, Happening::GoesOn { events });
        for event in piled_up {
            world.after(Duration::ZERO, event);
        }
    }
}
