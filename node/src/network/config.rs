//! What the network is started with.

use std::time::Duration;

use crypto::{NetworkId, PublicKey, SigningKey};
use libp2p::Multiaddr;

use super::protocol::{Class, PeerId};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What the network is started with: agreed things from the genesis document,
/// local ones from the node's configuration.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Which replica this is.
    pub local: PeerId,
    /// The private half of its transport key.
    pub transport_key: SigningKey,
    /// Where it listens.
    pub listen: Vec<Multiaddr>,
    /// The replicas of the network. This one may be among them, and then the
    /// key given for it must be its own.
    pub peers: Vec<Peer>,
    /// Which network: peers of another are told so and not listened to.
    pub network: NetworkId,
    /// The bounds on everything.
    pub limits: Limits,
}

/// A replica as the genesis document describes it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its number.
    pub id: PeerId,
    /// What it proves its identity with on every connection.
    pub transport_key: PublicKey,
    /// Where it may be reached, tried together. Without any it must dial.
    pub addresses: Vec<Multiaddr>,
}

/// The bounds that keep a peer, whatever it does, from using this node up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest frame of the agreement protocol, in bytes.
    pub max_consensus_frame_bytes: usize,
    /// The longest frame of transactions, in bytes.
    pub max_transactions_frame_bytes: usize,
    /// The longest request, in bytes.
    pub max_request_bytes: usize,
    /// The longest response, in bytes.
    pub max_response_bytes: usize,
    /// How many frames of one class wait for one peer.
    pub max_queued_frames: usize,
    /// How many bytes the frames of one class that wait for one peer have
    /// together.
    pub max_queued_bytes: usize,
    /// How many received frames of one class and one peer wait to be taken from
    /// the [`Inbox`](super::Inbox).
    pub max_inbox_frames: usize,
    /// How many bytes the received frames of one class and one peer that wait
    /// to be taken have together. One frame is let in however long it is.
    pub max_inbox_bytes_per_peer: usize,
    /// How many requests to one peer are under way at a time; more wait.
    pub max_requests_per_peer: usize,
    /// How many requests of one peer are served at a time. As many more wait, for
    /// the peer may ask anew as soon as it has read a response, before this node
    /// has closed its stream; the others are refused.
    pub max_served_per_peer: usize,
    /// How many bytes of responses one peer is served in a second; every request
    /// counts as some more. What goes beyond waits.
    pub max_served_bytes_per_second: u64,
    /// How many connections that come from where no replica is known to be may be in
    /// their handshake, besides one per peer.
    pub max_pending_connections: usize,
    /// How many that come from one address, known or not, besides one per peer.
    pub max_pending_per_place: usize,
    /// From the first byte of a connection to the end of its handshake; when
    /// it is over, the connection is closed.
    pub handshake_timeout: Duration,
    /// From the opening of a stream until both sides have said hello (and the
    /// request has arrived, on a stream that carries one); when it is over,
    /// the stream is closed.
    pub hello_timeout: Duration,
    /// From the arrival of a request until its response has left; when it is
    /// over, the stream is closed.
    pub serve_timeout: Duration,
    /// How often a connection is tried for life.
    pub ping_interval: Duration,
    /// From a ping until its answer; when it is over, another is tried on a
    /// new stream, and when that is not answered either, which takes up to ten
    /// seconds more, the connection is closed.
    pub ping_timeout: Duration,
    /// The pause before the first new attempt to reach a peer; it doubles.
    pub min_redial_delay: Duration,
    /// What the pause between attempts does not exceed.
    pub max_redial_delay: Duration,
    /// How long the side that is not to dial waits for the other before it
    /// dials all the same: perhaps only this direction works.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_consensus_frame_bytes: 8 * MIB,
            max_transactions_frame_bytes: 4 * MIB,
            max_request_bytes: 64 * KIB,
            max_response_bytes: 16 * MIB,
            max_queued_frames: 4096,
            max_queued_bytes: 16 * MIB,
            max_inbox_frames: 256,
            max_inbox_bytes_per_peer: 4 * MIB,
            max_requests_per_peer: 4,
            max_served_per_peer: 4,
            max_served_bytes_per_second: 16 * 1024 * 1024,
            max_pending_connections: 64,
            max_pending_per_place: 16,
            handshake_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(10),
            serve_timeout: Duration::from_mins(1),
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(10),
            min_redial_delay: Duration::from_millis(100),
            max_redial_delay: Duration::from_secs(5),
            patience: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// The longest frame of a class, in bytes.
    #[must_use]
    pub fn max_frame_bytes(&self, class: Class) -> usize {
        match class {
            Class::Consensus => self.max_consensus_frame_bytes,
            Class::Transactions => self.max_transactions_frame_bytes,
        }
    }
}
