//! Four nodes in this process, and alice.

use std::future::Future;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use client::{Call, Client, Genesis, ReplicaId, SigningKey};
use genesis::{GenesisBuilder, NewReplica};
use node::config::NodeDocument;
use node::home::Home;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What no wait in these tests exceeds, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) const NODES: u8 = 4;

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("did not happen: {what}"))
}

pub(crate) fn replica_key(id: u8) -> SigningKey {
    SigningKey::from_seed(&[id + 1; 32])
}

fn transport_key(id: u8) -> SigningKey {
    SigningKey::from_seed(&[id + 101; 32])
}

pub(crate) fn alice() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

/// An admin of org0.
pub(crate) fn admin() -> SigningKey {
    SigningKey::from_seed(&[201; 32])
}

/// Addresses that nobody listens at. They are below those that the system gives to
/// outgoing connections, and no two tests of this process have the same.
pub(crate) fn free_addresses(count: u8) -> Vec<std::net::SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    let candidates = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let free = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let addresses = free.map(|listener| listener.local_addr().unwrap());
    addresses.take(count.into()).collect()
}

/// Two of four endorse `kv` and `smallbank`; `asset` takes node0 and node1.
pub(crate) fn genesis(ports: &[u16]) -> Genesis {
    let any_two = "OutOf(2, 'org0.peer', 'org1.peer', 'org2.peer', 'org3.peer')";
    let replicas = (0..NODES).zip(ports).map(|(id, port)| NewReplica {
        name: format!("node{id}"),
        organisation: format!("org{id}"),
        consensus_key: replica_key(id).public(),
        transport_key: transport_key(id).public(),
        addresses: vec![format!("/ip4/127.0.0.1/tcp/{port}")],
    });
    let builder = replicas.fold(GenesisBuilder::new("example"), GenesisBuilder::replica);
    let builder = builder
        .client("org0", "alice", alice().public())
        .admin("org0", "ada", admin().public())
        .contract("kv", any_two)
        .contract("smallbank", any_two)
        .contract("asset", "AND('org0.peer', 'org1.peer')");
    builder.build().unwrap()
}

pub(crate) fn put(key: &str) -> Call {
    Call::new("kv", "put", [key, "1"])
}

pub(crate) fn deposit() -> Call {
    Call::new("smallbank", "deposit_checking", ["7", "1"])
}

/// A running network; it ends when it is dropped.
pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    pub(crate) apis: Vec<String>,
    stop: CancellationToken,
    nodes: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Network {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut p2p = free_addresses(2 * NODES);
        let api = p2p.split_off(NODES.into());
        let ports: Vec<u16> = p2p.iter().map(std::net::SocketAddr::port).collect();
        let genesis = genesis(&ports);
        std::fs::write(folder.path().join("genesis.json"), genesis.to_json()).unwrap();
        let stop = CancellationToken::new();
        let mut nodes = Vec::new();
        for id in 0..NODES {
            let at = usize::from(id);
            let listen = vec![format!("/ip4/127.0.0.1/tcp/{}", ports[at])];
            let config =
                NodeDocument::new(PathBuf::from("../genesis.json"), id.into(), api[at], listen);
            let home = folder.path().join(format!("node{id}"));
            Home::create(&home, &config, &replica_key(id), &transport_key(id)).unwrap();
            let stop = stop.clone();
            nodes.push(tokio::spawn(async move {
                let ended = node::run(&home, None, stop.clone()).await;
                // Its folder may be gone before it has stopped.
                assert!(ended.is_ok() || stop.is_cancelled(), "{ended:?}");
            }));
        }
        let network = Self {
            genesis,
            apis: api
                .iter()
                .map(|address| format!("http://{address}"))
                .collect(),
            stop,
            nodes,
            _folder: folder,
        };
        soon("all nodes are ready", network.all_ready()).await;
        network
    }

    async fn all_ready(&self) {
        for node in self.client().nodes() {
            while !node.api().ready().await.is_ok_and(|answer| answer.ready) {
                assert!(self.nodes.iter().all(|node| !node.is_finished()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// A client of the nodes themselves.
    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.apis)
    }

    /// A client for which the nodes are elsewhere.
    pub(crate) fn client_at(&self, apis: &[String]) -> Client {
        client_at(&self.genesis, apis)
    }
}

pub(crate) fn client_at(genesis: &Genesis, apis: &[String]) -> Client {
    let nodes = (0..).map(ReplicaId).zip(apis);
    Client::new(genesis.clone(), nodes).unwrap()
}
