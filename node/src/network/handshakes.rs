//! Connections in their handshakes: a bounded number from each place, and from all places
//! where no replica is known to be, so that strangers do not take the room of replicas.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId as TransportId};

use super::config::Limits;

/// There is no room for another handshake with a connection from there.
#[derive(Debug, thiserror::Error)]
#[error("at most {limit} connections may be in their handshake that come from {from}")]
struct Full {
    limit: usize,
    from: &'static str,
}

/// Lets connections begin their handshakes.
pub(super) struct Handshakes {
    /// Where replicas are known to be.
    known: HashSet<IpAddr>,
    max_from_unknown: usize,
    max_from_one: usize,
    under_way: HashMap<ConnectionId, Option<IpAddr>>,
}

impl Handshakes {
    /// For `peers` replicas, of which some are at `addresses`.
    pub(super) fn new<'a>(
        addresses: impl Iterator<Item = &'a Multiaddr>,
        peers: usize,
        limits: &Limits,
    ) -> Self {
        Self {
            known: addresses.filter_map(place).collect(),
            max_from_unknown: limits.max_pending_connections.saturating_add(peers),
            max_from_one: limits.max_pending_per_place.saturating_add(peers),
            under_way: HashMap::new(),
        }
    }

    fn admit(&mut self, connection: ConnectionId, from: &Multiaddr) -> Result<(), Full> {
        let from = place(from);
        let is_known = |place: &Option<IpAddr>| place.is_some_and(|it| self.known.contains(&it));
        let places = || self.under_way.values();
        let from_one = places().filter(|place| **place == from).count();
        if from_one >= self.max_from_one {
            return Err(Full {
                limit: self.max_from_one,
                from: "one place",
            });
        }
        let from_unknown = places().filter(|place| !is_known(place)).count();
        if !is_known(&from) && from_unknown >= self.max_from_unknown {
            return Err(Full {
                limit: self.max_from_unknown,
                from: "where no replica is known to be",
            });
        }
        self.under_way.insert(connection, from);
        Ok(())
    }
}

/// Whom an address is taken to belong to: with IPv6, whoever has one has the 2^64 beside it.
fn place(address: &Multiaddr) -> Option<IpAddr> {
    let ip = match address.iter().next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    Some(match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    })
}

impl NetworkBehaviour for Handshakes {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.admit(connection, from).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: TransportId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.under_way.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: TransportId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.under_way.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: TransportId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ip: &str) -> Multiaddr {
        let ip: IpAddr = ip.parse().unwrap();
        Multiaddr::from(ip).with(Protocol::Tcp(9))
    }

    fn handshakes() -> Handshakes {
        let limits = Limits {
            max_pending_connections: 5,
            max_pending_per_place: 2,
            ..Limits::default()
        };
        Handshakes::new([at("10.0.0.1")].iter(), 1, &limits)
    }

    /// How many of so many connections are let in.
    fn let_in(handshakes: &mut Handshakes, from: &str, first: usize, count: usize) -> usize {
        let ids = (first..first + count).map(ConnectionId::new_unchecked);
        ids.filter(|id| handshakes.admit(*id, &at(from)).is_ok())
            .count()
    }

    #[test]
    fn strangers_leave_room_for_each_other_and_for_replicas() {
        let mut handshakes = handshakes();
        assert_eq!(let_in(&mut handshakes, "10.0.0.7", 0, 9), 3);
        assert_eq!(let_in(&mut handshakes, "10.0.0.8", 10, 9), 3);
        assert_eq!(let_in(&mut handshakes, "10.0.0.9", 20, 9), 0);
        // Where a replica is known to be, there is room of its own.
        assert_eq!(let_in(&mut handshakes, "10.0.0.1", 30, 9), 3);
    }

    #[test]
    fn addresses_that_one_may_choose_freely_are_one_place() {
        let mut handshakes = handshakes();
        assert_eq!(let_in(&mut handshakes, "2001:db8::1", 0, 2), 2);
        assert_eq!(let_in(&mut handshakes, "2001:db8::2:1", 10, 9), 1);
        // The same machine, met by sockets of two kinds.
        assert_eq!(let_in(&mut handshakes, "::ffff:10.0.0.7", 20, 2), 2);
        assert_eq!(let_in(&mut handshakes, "10.0.0.7", 30, 9), 1);
    }
}
