//! The beginning: everything is checked, the listeners come up, and every
//! task and channel of the network is made here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use libp2p::swarm::{self, Swarm};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::behaviour::Behaviour;
use super::config::NetworkConfig;
use super::counters::Counters;
use super::error::NetworkError;
use super::handle::NetworkHandle;
use super::hello::Hello;
use super::inbox::{Inbox, inbox};
use super::incoming::Incoming;
use super::outgoing::Writer;
use super::peers::{Peers, Shared, Wiring};
use super::request::InboundRequest;
use super::substreams::opener;
use super::switchboard::Switchboard;
use super::transport::{has_name, keypair, transport};

/// How many streams of one connection may be in negotiation.
const MAX_NEGOTIATING_STREAMS: usize = 8;

/// How many requests wait to be taken, besides the one that each serving task
/// holds.
const MAX_WAITING_REQUESTS: usize = 16;

/// A network that runs: the ends that the node is given.
#[derive(Debug)]
pub struct Network {
    /// Sends.
    pub handle: NetworkHandle,
    /// Frames of [`Class::Consensus`](super::Class::Consensus), and the coming
    /// and going of peers.
    pub consensus: Inbox,
    /// Frames of [`Class::Transactions`](super::Class::Transactions).
    pub transactions: Inbox,
    /// Requests of peers.
    pub requests: mpsc::Receiver<InboundRequest>,
    /// Ends when every connection is closed, after the token is cancelled.
    pub task: JoinHandle<()>,
}

impl Network {
    /// Listens, and reaches out to the peers, until `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// [`NetworkError`], which says what to do. Nothing is left running.
    pub async fn start(
        config: NetworkConfig,
        stop: CancellationToken,
    ) -> Result<Self, NetworkError> {
        let (peers, outlets) = Peers::new(&config)?;
        let (opener, orders) = opener();
        let inbox = || {
            let ids = peers.iter().map(|peer| peer.id);
            inbox(config.limits.max_inbox_frames, ids)
        };
        let ((to_consensus, consensus), (to_transactions, transactions)) = (inbox(), inbox());
        let (to_requests, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let tasks = TaskTracker::new();
        let swarm = swarm(&config, &peers, &tasks)?;
        let wiring = Wiring {
            shared: Arc::new(Shared {
                peers,
                hello: Hello {
                    network: config.network,
                },
                limits: config.limits,
                counters: Counters::default(),
                stop,
            }),
            opener,
            inboxes: [to_consensus, to_transactions],
            requests: to_requests,
        };
        let incoming = Incoming::new(wiring.clone(), tasks.clone());
        let shared = Arc::clone(&wiring.shared);
        let mut switchboard = Switchboard::new(swarm, shared, incoming, orders);
        let listening = switchboard.listen(&config.listen).await?;
        for outlet in outlets {
            tasks.spawn(Writer::new(wiring.clone(), outlet).run());
        }
        let handle = NetworkHandle {
            shared: wiring.shared,
            opener: wiring.opener,
            listening: listening.into(),
        };
        let task = tokio::spawn(async move {
            switchboard.run().await;
            tasks.close();
            tasks.wait().await;
        });
        Ok(Self {
            handle,
            consensus,
            transactions,
            requests,
            task,
        })
    }
}

/// The swarm, whose tasks are counted among ours: the network has not ended
/// while one of them holds a socket.
fn swarm(
    config: &NetworkConfig,
    peers: &Peers,
    tasks: &TaskTracker,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let keypair = keypair(&config.transport_key)?;
    let with_names = peers.iter().any(|peer| peer.addresses.iter().any(has_name));
    let timeout = config.limits.handshake_timeout;
    let transport = transport(&keypair, timeout, with_names)?;
    let behaviour = Behaviour::new(peers, &config.limits);
    let tasks = tasks.clone();
    let executor = move |task: Pin<Box<dyn Future<Output = ()> + Send>>| drop(tasks.spawn(task));
    let settings = swarm::Config::with_executor(executor)
        .with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS);
    let local = keypair.public().to_peer_id();
    Ok(Swarm::new(transport, behaviour, local, settings))
}
