//! A node that orders and does nothing else, to be measured: opaque payloads,
//! without signatures of clients, without execution, without blocks.
//!
//! What it has is what every node has: the network, the door for messages, the
//! driver with its replica, its pool and its durable records. Payloads come over
//! TCP ([`wire`]) and are ordered as bundles; in the place of the chain there is
//! a hash of everything ordered, in memory.
//!
//! Hence it cannot catch up, and says so: a replica that falls behind what the
//! others hold stops with an error, and one that has run before does not run
//! again.

mod bundle;
mod clients;
mod fold;
mod peers;
pub mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use consensus::{SequenceNumber, Verifier};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::committer;
use crate::driver::{self, Driver, DriverError, Event, Setup, Wiring};
use crate::fault::FaultSwitch;
use crate::fetch::{Fetcher, Server};
use crate::home::{Home, OpenHome, Past};
use crate::inbound;
use crate::metrics::Metrics;
use crate::network::{Inbox, Network, NetworkHandle};
use crate::node::parts::Parts;
use crate::node::{
    EVENTS, FAREWELL, FRAME_SLACK, NodeError, batch_limits, consensus_config, network_config,
    open_ledger,
};
use crate::pool::{Pool, PoolBudget};
use crate::request::Request as _;
use crate::services::ConsensusStatus;

use bundle::Bundle;
use clients::{BUNDLE_BYTES, Clients, Waiting};
use fold::{Fold, Outcomes};
use peers::Peers;

/// How many answers of the fetcher wait to be taken in; more make it wait.
const BROUGHT: usize = 64;

/// Why a node that only orders did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// It has run before.
    #[error(
        "the node in {path} has run before: what it ordered was in memory, so it cannot go on; \
         make another network"
    )]
    RanBefore {
        /// Its home.
        path: PathBuf,
    },
    /// The others are too far ahead.
    #[error(
        "the others have executed {through} and what leads there is gone beyond {high}: \
         a node that only orders cannot catch up"
    )]
    Behind {
        /// What a quorum attests.
        through: SequenceNumber,
        /// The high watermark here.
        high: u64,
    },
    /// Clients cannot be listened to.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The driver is gone.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// What nearly every part holds.
struct Common {
    ledger: Arc<ledger::Ledger>,
    network: NetworkHandle,
    to_driver: mpsc::Sender<Event<Bundle>>,
    fault: FaultSwitch,
    metrics: Arc<Metrics>,
    budget: Arc<PoolBudget>,
    waiting: Waiting,
    outcomes: Outcomes,
    stop: CancellationToken,
}

/// Orders what comes to the API address of this home, until `stop` is cancelled.
///
/// # Errors
///
/// [`NodeError`] when it cannot start, or must not go on.
pub async fn run(home: &Path, stop: CancellationToken) -> Result<(), NodeError> {
    let open = Home::at(home).open()?;
    if open.past != Past::None {
        let path = home.to_owned();
        return Err(OrderError::RanBefore { path }.into());
    }
    // Its database has the records; its chain stays at genesis.
    let ledger = open_ledger(&open).await?;
    let stop = stop.child_token();
    let _guard = stop.clone().drop_guard();
    let address = open.config.api_listen();
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| OrderError::Listen { address, source })?;
    let network = Network::start(network_config(&open)?, stop.clone()).await?;
    let (to_driver, events) = mpsc::channel(EVENTS);
    let config = &open.config;
    let budget = PoolBudget::new(config.pool_max_transactions(), config.pool_max_bytes());
    let common = Common {
        ledger,
        network: network.handle,
        to_driver,
        fault: FaultSwitch::new(open.genesis.testing()),
        metrics: Arc::default(),
        budget: Arc::new(budget),
        waiting: Waiting::default(),
        outcomes: Outcomes::default(),
        stop: stop.clone(),
    };
    let mut parts = Parts::new(stop.clone());
    let status = add_replica(&mut parts, &common, &open, events, network.transactions).await?;
    let messages = inbound::messages(
        Verifier::new(&consensus_config(&open)),
        network.consensus,
        common.to_driver.clone(),
        common.metrics.clone(),
        stop.clone(),
    );
    parts.add_infallible("reader of messages", messages);
    let server = Server {
        ledger: common.ledger.clone(),
        driver: common.to_driver.clone(),
        key: open.consensus_key.clone(),
        fault: common.fault.clone(),
    };
    let serve = server.run(network.requests, stop.clone());
    parts.add_infallible("answering of peers", serve);
    let clients = Clients {
        origin: open.config.id(),
        max_payload_bytes: open.genesis.parameters().max_transaction_bytes,
        budget: common.budget.clone(),
        network: common.network.clone(),
        driver: common.to_driver.clone(),
        waiting: common.waiting.clone(),
        outcomes: common.outcomes.clone(),
        status,
        bundles: AtomicU64::new(0),
    };
    parts.add_infallible("clients", clients.run(listener, stop));
    tracing::info!(id = %open.config.id(), network = %open.genesis.network_id(), "orders");
    parts.all_ended().await?;
    if tokio::time::timeout(FAREWELL, network.task).await.is_err() {
        tracing::warn!("some connections did not close in time");
    }
    Ok(())
}

/// Adds the replica's driver and the parts that work for it.
async fn add_replica(
    parts: &mut Parts,
    common: &Common,
    open: &OpenHome,
    events: mpsc::Receiver<Event<Bundle>>,
    frames: Inbox,
) -> Result<watch::Receiver<ConsensusStatus>, NodeError> {
    let parameters = open.genesis.parameters();
    // The replica asks for nothing beyond its window.
    let window = usize::try_from(parameters.log_window).unwrap_or(usize::MAX);
    let (executed_sender, executed) = mpsc::channel(window);
    let (to_fetcher, missing) = watch::channel(None);
    let (to_peers, brought) = mpsc::channel(BROUGHT);
    let (to_sync, catch_up) = mpsc::channel(1);
    let (shown, status) = watch::channel(ConsensusStatus::default());
    let (to_fold, jobs) = committer::jobs(window);
    let wiring = Wiring {
        events,
        executed,
        network: common.network.clone(),
        committer: to_fold,
        fetcher: to_fetcher,
        sync: to_sync,
        status: shown,
        chronicle: Arc::default(),
        evidence: Arc::default(),
        fault: common.fault.watch(),
        metrics: common.metrics.clone(),
    };
    let driver = start_driver(common, open, wiring).await?;
    let fold = Fold {
        ledger: common.ledger.clone(),
        jobs,
        executed: executed_sender,
        outcomes: common.outcomes.clone(),
        waiting: common.waiting.clone(),
    };
    let fetcher = Fetcher {
        ledger: common.ledger.clone(),
        peers: Arc::new(common.network.clone()),
        ingress: to_peers,
        digest_of: Bundle::digest_of,
    };
    let peers = Peers {
        max_bundle_bytes: parameters.max_transaction_bytes.max(BUNDLE_BYTES) + FRAME_SLACK,
        budget: common.budget.clone(),
        driver: common.to_driver.clone(),
        metrics: common.metrics.clone(),
    };
    let stop = &common.stop;
    parts.add("hashing of what is ordered", fold.run());
    parts.add("driver", driver.run(stop.clone()));
    let fetch = fetcher.run(missing, stop.clone());
    parts.add_infallible("fetcher of bundles", fetch);
    let peers = peers.run(frames, brought, stop.clone());
    parts.add_infallible("taking in of bundles", peers);
    let position = driver::position(&common.ledger)?;
    let stay = stay(
        catch_up,
        status.clone(),
        common.to_driver.clone(),
        position,
        stop.clone(),
    );
    parts.add("staying within the window", stay);
    Ok(status)
}

/// Wakes the replica, which has nothing behind it.
async fn start_driver(
    common: &Common,
    open: &OpenHome,
    wiring: Wiring<Bundle>,
) -> Result<Driver<Bundle>, DriverError> {
    let setup = Setup {
        config: consensus_config(open),
        key: open.consensus_key.clone(),
        ledger: common.ledger.clone(),
        amnesiac: false,
        pool: Pool::new(common.budget.clone()),
        limits: batch_limits(open.genesis.parameters()),
        transaction_limits: open.genesis.limits(),
        names: HashMap::new(),
        journal: None,
        wiring,
    };
    driver::start(setup).await
}

/// In the place of catching up. Within the window, what is missing may just be
/// slow, and the replica asks for it again; beyond it nobody has it.
async fn stay(
    mut catch_up: mpsc::Receiver<SequenceNumber>,
    status: watch::Receiver<ConsensusStatus>,
    driver: mpsc::Sender<Event<Bundle>>,
    genesis: consensus::Position,
    stop: CancellationToken,
) -> Result<(), OrderError> {
    loop {
        let through = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            through = catch_up.recv() => through.ok_or(DriverError::Gone("driver"))?,
        };
        let high = status.borrow().high_watermark;
        if through.0 > high {
            return Err(OrderError::Behind { through, high });
        }
        let answer = Event::CaughtUp(genesis.clone());
        let sent = driver.send(answer).await;
        sent.map_err(|_| DriverError::Gone("driver"))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_behind_within_the_window_goes_on_and_who_is_beyond_it_stops() {
        let (to_sync, catch_up) = mpsc::channel(1);
        let (to_driver, mut events) = mpsc::channel(1);
        let status = ConsensusStatus {
            high_watermark: 128,
            ..ConsensusStatus::default()
        };
        let (_shown, status) = watch::channel(status);
        let genesis = consensus::Position {
            last_executed: SequenceNumber::GENESIS,
            timestamp_ms: 0,
            stable: None,
            outcomes: Vec::new(),
        };
        let stop = CancellationToken::new();
        let staying = tokio::spawn(stay(catch_up, status, to_driver, genesis, stop));
        to_sync.send(SequenceNumber(128)).await.unwrap();
        assert!(matches!(events.recv().await, Some(Event::CaughtUp(_))));
        to_sync.send(SequenceNumber(129)).await.unwrap();
        let ended = staying.await.unwrap();
        assert!(matches!(ended, Err(OrderError::Behind { .. })));
    }
}
