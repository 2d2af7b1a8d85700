//! One node's API on a network of four replicas, of which only it is there.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use consensus::ReplicaId;
use crypto::{Domain, SigningKey};
use genesis::{Genesis, GenesisBuilder, NewReplica};
use ledger::{
    BlockCertificate, EndorsedAction, Event, Ledger, NO_EXPIRY, OrderedBatch, Proposal,
    ProposalResponse, ReadWriteSet, SignedProposal, Transaction, attested_bytes,
};
use node::api::{Api, ApiClient, ApiLimits};
use node::fault::FaultSwitch;
use node::network::{Limits, Network, NetworkConfig, Peer, PeerId};
use node::services::{ConsensusStatus, Progress, Services};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::services::Scripted;

/// What no wait in these tests exceeds, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const OCTETS: &str = "application/octet-stream";

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

fn genesis(replicas: u8) -> Genesis {
    let replicas = (0..replicas).map(|id| NewReplica {
        name: format!("node{id}"),
        organisation: format!("org{}", id + 1),
        consensus_key: replica_key(id).public(),
        transport_key: transport_key(id).public(),
        addresses: vec![format!("/ip4/127.0.0.1/tcp/400{id}")],
    });
    let builder = replicas.fold(GenesisBuilder::new("example"), GenesisBuilder::replica);
    let builder = builder.client("org1", "alice", alice().public());
    builder.build().unwrap()
}

/// The API of node 0, and the strings by which a test moves what is behind it.
pub(crate) struct Node {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) scripted: Arc<Scripted>,
    pub(crate) consensus: watch::Sender<ConsensusStatus>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) address: SocketAddr,
    pub(crate) client: ApiClient,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(4, ApiLimits::default()).await
    }

    pub(crate) async fn start_with(replicas: u8, limits: ApiLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let genesis = Arc::new(genesis(replicas));
        let ledger = Ledger::open(&folder.path().join("db"), &genesis.ledger_genesis());
        let ledger = Arc::new(ledger.unwrap());
        let scripted = Arc::new(Scripted::new(genesis.clone(), ledger.clone()));
        let (consensus, consensus_seen) = watch::channel(ConsensusStatus::default());
        let (progress, progress_seen) = watch::channel(Progress::default());
        let stop = CancellationToken::new();
        let services = Services {
            id: ReplicaId(0),
            genesis: genesis.clone(),
            ledger: ledger.clone(),
            submit: scripted.clone(),
            endorse: scripted.clone(),
            consensus: consensus_seen,
            progress: progress_seen,
            network: lonely_network(&genesis, replicas, &stop).await,
            chronicle: Arc::default(),
            evidence: Arc::default(),
            fault: FaultSwitch::new(false),
            metrics: Arc::default(),
        };
        let api = Api::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = api.address().unwrap();
        Self {
            genesis,
            ledger,
            scripted,
            consensus,
            progress,
            address,
            client: ApiClient::new(&format!("http://{address}")).unwrap(),
            task: tokio::spawn(api.serve(services, limits, stop.clone())),
            stop,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    /// A call that alice has signed. Calls that differ in `nonce` are not the same.
    pub(crate) fn proposal(
        &self,
        nonce: u8,
        contract: &str,
        call: (&str, &[&str]),
    ) -> SignedProposal {
        let (function, args) = call;
        let proposal = Proposal {
            network: self.genesis.network_id(),
            contract: contract.to_owned(),
            function: function.to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            creator: alice().public(),
            nonce: [nonce; 32],
            valid_until_block: NO_EXPIRY,
        };
        proposal.sign(&alice())
    }

    /// A transaction that puts a value, endorsed by nodes 0 and 1.
    pub(crate) fn put(&self, nonce: u8, key: &str, value: &str) -> Transaction {
        let signed = self.proposal(nonce, "kv", ("put", &[key, value]));
        let endorse = |id| self.scripted.endorse_with(&signed, &replica_key(id));
        let answers = vec![endorse(0).unwrap(), endorse(1).unwrap()];
        Transaction::from_responses(signed.proposal, answers, &alice()).unwrap()
    }

    /// A transaction that changes nothing and announces events of these names, each
    /// with its name and number as payload; what is too long for a name is a payload.
    pub(crate) fn announce(
        &self,
        creator: &SigningKey,
        nonce: u8,
        contract: &str,
        events: &[&str],
    ) -> Transaction {
        let call = self.proposal(nonce, contract, ("put", &[])).proposal;
        let creator_key = creator.public();
        let proposal = Proposal {
            creator: creator_key,
            ..call
        };
        let events = events.iter().enumerate().map(|(at, name)| Event {
            name: if name.len() > 64 { "x" } else { name }.to_owned(),
            payload: format!("{name} {at}").into_bytes(),
        });
        let action = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: 1,
            rwset: ReadWriteSet::default(),
            response: ledger::Response {
                payload: Vec::new(),
                events: events.collect(),
            },
        };
        let network = self.genesis.network_id();
        let endorse = |id| ProposalResponse::endorse(action.clone(), &network, &replica_key(id));
        let answers = [0, 1, 2].map(endorse).to_vec();
        Transaction::from_responses(proposal, answers, creator).unwrap()
    }

    /// Commits what the pool holds as the next block, whose number this is.
    pub(crate) fn commit(&self) -> u64 {
        let number = self.ledger.tip().number + 1;
        let batch = OrderedBatch {
            sequence: number,
            name: crypto::Digest::ZERO,
            timestamp_ms: 1_700_000_000_000 + number,
            transactions: std::mem::take(&mut *self.scripted.pool.lock().unwrap()),
        };
        self.ledger.commit(batch).unwrap();
        self.progress.send_modify(|progress| {
            progress.committed = number;
            progress.changes += 1;
        });
        number
    }

    /// Has a block attested by a quorum.
    pub(crate) fn certify(&self, number: u64) {
        let hash = self.ledger.block_hash(number).unwrap();
        let (network, bytes) = (self.genesis.network_id(), attested_bytes(number, &hash));
        let sign = |id: u8| replica_key(id).sign(Domain::Checkpoint, &network, &bytes);
        let signatures = (0..3).map(|id| (u32::from(id), sign(id))).collect();
        let certificate = BlockCertificate { signatures };
        self.ledger.put_certificate(number, &certificate).unwrap();
        self.progress.send_modify(|progress| {
            progress.certified = progress.certified.max(number);
            progress.changes += 1;
        });
    }

    /// Puts a value, in a block of its own that is attested.
    pub(crate) async fn put_now(&self, nonce: u8, key: &str, value: &str) -> Transaction {
        let transaction = self.put(nonce, key, value);
        self.client.submit(&transaction).await.unwrap();
        let number = self.commit();
        self.certify(number);
        transaction
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(self.url(path))).await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> reqwest::Response {
        let request = self.http.get(self.url(path)).header("accept", accept);
        soon("an answer", request.send()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self.http.post(self.url(path)).header("content-type", kind);
        answer(request.body(body)).await
    }

    /// With what status it is answered, whatever else is in the answer.
    pub(crate) async fn status_of(
        &self,
        is_post: bool,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> u16 {
        let request = if is_post {
            let request = self.http.post(self.url(path));
            request.header("content-type", kind).body(body)
        } else {
            self.http.get(self.url(path))
        };
        let response = soon("an answer", request.send()).await.unwrap();
        response.status().as_u16()
    }

    pub(crate) async fn post_for_bytes(&self, path: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let request = self
            .http
            .post(self.url(path))
            .header("content-type", OCTETS);
        let response = soon("an answer", request.body(body).send()).await.unwrap();
        let status = response.status().as_u16();
        (status, response.bytes().await.unwrap().to_vec())
    }

    /// A connection with nothing on it yet.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = soon("an answer", request.send()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Sends bytes and reads until the other side closes.
pub(crate) async fn exchange(mut stream: TcpStream, bytes: &[u8]) -> String {
    // The other side may close the connection in the middle of it.
    let _ = stream.write_all(bytes).await;
    until_closed(&mut stream).await
}

/// What comes until the other side closes.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = soon("the connection closed", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The network of a node that reaches nobody.
async fn lonely_network(
    genesis: &Genesis,
    replicas: u8,
    stop: &CancellationToken,
) -> node::network::NetworkHandle {
    let peer = |id: u8| Peer {
        id: PeerId(id.into()),
        transport_key: transport_key(id).public(),
        addresses: Vec::new(),
    };
    let config = NetworkConfig {
        local: PeerId(0),
        transport_key: transport_key(0),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        peers: (0..replicas).map(peer).collect(),
        network: genesis.network_id(),
        limits: Limits::default(),
    };
    Network::start(config, stop.clone()).await.unwrap().handle
}
