//! Networks of a few nodes in this process.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use crypto::{Digest, SigningKey};
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use node::network::{
    Class, InboundRequest, Inbox, Limits, Network, NetworkConfig, NetworkError, NetworkEvent,
    NetworkHandle, Peer, PeerId,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

/// What no wait in these tests exceeds, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The network that all nodes belong to unless a test says otherwise.
pub(crate) const NETWORK: Digest = Digest([9; 32]);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("did not happen: {what}"))
}

/// Waits until a state that nothing tells of has come.
pub(crate) async fn until(what: &str, reached: impl Fn() -> bool) {
    let polled = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, polled).await;
}

/// The private transport key of a node.
pub(crate) fn key(id: u32) -> SigningKey {
    SigningKey::from_seed(&[u8::try_from(id).unwrap() + 1; 32])
}

/// The node numbers up to `count`, those that dial first.
pub(crate) fn in_order_of_dialling(count: u32) -> Vec<u32> {
    let identity = |id: &u32| {
        let mut seed = key(*id).seed();
        let keypair = libp2p::identity::Keypair::ed25519_from_bytes(seed.as_mut_slice());
        keypair.unwrap().public().to_peer_id()
    };
    let mut ids: Vec<u32> = (0..count).collect();
    ids.sort_by_key(identity);
    ids
}

/// One node.
pub(crate) struct TestNode {
    pub(crate) id: PeerId,
    pub(crate) handle: NetworkHandle,
    pub(crate) consensus: Inbox,
    pub(crate) transactions: Inbox,
    pub(crate) requests: mpsc::Receiver<InboundRequest>,
    pub(crate) task: JoinHandle<()>,
    pub(crate) stop: CancellationToken,
}

impl TestNode {
    pub(crate) fn address(&self) -> Multiaddr {
        self.handle.listening()[0].clone()
    }

    pub(crate) fn inbox(&mut self, class: Class) -> &mut Inbox {
        match class {
            Class::Consensus => &mut self.consensus,
            Class::Transactions => &mut self.transactions,
        }
    }

    /// Waits until these peers are connected; frames that come first are lost.
    pub(crate) async fn await_connected(&mut self, peers: impl IntoIterator<Item = u32>) {
        for peer in peers {
            let id = self.id;
            let wait = async {
                while !self.is_connected(peer) {
                    self.consensus.recv().await.expect("the network runs");
                }
            };
            soon(&format!("{peer} connected to {id}"), wait).await;
        }
    }

    /// Waits for the event that a peer is gone.
    pub(crate) async fn await_disconnected(&mut self, peer: u32) {
        let gone = NetworkEvent::Disconnected(PeerId(peer));
        let wait =
            async { while self.consensus.recv().await.expect("the network runs") != gone {} };
        soon("the peer's end noticed", wait).await;
    }

    pub(crate) fn is_connected(&self, peer: u32) -> bool {
        let peers = self.handle.peers();
        let status = peers.iter().find(|status| status.id == PeerId(peer));
        status.is_some_and(|status| status.connected)
    }

    /// The next frame of a class, whatever else happens.
    pub(crate) async fn frame(&mut self, class: Class) -> (PeerId, Bytes) {
        let inbox = self.inbox(class);
        let wait = async {
            loop {
                let event = inbox.recv().await.expect("the network runs");
                if let NetworkEvent::Frame { from, bytes, .. } = event {
                    return (from, bytes);
                }
            }
        };
        soon("a frame arrived", wait).await
    }

    /// Sends a number and waits until the other has it.
    pub(crate) async fn reach(&self, other: &mut TestNode, number: u64) {
        for class in Class::ALL {
            let bytes = Bytes::copy_from_slice(&number.to_be_bytes());
            let frame = (self.id, bytes.clone());
            self.handle.send(other.id, class, bytes);
            while other.frame(class).await != frame {}
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon("the network stopped", self.task).await.unwrap();
    }
}

/// What a test may want different.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) count: u32,
    pub(crate) limits: Limits,
    pub(crate) network: Digest,
}

impl Setup {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            count,
            limits: Limits::default(),
            network: NETWORK,
        }
    }

    /// The configuration of one node that dials the given addresses.
    pub(crate) fn config(&self, id: u32, addresses: &BTreeMap<u32, Multiaddr>) -> NetworkConfig {
        let peer = |peer: u32| Peer {
            id: PeerId(peer),
            transport_key: key(peer).public(),
            addresses: addresses.get(&peer).cloned().into_iter().collect(),
        };
        NetworkConfig {
            local: PeerId(id),
            transport_key: key(id),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            peers: (0..self.count).map(peer).collect(),
            network: self.network,
            limits: self.limits.clone(),
        }
    }

    /// Starts one node.
    pub(crate) async fn start(&self, id: u32, addresses: &BTreeMap<u32, Multiaddr>) -> TestNode {
        start(self.config(id, addresses)).await.unwrap()
    }

    /// Starts all nodes and waits until all are connected.
    pub(crate) async fn start_all(&self) -> Vec<TestNode> {
        let mut addresses = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for id in in_order_of_dialling(self.count).into_iter().rev() {
            let node = self.start(id, &addresses).await;
            addresses.insert(id, node.address());
            nodes.insert(id, node);
        }
        for (id, node) in &mut nodes {
            let others = (0..self.count).filter(|other| other != id);
            node.await_connected(others).await;
        }
        nodes.into_values().collect()
    }
}

/// Starts a node.
pub(crate) async fn start(config: NetworkConfig) -> Result<TestNode, NetworkError> {
    let stop = CancellationToken::new();
    let id = config.local;
    let network = soon("started", Network::start(config, stop.clone())).await?;
    Ok(TestNode {
        id,
        handle: network.handle,
        consensus: network.consensus,
        transactions: network.transactions,
        requests: network.requests,
        task: network.task,
        stop,
    })
}

/// The socket that a multiaddress stands for.
pub(crate) fn socket(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        _ => panic!("{address} is no socket"),
    }
}

/// The multiaddress of a socket.
pub(crate) fn multiaddress(socket: SocketAddr) -> Multiaddr {
    let (ip, port) = (socket.ip(), socket.port());
    format!("/ip4/{ip}/tcp/{port}").parse().unwrap()
}
