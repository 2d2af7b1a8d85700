//! Whom blocks are fetched from: whoever has been quickest with them.
//!
//! A peer that serves what it must, little of it and late, would otherwise decide how
//! fast this node catches up, and whether it ever does.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Received;
use crate::network::PeerId;

/// What a block counts besides its transactions, in bytes.
const BLOCK_BYTES: u128 = 1024;

/// Who has nothing to give says so within this time, or is silent on purpose.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What is known of peers as sources of blocks, from one catching-up to the next.
#[derive(Default)]
pub(super) struct Sources {
    /// Nanoseconds per KiB of the last answer.
    cost: BTreeMap<PeerId, u128>,
}

impl Sources {
    /// The one of these peers to ask: each once, then the quickest.
    pub(super) fn quickest(&self, of: &[PeerId]) -> Option<PeerId> {
        let cost = |peer: &PeerId| self.cost.get(peer).copied().unwrap_or(0);
        of.iter().copied().min_by_key(cost)
    }

    /// Takes note of how long a peer took to give nothing. That it has nothing to give is
    /// not held against it.
    pub(super) fn gave_nothing(&mut self, peer: PeerId, took: Duration) {
        if took > AT_ONCE {
            self.served(peer, BLOCK_BYTES, took);
        }
    }

    /// Takes note of how long a peer took for so many bytes of blocks.
    pub(super) fn served(&mut self, peer: PeerId, bytes: u128, took: Duration) {
        let cost = took.as_nanos().saturating_mul(1024) / bytes.max(1);
        self.cost.insert(peer, cost.max(1));
    }
}

/// How many bytes blocks count.
pub(super) fn size(blocks: &[Received]) -> u128 {
    let bodies = |received: &Received| {
        let transactions = received.block.transactions().iter();
        transactions
            .map(|it| it.bytes().len() as u128)
            .sum::<u128>()
    };
    blocks.iter().map(|it| BLOCK_BYTES + bodies(it)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_little_and_late_is_asked_no_more_while_others_are_quicker() {
        let peers = [PeerId(1), PeerId(2), PeerId(3)];
        let mut sources = Sources::default();
        let mut asked = Vec::new();
        for _ in 0..8 {
            let peer = sources.quickest(&peers).unwrap();
            asked.push(peer.0);
            // One block just before patience ends; much, and quickly; no faster with less.
            let (bytes, took) = match peer.0 {
                1 => (2 * BLOCK_BYTES, Duration::from_secs(9)),
                2 => (4 << 20, Duration::from_millis(200)),
                _ => (1 << 20, Duration::from_millis(90)),
            };
            sources.served(peer, bytes, took);
        }
        assert_eq!(asked, [1, 2, 3, 2, 2, 2, 2, 2]);
        // Who was quick and is so no longer is left, and who is gone is not asked.
        sources.served(PeerId(2), BLOCK_BYTES, Duration::from_secs(9));
        assert_eq!(sources.quickest(&peers), Some(PeerId(3)));
        assert_eq!(sources.quickest(&peers[..1]), Some(PeerId(1)));
        assert_eq!(sources.quickest(&[]), None);
    }

    /// It would be the first to be asked, whenever this node has to catch up, as long as
    /// nothing is known of it.
    #[test]
    fn who_was_silent_is_asked_once_and_then_after_all_others() {
        let peers = [PeerId(1), PeerId(2), PeerId(3)];
        let mut sources = Sources::default();
        assert_eq!(sources.quickest(&peers), Some(PeerId(1)));
        sources.gave_nothing(PeerId(1), Duration::from_secs(10));
        for peer in &peers[1..] {
            sources.served(*peer, BLOCK_BYTES, Duration::from_secs(9));
        }
        assert_eq!(sources.quickest(&peers), Some(PeerId(2)));
        assert_eq!(sources.quickest(&peers[..1]), Some(PeerId(1)));
        // Having nothing is no fault.
        sources.gave_nothing(PeerId(2), Duration::from_millis(3));
        assert_eq!(sources.quickest(&peers), Some(PeerId(2)));
    }
}
