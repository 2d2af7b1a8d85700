//! Opens streams on a given connection and hands over those that peers open.
//!
//! `libp2p-stream` serves the same purpose, but keeps an entry for every
//! connection there ever was, drops streams that arrive while its accepting
//! loop is busy, dials on its own, and opens on whichever connection it comes
//! upon. A peer that reconnects for ever must not grow this node, so the few
//! lines that are needed stand here.

mod handler;
mod opener;

use std::collections::VecDeque;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId as TransportId, Stream};
use tokio::sync::oneshot;

use super::protocol::Protocol;
use handler::Handler;
pub(super) use opener::{Opener, Order, opener};

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The peer does not know the protocol.
    #[error("the peer does not speak {}", .0.as_ref())]
    Unsupported(Protocol),
    /// The peer did not answer in time, or the connection broke.
    #[error("the stream could not be opened: {0}")]
    Failed(String),
    /// The connection is gone.
    #[error("the connection is closed")]
    Closed,
}

/// An order to open a stream.
#[derive(Debug)]
pub(super) struct OpenStream {
    /// For what.
    pub(super) protocol: Protocol,
    /// Who waits for it. Dropped when the connection goes.
    pub(super) reply: oneshot::Sender<Result<Stream, OpenError>>,
}

/// A stream that a peer has opened.
#[derive(Debug)]
pub(super) struct Opened {
    /// For what.
    pub(super) protocol: Protocol,
    /// The stream.
    pub(super) stream: Stream,
}

/// The behaviour that does this for all connections.
#[derive(Default)]
pub(super) struct Behaviour {
    pending: VecDeque<ToSwarm<(TransportId, Opened), OpenStream>>,
}

impl Behaviour {
    /// Opens a stream on one connection. Callers are bounded in number, and so
    /// is what waits here.
    pub(super) fn open(&mut self, peer: TransportId, connection: ConnectionId, order: OpenStream) {
        self.pending.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(connection),
            event: order,
        });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = (TransportId, Opened);

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: TransportId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: TransportId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Handler::default())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        peer: TransportId,
        _: ConnectionId,
        opened: THandlerOutEvent<Self>,
    ) {
        self.pending
            .push_back(ToSwarm::GenerateEvent((peer, opened)));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // No waker: orders are given by whoever polls the swarm next, and the
        // rest comes from within such a poll.
        self.pending.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
