//! What the rest of the node sends with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use tokio_util::bytes::Bytes;

use super::counters::Counters;
use super::error::RequestError;
use super::outgoing;
use super::peers::{PeerState, Shared};
use super::protocol::{Class, PeerId};
use super::request;
use super::substreams::Opener;

/// How it stands with one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub id: PeerId,
    /// Whether frames to it are sent.
    pub connected: bool,
    /// How many frames wait to be sent to it, per class in the order of
    /// [`Class::ALL`].
    pub queued: [usize; 2],
}

/// Sends frames and requests to the peers. Clones share everything.
#[derive(Clone)]
pub struct NetworkHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) opener: Opener,
    pub(super) listening: Arc<[Multiaddr]>,
}

impl NetworkHandle {
    /// Has a frame sent to one peer. Never waits: a frame for which there is
    /// no connection or no room is dropped and counted.
    pub fn send(&self, to: PeerId, class: Class, frame: Bytes) {
        match self.shared.peers.get(to) {
            Some(peer) => self.offer(peer, class, frame),
            None => self.shared.counters.count_dropped(class, 1),
        }
    }

    /// Has a frame sent to every peer, as [`NetworkHandle::send`] does.
    #[expect(clippy::needless_pass_by_value, reason = "called as `send` is")]
    pub fn broadcast(&self, class: Class, frame: Bytes) {
        for peer in self.shared.peers.iter() {
            self.offer(peer, class, frame.clone());
        }
    }

    fn offer(&self, peer: &PeerState, class: Class, frame: Bytes) {
        let short = frame.len() <= self.shared.limits.max_frame_bytes(class);
        let reachable = peer.connection().is_some() && !peer.is_cut();
        if !(short && reachable && peer.lane(class).offer(frame)) {
            self.shared.counters.count_dropped(class, 1);
        }
    }

    /// Asks a peer on a stream of its own and waits for the response, for `silence` at
    /// the most as long as nothing of it comes, and for as long as
    /// [`Limits::serve_timeout`](super::Limits::serve_timeout) while it does.
    ///
    /// # Errors
    ///
    /// [`RequestError`]. After a timeout the peer may have done what was asked.
    pub async fn request(
        &self,
        to: PeerId,
        request: Bytes,
        silence: Duration,
    ) -> Result<Bytes, RequestError> {
        request::ask(&self.shared, &self.opener, to, &request, silence).await
    }

    /// The longest frame of a class, in bytes.
    #[must_use]
    pub fn max_frame_bytes(&self, class: Class) -> usize {
        self.shared.limits.max_frame_bytes(class)
    }

    /// For tests of floods: sends a frame that is longer than allowed, on a stream
    /// of its own.
    pub(crate) async fn send_too_long(&self, to: PeerId, class: Class) -> Result<(), RequestError> {
        let peer = self.shared.peers.get(to);
        let peer = peer.ok_or(RequestError::UnknownPeer { peer: to })?;
        outgoing::send_too_long(&self.shared, &self.opener, peer, class)
            .await
            .map_err(|error| RequestError::Failed {
                peer: to,
                reason: error.to_string(),
            })
    }

    /// For tests of partitions: from now on nothing is sent to these peers, and
    /// to all others again. The connections stay.
    pub fn cut(&self, cut: &BTreeSet<PeerId>) {
        for peer in self.shared.peers.iter() {
            peer.set_cut(cut.contains(&peer.id));
        }
    }

    /// How it stands with every peer, in the order of their numbers.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        let status = |peer: &Arc<PeerState>| PeerStatus {
            id: peer.id,
            connected: peer.is_agreed() && !peer.is_cut(),
            queued: Class::ALL.map(|class| peer.lane(class).len()),
        };
        self.shared.peers.iter().map(status).collect()
    }

    /// The peers that are connected, in the order of their numbers.
    #[must_use]
    pub fn connected(&self) -> Vec<PeerId> {
        let peers = self.peers().into_iter();
        let connected = peers.filter(|peer| peer.connected);
        connected.map(|peer| peer.id).collect()
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Where this node listens, with the ports that the system has chosen.
    #[must_use]
    pub fn listening(&self) -> &[Multiaddr] {
        &self.listening
    }
}

impl std::fmt::Debug for NetworkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkHandle")
            .field("peers", &self.peers())
            .finish_non_exhaustive()
    }
}
