//! Peers are asked in turn: the next one when the last has answered in vain, or has been
//! silent for a while. One that is silent on purpose costs that while, and not all the
//! patience that an honest one on a slow line is given.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::network::PeerId;

/// Peers that are asked something, in their order.
pub(super) struct Turns<F> {
    left: VecDeque<PeerId>,
    asked: FuturesUnordered<F>,
    silence: Duration,
}

impl<F: Future> Turns<F> {
    /// Nobody is asked yet. Another is asked beside one that is silent for so long, and
    /// one more after twice as long again: they may all be on a slow line, which has to
    /// bring every answer.
    pub(super) fn new(peers: Vec<PeerId>, silence: Duration) -> Self {
        Self {
            left: peers.into(),
            asked: FuturesUnordered::new(),
            silence,
        }
    }

    /// The next answer, whosever it is; none once all have answered.
    pub(super) async fn next(&mut self, ask: impl Fn(PeerId) -> F) -> Option<F::Output> {
        loop {
            if self.asked.is_empty() {
                let peer = self.left.pop_front()?;
                self.asked.push(ask(peer));
            }
            tokio::select! {
                biased;
                Some(answer) = self.asked.next() => return Some(answer),
                () = tokio::time::sleep(self.silence), if !self.left.is_empty() => {
                    self.silence = self.silence.saturating_mul(2);
                    self.asked.extend(self.left.pop_front().map(&ask));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Peer 1 never answers, 2 says that it has nothing, all others say their number.
    async fn answer(peer: PeerId) -> (PeerId, Option<u32>) {
        match peer.0 {
            1 => std::future::pending().await,
            2 => (peer, None),
            other => (peer, Some(other)),
        }
    }

    fn turns<F: Future>(peers: &[u32], silence: Duration) -> Turns<F> {
        Turns::new(peers.iter().copied().map(PeerId).collect(), silence)
    }

    #[tokio::test]
    async fn a_silent_peer_is_not_waited_for() {
        let mut turns = turns(&[1, 2, 3, 4], Duration::from_millis(1));
        for (peer, said) in [(2, None), (3, Some(3)), (4, Some(4))] {
            assert_eq!(turns.next(answer).await, Some((PeerId(peer), said)));
        }
    }

    #[tokio::test]
    async fn peers_are_asked_one_by_one_while_they_answer_until_none_is_left() {
        let asked = Mutex::new(Vec::new());
        let mut turns = turns(&[5, 2, 3], Duration::from_mins(10));
        let ask = |peer| {
            asked.lock().unwrap().push(peer);
            answer(peer)
        };
        for (count, peer) in [5, 2, 3].map(PeerId).into_iter().enumerate() {
            assert_eq!(turns.next(ask).await.map(|(from, _)| from), Some(peer));
            assert_eq!(asked.lock().unwrap().len(), count + 1);
        }
        assert_eq!(turns.next(ask).await, None);
    }
}
