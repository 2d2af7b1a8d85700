//! The message log: slots of sequence numbers between the watermarks, and the
//! attestations around them. Bounded by the watermarks, whatever peers send.

mod checkpoints;
mod slot;
mod votes;

use std::collections::BTreeMap;

pub(crate) use checkpoints::Checkpoints;
pub(crate) use slot::{Check, Held, Slot};
pub(crate) use votes::{Added, Votes};

use crate::{Batch, SequenceNumber, Watermarks};

/// The slots above the low watermark.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Log {
    low: SequenceNumber,
    window: u64,
    slots: BTreeMap<SequenceNumber, Slot>,
}

impl Log {
    /// An empty log above `low`.
    pub(crate) fn new(low: SequenceNumber, window: u64) -> Self {
        Self {
            low,
            window,
            slots: BTreeMap::new(),
        }
    }

    /// `h` and `H`.
    pub(crate) fn watermarks(&self) -> Watermarks {
        Watermarks {
            low: self.low,
            high: self.low.saturating_add(self.window),
        }
    }

    /// The slot of `sequence`, if anything is known of it.
    pub(crate) fn get(&self, sequence: SequenceNumber) -> Option<&Slot> {
        self.slots.get(&sequence)
    }

    /// The slot of `sequence`, if anything is known of it, to change.
    pub(crate) fn get_mut(&mut self, sequence: SequenceNumber) -> Option<&mut Slot> {
        self.slots.get_mut(&sequence)
    }

    /// The PRE-PREPARE held for `sequence`.
    pub(crate) fn held(&self, sequence: SequenceNumber) -> Option<&Held> {
        self.get(sequence)?.held.as_ref()
    }

    /// The PRE-PREPARE held for `sequence`, to change.
    pub(crate) fn held_mut(&mut self, sequence: SequenceNumber) -> Option<&mut Held> {
        self.get_mut(sequence)?.held.as_mut()
    }

    /// The slot of `sequence`, made if need be.
    ///
    /// # Panics
    ///
    /// Outside the watermarks: what is stable is forgotten, and nothing beyond
    /// the window is taken in.
    pub(crate) fn slot(&mut self, sequence: SequenceNumber) -> &mut Slot {
        let watermarks = self.watermarks();
        assert!(
            watermarks.contain(sequence),
            "{sequence} is in {watermarks:?}"
        );
        self.slots.entry(sequence).or_default()
    }

    /// A new view begins in every slot; the batches of the last one that this
    /// replica did not vote for, by their sequence numbers.
    pub(crate) fn begin_view(&mut self) -> BTreeMap<SequenceNumber, Batch> {
        let batches = self
            .slots
            .iter_mut()
            .filter_map(|(sequence, slot)| Some((*sequence, slot.begin_view()?)))
            .collect();
        self.slots.retain(|_, slot| !slot.is_empty());
        batches
    }

    /// Every slot, in ascending order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (SequenceNumber, &Slot)> {
        self.slots.iter().map(|(sequence, slot)| (*sequence, slot))
    }

    /// The sequence numbers of all slots, in ascending order.
    pub(crate) fn sequences(&self) -> Vec<SequenceNumber> {
        self.slots.keys().copied().collect()
    }

    /// The highest sequence number for which a PRE-PREPARE is held.
    pub(crate) fn highest_held(&self) -> Option<SequenceNumber> {
        self.iter()
            .rev()
            .find(|(_, slot)| slot.held.is_some())
            .map(|(sequence, _)| sequence)
    }

    /// Moves the low watermark up to `low` and forgets the slots up to there.
    ///
    /// # Panics
    ///
    /// When it would move down.
    pub(crate) fn move_low(&mut self, low: SequenceNumber) {
        assert!(self.low < low, "the low watermark only rises");
        self.low = low;
        self.slots = self.slots.split_off(&low.next());
    }
}
