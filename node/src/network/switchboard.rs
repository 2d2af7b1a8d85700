//! The one task that owns the swarm: it listens, dials, keeps the list of
//! connections, and hands streams to those who read and write them. It never
//! waits for any of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::allow_block_list::NotAllowed;
use libp2p::core::transport::TransportError;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, ListenError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId as TransportId, ping};
use tokio::sync::mpsc;

use super::behaviour::{Behaviour, BehaviourEvent};
use super::error::NetworkError;
use super::incoming::Incoming;
use super::peers::{PeerState, Shared};
use super::redial::{Redial, jitter};
use super::seldom::Seldom;
use super::substreams::Order;
use super::transport::{check_free, listen_error, transport_key};

/// From binding a socket until the transport has told its address.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);

/// One peer, as the swarm has it.
struct Slot {
    peer: Arc<PeerState>,
    /// From the oldest to the newest.
    connections: Vec<ConnectionId>,
    redial: Redial,
    /// Of two connections, only one side closes one: both could choose
    /// differently, and close both.
    closes_doubles: bool,
}

/// See the module.
pub(super) struct Switchboard {
    swarm: Swarm<Behaviour>,
    shared: Arc<Shared>,
    incoming: Incoming,
    orders: mpsc::Receiver<Order>,
    slots: HashMap<TransportId, Slot>,
    refusals: Seldom,
    listener_troubles: Seldom,
}

impl Switchboard {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        shared: Arc<Shared>,
        incoming: Incoming,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let now = Instant::now();
        let local = *swarm.local_peer_id();
        let slot = |peer: &Arc<PeerState>| {
            let lower = local < peer.transport;
            let slot = Slot {
                peer: Arc::clone(peer),
                connections: Vec::new(),
                redial: Redial::new(&shared.limits, lower, now),
                closes_doubles: lower,
            };
            (peer.transport, slot)
        };
        Self {
            slots: shared.peers.iter().map(slot).collect(),
            swarm,
            shared,
            incoming,
            orders,
            refusals: Seldom::default(),
            listener_troubles: Seldom::default(),
        }
    }

    /// Listens on all of `addresses`; returns where that turned out to be.
    pub(super) async fn listen(
        &mut self,
        addresses: &[Multiaddr],
    ) -> Result<Vec<Multiaddr>, NetworkError> {
        // All before any: on most systems one socket for [::] stands in the way
        // of another for 0.0.0.0 unless it is told not to.
        addresses.iter().try_for_each(check_free)?;
        let mut awaited = HashSet::new();
        for address in addresses {
            let listener = self.swarm.listen_on(address.clone());
            awaited.insert(listener.map_err(|error| match error {
                TransportError::MultiaddrNotSupported(address) => {
                    NetworkError::NoListenAddress { address }
                }
                TransportError::Other(source) => listen_error(address, source),
            })?);
        }
        let after = LISTEN_TIMEOUT;
        let deadline = tokio::time::Instant::now() + after;
        while !awaited.is_empty() {
            let event = tokio::time::timeout_at(deadline, self.swarm.select_next_some()).await;
            let event = event.map_err(|_| NetworkError::ListenTimeout { after })?;
            if let SwarmEvent::NewListenAddr { listener_id, .. } = &event {
                awaited.remove(listener_id);
            }
            self.on_event(event);
        }
        Ok(self.swarm.listeners().cloned().collect())
    }

    /// Runs until the network is stopped; then every socket is closed.
    pub(super) async fn run(mut self) {
        let stop = self.shared.stop.clone();
        loop {
            self.dial_due();
            let next_dial = self.next_dial();
            tokio::select! {
                () = stop.cancelled() => return,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(order) = self.orders.recv() => {
                    let substreams = &mut self.swarm.behaviour_mut().substreams;
                    substreams.open(order.peer, order.connection, order.open);
                }
                () = sleep_until(next_dial) => {}
            }
        }
    }

    fn next_dial(&self) -> Option<Instant> {
        let dialled = |slot: &&Slot| !slot.peer.addresses.is_empty();
        let slots = self.slots.values().filter(dialled);
        slots.filter_map(|slot| slot.redial.due()).min()
    }

    fn dial_due(&mut self) {
        let now = Instant::now();
        for (transport, slot) in &mut self.slots {
            let due = slot.redial.due().is_some_and(|due| due <= now);
            if !due || slot.peer.addresses.is_empty() {
                continue;
            }
            slot.redial.begin();
            // A port of its own: that of the listener would make two peers that
            // dial each other meet in one half-made connection.
            let options = DialOpts::peer_id(*transport)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(slot.peer.addresses.clone())
                .allocate_new_port()
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(peer = %slot.peer.id, %error, "dialling failed");
                slot.redial.failed(now, jitter());
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Substreams((transport, opened))) => {
                if let Some(slot) = self.slots.get(&transport) {
                    self.incoming.accept(&slot.peer, opened);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(&event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            } => self.on_established(peer_id, connection_id),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self.on_closed(peer_id, connection_id),
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                peer_id,
                ..
            } => self.on_refused(&send_back_addr, &error, peer_id),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(transport),
                error,
                ..
            } => self.on_dial_failed(transport, &error),
            SwarmEvent::ListenerClosed {
                addresses,
                reason: Err(error),
                ..
            } => {
                let reachable = "other replicas cannot connect to this one until it is restarted";
                tracing::error!(?addresses, "stopped listening: {error}; {reachable}");
            }
            SwarmEvent::ListenerError { error, .. } => {
                if let Some(unsaid) = self.listener_troubles.permit() {
                    tracing::warn!(unsaid, "a connection could not be accepted: {error}");
                }
            }
            _ => {}
        }
    }

    fn on_established(&mut self, transport: TransportId, connection: ConnectionId) {
        let Some(slot) = self.slots.get_mut(&transport) else {
            return;
        };
        tracing::debug!(peer = %slot.peer.id, %connection, "connection established");
        slot.redial.connected(Instant::now());
        slot.connections.push(connection);
        slot.peer.use_connection(Some(connection));
        if slot.closes_doubles {
            // The newest is the one that is known to work.
            let (_, older) = slot.connections.split_last().unwrap_or((&connection, &[]));
            for connection in older {
                self.swarm.close_connection(*connection);
            }
        }
    }

    fn on_closed(&mut self, transport: TransportId, connection: ConnectionId) {
        let Some(slot) = self.slots.get_mut(&transport) else {
            return;
        };
        tracing::debug!(peer = %slot.peer.id, %connection, "connection closed");
        slot.connections.retain(|other| *other != connection);
        slot.peer.use_connection(slot.connections.last().copied());
        if slot.connections.is_empty() {
            slot.redial.disconnected(Instant::now(), jitter());
        }
    }

    /// A host that vanished, or a process that stands still.
    fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(_) | Err(ping::Failure::Unsupported) => {}
            Err(error) => {
                tracing::debug!(peer = %event.peer, %error, "connection does not answer");
                self.swarm.close_connection(event.connection);
            }
        }
    }

    /// A connection that came and was not let in.
    fn on_refused(&self, from: &Multiaddr, error: &ListenError, peer: Option<TransportId>) {
        let ListenError::Denied { cause } = error else {
            self.shared.counters.count_failed_handshake();
            tracing::debug!(%from, %error, "handshake failed");
            return;
        };
        let stranger = cause.downcast_ref::<NotAllowed>().is_some();
        if stranger {
            self.shared.counters.count_stranger();
        } else {
            self.shared.counters.count_over_limit();
        }
        let Some(unsaid) = self.refusals.permit() else {
            return;
        };
        let key = peer.as_ref().and_then(transport_key);
        if let (true, Some(key)) = (stranger, key) {
            tracing::warn!(
                %from,
                unsaid,
                "refused a connection: transport key {key} is no replica's; \
                 only a genesis document that lists it as a transport_key would admit it"
            );
        } else {
            tracing::warn!(%from, unsaid, "refused a connection: {cause}");
        }
    }

    fn on_dial_failed(&mut self, transport: TransportId, error: &DialError) {
        let Some(slot) = self.slots.get_mut(&transport) else {
            return;
        };
        slot.redial.failed(Instant::now(), jitter());
        let peer = slot.peer.id;
        if let DialError::WrongPeerId { obtained, address } = error {
            if let Some(unsaid) = slot.peer.complaints.permit() {
                let found = transport_key(obtained)
                    .map_or_else(|| obtained.to_string(), |key| key.to_string());
                tracing::warn!(
                    %peer,
                    unsaid,
                    "replica {peer} was expected at {address}, but transport key {found} answered; \
                     check its addresses and its transport_key in the genesis document"
                );
            }
        } else {
            tracing::debug!(%peer, %error, "dialling failed");
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
