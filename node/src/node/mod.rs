//! The wiring: which parts a node has, what connects them, and how it ends.
//!
//! Every channel and every task of a node is made here. When one part fails, or
//! ends although nobody asked it to, all are stopped and the node ends with that
//! error: a replica that finds itself wrong does not carry on.

pub(crate) mod parts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use consensus::{ReplicaId, Verifier};
use crypto::PublicKey;
use genesis::{Genesis, Parameters, ReplicaEntry};
use ledger::{CheckedTransaction, Ledger, LedgerError};
use libp2p::Multiaddr;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, ApiError, ApiLimits};
use crate::chronicle::Chronicle;
use crate::committer::Committer;
use crate::driver::{self, Driver, DriverError, Event, Setup, Wiring};
use crate::endorser::Endorser;
use crate::evidence::EvidenceBook;
use crate::fault::FaultSwitch;
use crate::fetch::{Fetcher, Server, max_response_bytes};
use crate::flood::Flood;
use crate::home::{Home, HomeError, OpenHome, Past};
use crate::inbound;
use crate::ingress::{self, Arrival, Ingress};
use crate::journal::{Journal, JournalError};
use crate::metrics::Metrics;
use crate::network::{
    Inbox, Limits, Network, NetworkConfig, NetworkError, NetworkHandle, Peer, PeerId,
};
use crate::order::OrderError;
use crate::pool::{Pool, PoolBudget};
use crate::request::Request as _;
use crate::services::{ConsensusStatus, Progress, Services};
use crate::sync::{Sync, SyncError};

use parts::Parts;

/// How many events wait for the driver at most; more make their senders wait.
pub(crate) const EVENTS: usize = 1024;

/// What a frame of transactions has besides the transactions.
pub(crate) const FRAME_SLACK: usize = 1024;

/// How long a stopping node waits for its connections to close.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);

/// Why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its home is not in order.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its database cannot be used.
    #[error("cannot use the database in {path}: {source}")]
    Database {
        /// Where it lies.
        path: PathBuf,
        /// Why not.
        source: LedgerError,
    },
    /// An address in the genesis document is not one.
    #[error(
        "replicas[{replica}].addresses in the genesis document: {address} is no multiaddress: {reason}"
    )]
    Address {
        /// Whose.
        replica: ReplicaId,
        /// What stands there.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The network did not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The API could not be served.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The replica had to stop.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// It only orders, and cannot do that.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Catching up had to stop.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A part ended by itself or by a broken invariant; the log says more.
    #[error("the {0} has ended unexpectedly: see the lines before")]
    Ended(&'static str),
}

/// Runs the node of this home until `stop` is cancelled, and ends it in good
/// order. What happens to its replica is added to `journal`.
///
/// # Errors
///
/// [`NodeError`] when it cannot start, or must not go on.
pub async fn run(
    home: &Path,
    journal: Option<&Path>,
    stop: CancellationToken,
) -> Result<(), NodeError> {
    let open = Home::at(home).open()?;
    let journal = journal.map(Journal::open).transpose()?;
    let ledger = open_ledger(&open).await?;
    // Whatever ends this function, an error too, ends every task.
    let stop = stop.child_token();
    let _guard = stop.clone().drop_guard();
    let api = Api::bind(open.config.api_listen()).await?;
    let mut running = start(&open, ledger.clone(), journal, stop.clone()).await?;
    let serve = api.serve(running.services, api_limits(&open), stop);
    running.parts.add_infallible("API", serve);
    tracing::info!(id = %open.config.id(), network = %open.genesis.network_id(), "runs");
    running.parts.all_ended().await?;
    if tokio::time::timeout(FAREWELL, running.network)
        .await
        .is_err()
    {
        tracing::warn!("some connections did not close in time");
    }
    flush(&open, ledger).await?;
    tracing::info!("stopped in good order");
    Ok(())
}

/// Opens the database of this home. What the replica knows of its past votes
/// never gets lost on the way: see [`crate::home`].
pub(crate) async fn open_ledger(open: &OpenHome) -> Result<Arc<Ledger>, NodeError> {
    if open.past == Past::Lost {
        open.home.begin_lost_votes()?;
    }
    let (path, state) = (open.home.data(), open.genesis.ledger_genesis());
    let opened = tokio::task::spawn_blocking(move || Ledger::open(&path, &state)).await;
    let ledger = opened
        .map_err(|_| NodeError::Ended("opening of the database"))?
        .map_err(|source| database(open, source))?;
    open.home.end_new_identity()?;
    Ok(Arc::new(ledger))
}

async fn flush(open: &OpenHome, ledger: Arc<Ledger>) -> Result<(), NodeError> {
    let flushed = tokio::task::spawn_blocking(move || ledger.flush()).await;
    flushed
        .map_err(|_| NodeError::Ended("flushing of the database"))?
        .map_err(|source| database(open, source))
}

fn database(open: &OpenHome, source: LedgerError) -> NodeError {
    let path = open.home.data();
    NodeError::Database { path, source }
}

/// What nearly every part holds.
#[derive(Clone)]
struct Common {
    genesis: Arc<Genesis>,
    ledger: Arc<Ledger>,
    network: NetworkHandle,
    to_driver: mpsc::Sender<Event>,
    chronicle: Arc<Chronicle>,
    evidence: Arc<EvidenceBook>,
    fault: FaultSwitch,
    metrics: Arc<Metrics>,
    budget: Arc<PoolBudget>,
    stop: CancellationToken,
}

/// A node whose every part is at work.
struct Running {
    parts: Parts,
    /// The task of the network, which is to end last.
    network: JoinHandle<()>,
    services: Services,
}

/// Makes every part and sets it going.
async fn start(
    open: &OpenHome,
    ledger: Arc<Ledger>,
    journal: Option<Journal>,
    stop: CancellationToken,
) -> Result<Running, NodeError> {
    let network = Network::start(network_config(open)?, stop.clone()).await?;
    let (to_driver, events) = mpsc::channel(EVENTS);
    let config = &open.config;
    let budget = PoolBudget::new(config.pool_max_transactions(), config.pool_max_bytes());
    let common = Common {
        genesis: Arc::new(open.genesis.clone()),
        ledger,
        network: network.handle,
        to_driver,
        metrics: Arc::new(Metrics::default()),
        chronicle: Arc::default(),
        evidence: Arc::default(),
        fault: FaultSwitch::new(open.genesis.testing()),
        budget: Arc::new(budget),
        stop: stop.clone(),
    };
    let mut parts = Parts::new(stop.clone());
    let (to_ingress, submit, arrivals) = ingress::queue(common.budget.clone());
    let inputs = (events, journal);
    let outlook = add_replica(&mut parts, &common, open, inputs, to_ingress).await?;
    add_ingress(&mut parts, &common, arrivals, network.transactions);
    let messages = inbound::messages(
        Verifier::new(&consensus_config(open)),
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
    let serve = server.run(network.requests, stop);
    parts.add_infallible("answering of peers", serve);
    add_flood(&mut parts, &common, open, &outlook);
    let services = Services {
        id: open.config.id(),
        submit: Arc::new(submit),
        endorse: Arc::new(endorser(open, &common)),
        consensus: outlook.consensus,
        progress: outlook.progress,
        network: common.network,
        chronicle: common.chronicle,
        evidence: common.evidence,
        fault: common.fault,
        metrics: common.metrics,
        genesis: common.genesis,
        ledger: common.ledger,
    };
    Ok(Running {
        parts,
        network: network.task,
        services,
    })
}

/// What the replica shows of itself.
struct Outlook {
    consensus: watch::Receiver<ConsensusStatus>,
    progress: watch::Receiver<Progress>,
}

/// Adds the replica's driver and the parts that work for it alone: the
/// committer, catching up, and the fetching of transactions.
async fn add_replica(
    parts: &mut Parts,
    common: &Common,
    open: &OpenHome,
    (events, journal): (mpsc::Receiver<Event>, Option<Journal>),
    to_ingress: mpsc::Sender<Arrival>,
) -> Result<Outlook, NodeError> {
    // The replica asks for nothing beyond its window.
    let window = usize::try_from(common.genesis.parameters().log_window).unwrap_or(usize::MAX);
    let (executed_sender, executed) = mpsc::channel(window);
    let (to_fetcher, missing) = watch::channel(None);
    let (to_sync, catch_up) = mpsc::channel(1);
    let (status, consensus) = watch::channel(ConsensusStatus::default());
    let (progress_sender, progress) = watch::channel(Progress {
        committed: common.ledger.tip().number,
        certified: common.ledger.latest_certified().unwrap_or(0),
        changes: 0,
    });
    let (committer, to_committer) = Committer::new(
        common.ledger.clone(),
        window,
        executed_sender,
        progress_sender,
        common.metrics.clone(),
    );
    let wiring = Wiring {
        events,
        executed,
        network: common.network.clone(),
        committer: to_committer.clone(),
        fetcher: to_fetcher,
        sync: to_sync,
        status,
        chronicle: common.chronicle.clone(),
        evidence: common.evidence.clone(),
        fault: common.fault.watch(),
        metrics: common.metrics.clone(),
    };
    let driver = start_driver(common, open, journal, wiring).await?;
    let sync = Sync {
        ledger: common.ledger.clone(),
        network_id: common.genesis.network_id(),
        limits: common.genesis.limits(),
        network: common.network.clone(),
        committer: to_committer,
        driver: common.to_driver.clone(),
        own: (open.config.id(), open.consensus_key.clone()),
    };
    let fetcher = Fetcher {
        ledger: common.ledger.clone(),
        peers: Arc::new(common.network.clone()),
        ingress: to_ingress,
        digest_of: CheckedTransaction::digest_of,
    };
    parts.add_thread("committer", || committer.run().map_err(DriverError::from));
    parts.add("driver", driver.run(common.stop.clone()));
    parts.add("catching up", sync.run(catch_up, common.stop.clone()));
    let fetch = fetcher.run(missing, common.stop.clone());
    parts.add_infallible("fetcher of transactions", fetch);
    Ok(Outlook {
        consensus,
        progress,
    })
}

/// Wakes the replica. Once this returns, what it must remember of its past is
/// on disk.
async fn start_driver(
    common: &Common,
    open: &OpenHome,
    journal: Option<Journal>,
    wiring: Wiring,
) -> Result<Driver, NodeError> {
    let parameters = common.genesis.parameters();
    let setup = Setup {
        config: consensus_config(open),
        key: open.consensus_key.clone(),
        ledger: common.ledger.clone(),
        amnesiac: open.past == Past::Lost,
        pool: Pool::new(common.budget.clone()),
        limits: batch_limits(parameters),
        transaction_limits: common.genesis.limits(),
        names: member_names(&common.genesis),
        journal,
        wiring,
    };
    let driver = driver::start(setup).await?;
    open.home.end_lost_votes()?;
    Ok(driver)
}

pub(crate) fn batch_limits(parameters: &Parameters) -> driver::Limits {
    driver::Limits {
        max_batch_transactions: parameters.max_batch_transactions,
        max_batch_bytes: parameters.max_batch_bytes,
        max_timestamp_ahead: parameters.max_timestamp_ahead,
    }
}

/// The names of clients, by which a censor is told whom to censor.
fn member_names(genesis: &Genesis) -> HashMap<PublicKey, String> {
    let members = genesis.members().iter();
    members
        .map(|member| (member.key, member.name.clone()))
        .collect()
}

/// Adds ingress, through which every transaction comes.
fn add_ingress(
    parts: &mut Parts,
    common: &Common,
    arrivals: mpsc::Receiver<Arrival>,
    peers: Inbox,
) {
    let ingress = Ingress {
        ledger: common.ledger.clone(),
        network_id: common.genesis.network_id(),
        limits: common.genesis.limits(),
        budget: common.budget.clone(),
        network: common.network.clone(),
        driver: common.to_driver.clone(),
        metrics: common.metrics.clone(),
        members: Mutex::default(),
        passed_on_again: Mutex::default(),
    };
    let ingress = ingress.run(arrivals, peers, common.stop.clone());
    parts.add_infallible("ingress", ingress);
}

/// Adds what floods the others when the node is told to.
fn add_flood(parts: &mut Parts, common: &Common, open: &OpenHome, outlook: &Outlook) {
    let flood = Flood {
        fault: common.fault.watch(),
        network: common.network.clone(),
        config: consensus_config(open),
        key: open.consensus_key.clone(),
        consensus: outlook.consensus.clone(),
        begun: Instant::now(),
    };
    parts.add_infallible("flooding of peers", flood.run(common.stop.clone()));
}

fn api_limits(open: &OpenHome) -> ApiLimits {
    let transaction = open.genesis.parameters().max_transaction_bytes;
    ApiLimits {
        max_connections: open.config.api_max_connections(),
        // In hexadecimal, in a JSON document.
        max_body_bytes: transaction.saturating_mul(2).saturating_add(FRAME_SLACK),
        ..ApiLimits::default()
    }
}

fn endorser(open: &OpenHome, common: &Common) -> Endorser {
    Endorser::new(
        common.ledger.clone(),
        common.genesis.network_id(),
        common.genesis.limits(),
        (open.consensus_key.clone(), common.fault.clone()),
        open.config.max_concurrent_calls(),
        common.metrics.clone(),
    )
}

pub(crate) fn consensus_config(open: &OpenHome) -> consensus::Config {
    let config = open.genesis.consensus_config(open.config.id());
    config.expect("an open home is that of a replica of its genesis document")
}

pub(crate) fn network_config(open: &OpenHome) -> Result<NetworkConfig, NodeError> {
    let parameters = open.genesis.parameters();
    let defaults = Limits::default();
    let transaction = parameters.max_transaction_bytes + FRAME_SLACK;
    let limits = Limits {
        max_consensus_frame_bytes: consensus::Message::MAX_BYTES,
        max_transactions_frame_bytes: defaults.max_transactions_frame_bytes.max(transaction),
        max_response_bytes: max_response_bytes(parameters),
        ..defaults
    };
    let peers = open.genesis.replicas().iter();
    let peers = peers.map(|replica| {
        Ok(Peer {
            id: PeerId(replica.id.0),
            transport_key: replica.transport_key,
            addresses: addresses(replica)?,
        })
    });
    Ok(NetworkConfig {
        local: PeerId(open.config.id().0),
        transport_key: open.transport_key.clone(),
        listen: open.config.p2p_listen().to_vec(),
        peers: peers.collect::<Result<_, NodeError>>()?,
        network: open.genesis.network_id(),
        limits,
    })
}

fn addresses(replica: &ReplicaEntry) -> Result<Vec<Multiaddr>, NodeError> {
    let parse = |address: &String| {
        address
            .parse()
            .map_err(|error: libp2p::multiaddr::Error| NodeError::Address {
                replica: replica.id,
                address: address.clone(),
                reason: error.to_string(),
            })
    };
    replica.addresses.iter().map(parse).collect()
}
