//! Peers are asked in turn: the next one when the last has answered in vain, or has been
//! silent for a while. One that is silent on purpose costs that while, and not all the
//! patience that an honest one on a slow line is given.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::network::PeerId;

/// Peers that are asked something, in their order.
pub(crate) struct Turns<F> {
    left: VecDeque<PeerId>,
    asked: FuturesUnordered<F>,
    unanswered: Vec<PeerId>,
    silence: Duration,
}

impl<T, F: Future<Output = (PeerId, T)>> Turns<F> {
    /// Nobody is asked yet; whoever is silent for so long has another asked beside it.
    pub(crate) fn new(peers: Vec<PeerId>, silence: Duration) -> Self {
        Self {
            left: peers.into(),
            asked: FuturesUnordered::new(),
            unanswered: Vec::new(),
            silence,
        }
    }

    /// The next answer, whosever it is; none once all have answered.
    pub(crate) async fn next(&mut self, ask: impl Fn(PeerId) -> F) -> Option<(PeerId, T)> {
        loop {
            if self.asked.is_empty() && !self.ask_one_more(&ask) {
                return None;
            }
            tokio::select! {
                biased;
                Some((peer, answer)) = self.asked.next() => {
                    self.unanswered.retain(|other| *other != peer);
                    return Some((peer, answer));
                }
                () = tokio::time::sleep(self.silence), if !self.left.is_empty() => {
                    self.ask_one_more(&ask);
                }
            }
        }
    }

    /// Who was asked and is silent.
    pub(crate) fn unanswered(&self) -> &[PeerId] {
        &self.unanswered
    }

    fn ask_one_more(&mut self, ask: impl Fn(PeerId) -> F) -> bool {
        let next = self.left.pop_front();
        self.unanswered.extend(next);
        self.asked.extend(next.map(ask));
        next.is_some()
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

    fn turns<F: Future<Output = (PeerId, Option<u32>)>>(peers: &[u32], silence: u64) -> Turns<F> {
        let peers = peers.iter().copied().map(PeerId).collect();
        Turns::new(peers, Duration::from_millis(silence))
    }

    #[tokio::test]
    async fn a_silent_peer_is_not_waited_for() {
        let mut turns = turns(&[1, 2, 3, 4], 1);
        assert_eq!(turns.next(answer).await, Some((PeerId(2), None)));
        assert_eq!(turns.unanswered(), [PeerId(1)]);
        assert_eq!(turns.next(answer).await, Some((PeerId(3), Some(3))));
        assert_eq!(turns.next(answer).await, Some((PeerId(4), Some(4))));
        assert_eq!(turns.unanswered(), [PeerId(1)]);
    }

    #[tokio::test]
    async fn peers_are_asked_one_by_one_while_they_answer_until_none_is_left() {
        let asked = Mutex::new(Vec::new());
        let mut turns = turns(&[5, 2, 3], 60_000);
        let ask = |peer| {
            asked.lock().unwrap().push(peer);
            answer(peer)
        };
        for (count, peer) in [5, 2, 3].map(PeerId).into_iter().enumerate() {
            assert_eq!(turns.next(ask).await.map(|(from, _)| from), Some(peer));
            assert_eq!(asked.lock().unwrap().len(), count + 1);
        }
        assert_eq!(turns.next(ask).await, None);
        assert!(turns.unanswered().is_empty());
    }
}
