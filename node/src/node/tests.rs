//! Four whole nodes in one process, on real sockets and real disks: what the
//! parts promise together.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use crypto::{SigningKey, encode};
use genesis::{GenesisBuilder, NewReplica};
use ledger::{
    BlockCertificate, NO_EXPIRY, OrderedBatch, Proposal, Transaction, TransactionId, ValidationCode,
};
use tempfile::TempDir;

use super::*;
use crate::certificates::attest;
use crate::config::NodeDocument;
use crate::services::Submitted;
use crate::testing::{alice, replica_key};

/// Generous: the machine may be slow.
const PATIENCE: Duration = Duration::from_mins(2);

fn transport_key(id: u8) -> SigningKey {
    SigningKey::from_seed(&[100 + id; 32])
}

/// The homes of four replicas, on ports that were free and that no two tests of
/// this process share.
fn homes() -> (TempDir, Vec<PathBuf>) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let folder = tempfile::tempdir().unwrap();
    // Below those that the system gives to outgoing connections.
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    let candidates = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let addresses: Vec<_> = candidates
        .filter(is_free)
        .take(4)
        .map(|port| format!("/ip4/127.0.0.1/tcp/{port}"))
        .collect();
    let replicas = (0..4_u8).map(|id| NewReplica {
        name: format!("node{id}"),
        organisation: format!("org{id}"),
        consensus_key: replica_key(id).public(),
        transport_key: transport_key(id).public(),
        addresses: vec![addresses[usize::from(id)].clone()],
    });
    let builder = replicas.fold(GenesisBuilder::new("example"), GenesisBuilder::replica);
    let genesis = builder.client("org0", "alice", alice().public());
    let json = genesis.build().unwrap().to_json();
    std::fs::write(folder.path().join("genesis.json"), json).unwrap();
    let homes = (0..4_u8).map(|id| {
        let config = NodeDocument::new(
            PathBuf::from("../genesis.json"),
            id.into(),
            ([127, 0, 0, 1], 0).into(),
            vec![addresses[usize::from(id)].clone()],
        );
        let path = folder.path().join(format!("node{id}"));
        Home::create(&path, &config, &replica_key(id), &transport_key(id)).unwrap();
        path
    });
    let homes = homes.collect();
    (folder, homes)
}

struct Node {
    running: Running,
    open: OpenHome,
    stop: CancellationToken,
}

impl Node {
    async fn start(home: &Path) -> Self {
        let open = Home::at(home).open().unwrap();
        let ledger = open_ledger(&open).await.unwrap();
        let stop = CancellationToken::new();
        let running = start(&open, ledger, None, stop.clone()).await.unwrap();
        Self {
            running,
            open,
            stop,
        }
    }

    async fn end(self) -> Result<(), NodeError> {
        self.stop.cancel();
        let ended = self.running.parts.all_ended().await;
        self.running.network.await.unwrap();
        drop(self.open);
        ended
    }

    fn services(&self) -> &Services {
        &self.running.services
    }

    /// Until block `number` is here and attested.
    async fn await_certified(&self, number: u64) {
        let mut progress = self.services().progress.clone();
        let reached = progress.wait_for(|progress| progress.certified >= number);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        assert!(
            reached.is_ok_and(|r| r.is_ok()),
            "block {number} is attested"
        );
    }

    async fn await_committed(&self, id: &TransactionId) -> ValidationCode {
        let mut progress = self.services().progress.clone();
        let committed = async {
            loop {
                if let Some(found) = self.services().ledger.location(id).unwrap() {
                    return found.code;
                }
                progress.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, committed).await.unwrap()
    }
}

/// A call of `kv put key value`, endorsed by these nodes.
async fn put(endorsers: &[Node], nonce: u8, key: &str) -> Transaction {
    let proposal = Proposal {
        network: endorsers[0].services().genesis.network_id(),
        contract: "kv".to_owned(),
        function: "put".to_owned(),
        args: vec![key.to_owned(), format!("value {nonce}")],
        creator: alice().public(),
        nonce: [nonce; 32],
        valid_until_block: NO_EXPIRY,
    };
    let signed = proposal.clone().sign(&alice());
    let mut responses = Vec::new();
    for node in endorsers {
        let endorse = node.services().endorse.endorse(vec![signed.clone()]);
        responses.push(endorse.await.unwrap().remove(0).unwrap());
    }
    Transaction::from_responses(proposal, responses, &alice()).unwrap()
}

async fn submit(node: &Node, transaction: &Transaction) -> Submitted {
    let bytes = encode(transaction).into();
    node.services().submit.submit(bytes).await.unwrap()
}

async fn start_all(homes: &[PathBuf]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for home in homes {
        nodes.push(Node::start(home).await);
    }
    nodes
}

async fn await_same_tip(nodes: &[Node]) {
    let highest = nodes.iter().map(|node| node.services().ledger.tip().number);
    let highest = highest.max().unwrap();
    for node in nodes {
        node.await_certified(highest).await;
    }
    let tips: Vec<_> = nodes
        .iter()
        .map(|node| node.services().ledger.tip())
        .collect();
    assert!(tips.windows(2).all(|pair| pair[0] == pair[1]), "{tips:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_given_transactions_all_commit_them_once_and_alike() {
    let (_folder, homes) = homes();
    let nodes = start_all(&homes).await;
    let mut ids = Vec::new();
    for nonce in 0..20_u8 {
        let transaction = put(&nodes[1..3], nonce, &format!("key {nonce}")).await;
        let at = &nodes[usize::from(nonce % 4)];
        let id = transaction.proposal.id();
        assert_eq!(submit(at, &transaction).await, Submitted::Accepted(id));
        // Handed in twice, at another node too, it is still one transaction.
        submit(&nodes[usize::from((nonce + 1) % 4)], &transaction).await;
        ids.push(id);
    }
    for id in &ids {
        assert_eq!(nodes[3].await_committed(id).await, ValidationCode::Valid);
    }
    await_same_tip(&nodes).await;
    let ledger = &nodes[0].services().ledger;
    let mut count = 0;
    for number in 1..=ledger.tip().number {
        let block = ledger.block(number).unwrap().unwrap();
        assert!(block.codes().all(|code| code == ValidationCode::Valid));
        count += block.verdicts.len();
    }
    assert_eq!(count, ids.len(), "each stands in the chain once");
    let attesters = nodes[0].services().genesis.attesters();
    for id in &ids {
        let receipt = ledger.receipt(id).unwrap().unwrap();
        let network = nodes[0].services().genesis.network_id();
        receipt.verify(&network, &attesters).unwrap();
    }
    for node in nodes {
        node.end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_catches_up_with_attested_blocks_and_takes_part_again() {
    let (_folder, homes) = homes();
    let mut nodes = start_all(&homes).await;
    nodes.pop().unwrap().end().await.unwrap();
    let mut last = 0;
    // Beyond the window, so that only fetched blocks can lead there, and in more than
    // one answer.
    while last < 280 {
        let key = format!("key {}", last / 200);
        let transaction = put(&nodes[..2], u8::try_from(last % 200).unwrap(), &key).await;
        submit(&nodes[0], &transaction).await;
        let code = nodes[0].await_committed(&transaction.proposal.id()).await;
        assert_eq!(code, ValidationCode::Valid);
        last = nodes[0].services().ledger.tip().number;
    }
    nodes.push(Node::start(&homes[3]).await);
    nodes[3].await_certified(last).await;
    // Its vote is needed again when another goes.
    let another = nodes.remove(2);
    another.end().await.unwrap();
    let transaction = put(&nodes[..2], 250, "after").await;
    submit(&nodes[2], &transaction).await;
    let id = transaction.proposal.id();
    assert_eq!(nodes[2].await_committed(&id).await, ValidationCode::Valid);
    await_same_tip(&nodes).await;
    for node in nodes {
        node.end().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_come_back_from_their_disks_and_go_on() {
    let (_folder, homes) = homes();
    for round in 0..3_u8 {
        let nodes = start_all(&homes).await;
        let transaction = put(&nodes[..2], round, &format!("key {round}")).await;
        submit(&nodes[3], &transaction).await;
        let id = transaction.proposal.id();
        assert_eq!(nodes[3].await_committed(&id).await, ValidationCode::Valid);
        await_same_tip(&nodes).await;
        for node in nodes {
            node.end().await.unwrap();
        }
    }
}

/// After a crash of all, a block may be left of which nobody has a certificate,
/// below others of which everybody has one. Its receipts must not be lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_all_have_forgotten_to_attest_is_attested_again() {
    let (_folder, homes) = homes();
    for home in &homes {
        let open = Home::at(home).open().unwrap();
        let ledger = open_ledger(&open).await.unwrap();
        for sequence in 1..=3 {
            let batch = OrderedBatch {
                sequence,
                name: crypto::Digest::ZERO,
                timestamp_ms: 1000 * sequence,
                transactions: Vec::new(),
            };
            let committed = ledger.commit(batch).unwrap();
            if sequence == 3 {
                let network = open.genesis.network_id();
                let sign = |id: u8| {
                    let key = replica_key(id);
                    (id.into(), attest(sequence, &committed.hash, &network, &key))
                };
                let signatures = (0..3).map(sign).collect();
                let certificate = BlockCertificate { signatures };
                ledger.put_certificate(sequence, &certificate).unwrap();
            }
        }
    }
    let nodes = start_all(&homes).await;
    for node in &nodes {
        let ledger = &node.services().ledger;
        let mut progress = node.services().progress.clone();
        let attested = async {
            while !ledger.uncertified(1, 3, 3).unwrap().is_empty() {
                progress.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, attested).await.unwrap();
        for number in 1..=3 {
            let certificate = ledger.certificate(number).unwrap().unwrap();
            let hash = ledger.block_hash(number).unwrap();
            let network = node.services().genesis.network_id();
            let attesters = node.services().genesis.attesters();
            attesters
                .verify(&certificate, &network, number, &hash)
                .unwrap();
        }
    }
    for node in nodes {
        node.end().await.unwrap();
    }
}
