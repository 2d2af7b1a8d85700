//! How other tasks have streams opened by the one that owns the swarm.

use libp2p::swarm::ConnectionId;
use libp2p::{PeerId as TransportId, Stream};
use tokio::sync::{mpsc, oneshot};

use super::{OpenError, OpenStream, Protocol};

/// How many orders wait for the owner of the swarm; who has another waits.
const MAX_WAITING_ORDERS: usize = 64;

/// An order to open a stream, with its place.
#[derive(Debug)]
pub(in crate::network) struct Order {
    /// To whom.
    pub(in crate::network) peer: TransportId,
    /// On which connection.
    pub(in crate::network) connection: ConnectionId,
    /// For what, and for whom.
    pub(in crate::network) open: OpenStream,
}

/// Gives orders.
#[derive(Clone, Debug)]
pub(in crate::network) struct Opener {
    orders: mpsc::Sender<Order>,
}

/// An opener, and where its orders arrive.
pub(in crate::network) fn opener() -> (Opener, mpsc::Receiver<Order>) {
    let (orders, receiver) = mpsc::channel(MAX_WAITING_ORDERS);
    (Opener { orders }, receiver)
}

impl Opener {
    /// Opens a stream on one connection to a peer.
    pub(in crate::network) async fn open(
        &self,
        peer: TransportId,
        connection: ConnectionId,
        protocol: Protocol,
    ) -> Result<Stream, OpenError> {
        let (reply, opened) = oneshot::channel();
        let order = Order {
            peer,
            connection,
            open: OpenStream { protocol, reply },
        };
        let sent = self.orders.send(order).await;
        sent.map_err(|_| OpenError::Closed)?;
        opened.await.unwrap_or(Err(OpenError::Closed))
    }
}
