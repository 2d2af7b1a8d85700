//! What runs on every connection, in the order in which it may refuse one.

use libp2p::allow_block_list::{self, AllowedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::ping;
use libp2p::swarm::NetworkBehaviour;

use super::config::Limits;
use super::handshakes::Handshakes;
use super::peers::Peers;
use super::substreams;

/// How many connections one peer may have: two, since both sides may dial at
/// the same moment and each could close the one that the other keeps.
const MAX_CONNECTIONS_PER_PEER: u32 = 2;

/// Everything that runs on a connection. Strangers are refused first, before
/// anything is set aside for them.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    admission: allow_block_list::Behaviour<AllowedPeers>,
    handshakes: Handshakes,
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    pub(super) substreams: substreams::Behaviour,
}

impl Behaviour {
    pub(super) fn new(peers: &Peers, limits: &Limits) -> Self {
        let mut admission = allow_block_list::Behaviour::<AllowedPeers>::default();
        for peer in peers.iter() {
            admission.allow_peer(peer.transport);
        }
        let addresses = peers.iter().flat_map(|peer| &peer.addresses);
        let handshakes = Handshakes::new(addresses, peers.iter().count(), limits);
        let count = u32::try_from(peers.iter().count()).unwrap_or(u32::MAX);
        let connections = ConnectionLimits::default()
            .with_max_pending_outgoing(Some(count))
            .with_max_established(Some(count.saturating_mul(MAX_CONNECTIONS_PER_PEER)))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
        let ping = ping::Config::new()
            .with_interval(limits.ping_interval)
            .with_timeout(limits.ping_timeout);
        Self {
            admission,
            handshakes,
            limits: connection_limits::Behaviour::new(connections),
            ping: ping::Behaviour::new(ping),
            substreams: substreams::Behaviour::default(),
        }
    }
}
