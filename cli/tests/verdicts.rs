//! Every verdict there is, made by a client on a network of real processes: all
//! nodes come to it, and the receipt proves it with its reason.

mod common;

use std::time::Duration;

use common::Network;
use crypto::{SigningKey, encode};
use ledger::{
    EndorsedAction, NO_EXPIRY, Proposal, ProposalResponse, ReadWriteSet, Response, Transaction,
    ValidationCode, Write,
};
use node::api::{ApiClient, ClientError};
use serde_json::Value;
use testnet::NetworkFolder;

const PATIENCE: Duration = Duration::from_mins(1);

/// A client that can do all that a client can, wrong things included.
struct Client {
    network: Network,
    folder: NetworkFolder,
    nodes: Vec<ApiClient>,
    nonces: std::cell::Cell<u8>,
}

/// A call of a contract, and how it is made.
#[derive(Clone)]
struct Call<'a> {
    creator: &'a SigningKey,
    contract: &'a str,
    function: &'a str,
    args: &'a [&'a str],
    valid_until_block: u64,
}

impl Client {
    fn new() -> Self {
        let network = Network::up();
        let folder = NetworkFolder::open(&network.path()).unwrap();
        let nodes = folder.nodes().iter();
        let nodes = nodes
            .map(|node| ApiClient::new(&node.api).unwrap())
            .collect();
        Self {
            network,
            folder,
            nodes,
            nonces: 0.into(),
        }
    }

    fn key(&self, name: &str) -> SigningKey {
        SigningKey::read_file(&self.folder.key_file(name)).unwrap()
    }

    /// The key that a node votes and endorses with.
    fn node_key(&self, node: usize) -> SigningKey {
        let home = self.network.path().join(format!("nodes/node{node}"));
        SigningKey::read_file(&home.join("consensus.pem")).unwrap()
    }

    fn proposal(&self, call: &Call<'_>) -> Proposal {
        self.nonces.set(self.nonces.get() + 1);
        Proposal {
            network: self.folder.genesis().network_id(),
            contract: call.contract.to_owned(),
            function: call.function.to_owned(),
            args: call.args.iter().map(|&arg| arg.to_owned()).collect(),
            creator: call.creator.public(),
            nonce: [self.nonces.get(); 32],
            valid_until_block: call.valid_until_block,
        }
    }

    /// A transaction that these nodes endorse, as they are asked to.
    async fn endorsed(&self, call: &Call<'_>, nodes: &[usize]) -> Transaction {
        let proposal = self.proposal(call);
        let signed = proposal.clone().sign(call.creator);
        let mut answers = Vec::new();
        for node in nodes {
            answers.push(self.nodes[*node].endorse(&signed).await.unwrap());
        }
        Transaction::from_responses(proposal, answers, call.creator).unwrap()
    }

    /// A transaction of these effects, which colluding nodes sign.
    fn made_up(&self, call: &Call<'_>, rwset: ReadWriteSet, nodes: &[usize]) -> Transaction {
        let proposal = self.proposal(call);
        let action = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: 1,
            rwset,
            response: Response::default(),
        };
        let network = self.folder.genesis().network_id();
        let sign = |node: &usize| {
            let key = self.node_key(*node);
            ProposalResponse::endorse(action.clone(), &network, &key)
        };
        let answers = nodes.iter().map(sign).collect();
        Transaction::from_responses(proposal, answers, call.creator).unwrap()
    }

    /// What became of a transaction: every node says the same, and each can prove
    /// it to one who has nothing but genesis.
    async fn verdict(&self, transaction: &Transaction) -> (ValidationCode, Value) {
        self.nodes[1].submit(transaction).await.unwrap();
        self.seen(&transaction.proposal.id().to_string()).await
    }

    async fn seen(&self, name: &str) -> (ValidationCode, Value) {
        let genesis = self.folder.genesis();
        let locator: ledger::Locator = name.parse().unwrap();
        let mut seen = Vec::new();
        for (node, client) in self.nodes.iter().enumerate() {
            let receipt = client.receipt(locator, PATIENCE).await.unwrap();
            let holds = receipt.verify(&genesis.network_id(), &genesis.attesters());
            assert_eq!(holds, Ok(()), "{name}");
            assert!(receipt.is_of(locator));
            let node = format!("node{node}");
            let explained = self.network.ok(&["tx", "explain", name, "--node", &node]);
            assert_eq!(explained["code"], receipt.code.as_str());
            let place = receipt.header.number.to_string();
            let block = self.network.ok(&["block", "get", &place, "--node", &node]);
            let shown = &block["transactions"][usize::try_from(receipt.proof.index).unwrap()];
            assert_eq!(shown["code"], receipt.code.as_str());
            seen.push((receipt.code, explained["reason"].clone()));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
        seen.remove(0)
    }

    /// The code that every node refuses a transaction with before it is ordered.
    async fn refused(&self, transaction: &Transaction) -> String {
        let mut codes = Vec::new();
        for client in &self.nodes {
            match client.submit(transaction).await {
                Err(ClientError::Refused { body, .. }) => codes.push(body.code),
                other => panic!("{other:?}"),
            }
        }
        assert!(codes.windows(2).all(|pair| pair[0] == pair[1]), "{codes:?}");
        codes.remove(0)
    }
}

fn write(key: &str, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        value: Some(value.as_bytes().to_vec().into()),
    }
}

fn put<'a>(creator: &'a SigningKey, args: &'a [&'a str]) -> Call<'a> {
    Call {
        creator,
        contract: "kv",
        function: "put",
        args,
        valid_until_block: NO_EXPIRY,
    }
}

#[tokio::test]
async fn every_verdict_is_the_same_on_every_node_and_proven() {
    let client = Client::new();
    let alice = client.key("alice");
    conflicts(&client, &alice).await;
    endorsements(&client, &alice).await;
    creators(&client, &alice).await;
    contracts(&client, &alice).await;
    repetitions(&client, &alice).await;
    client.network.await_one_state();
    for node in ["node0", "node1", "node2", "node3"] {
        let verified = client.network.ok(&["verify", "chain", "--node", node]);
        assert_eq!(verified["ok"], true);
    }
}

async fn conflicts(client: &Client, alice: &SigningKey) {
    let call = |function, args| Call {
        contract: "asset",
        function,
        ..put(alice, args)
    };
    let create = ["a", "blue", "5", "Max", "300"];
    let first = client
        .endorsed(&call("CreateAsset", &create), &[0, 1])
        .await;
    let second = client
        .endorsed(&call("CreateAsset", &create), &[2, 3])
        .await;
    // A transaction that has read all assets there are: none.
    let all = client.endorsed(&call("GetAllAssets", &[]), &[0, 1]).await;
    let (code, reason) = client.verdict(&first).await;
    assert_eq!((code, reason), (ValidationCode::Valid, Value::Null));
    let (code, reason) = client.verdict(&second).await;
    assert_eq!(code, ValidationCode::MvccReadConflict);
    assert_eq!(
        (&reason["kind"], &reason["key"]),
        (&"read".into(), &"a".into())
    );
    let wrote = first.proposal.id().to_string();
    assert_eq!(reason["written"]["transaction_id"], wrote);
    let (code, range) = client.verdict(&all).await;
    assert_eq!(code, ValidationCode::PhantomReadConflict);
    assert_eq!(range["kind"], "range");
    assert_eq!(range["newest"], reason["written"]["place"]);
}

/// Under two of four: one alone, one twice, two of which one is no member's.
async fn endorsements(client: &Client, alice: &SigningKey) {
    let call = put(alice, &["k", "v"]);
    let failure = ValidationCode::EndorsementPolicyFailure;
    let (code, reason) = client.verdict(&client.endorsed(&call, &[2]).await).await;
    assert_eq!((code, &reason["kind"]), (failure, &"policy".into()));
    let parts = reason["tree"]["out_of"]["of"].as_array().unwrap();
    let met: Vec<_> = parts
        .iter()
        .map(|part| &part["principal"]["met_by"])
        .collect();
    assert_eq!(
        met,
        [
            &Value::Null,
            &Value::Null,
            &"node2@org3".into(),
            &Value::Null
        ]
    );
    let twice = client.endorsed(&call, &[2, 2]).await;
    assert_eq!(twice.endorsements.len(), 1);
    assert_eq!(client.verdict(&twice).await.0, failure);
    let enough = client.endorsed(&call, &[2, 3]).await;
    assert_eq!(client.verdict(&enough).await.0, ValidationCode::Valid);

    // A lying endorser is caught when the answers are put together; if the client
    // colludes, its signature does not hold over what the others signed.
    let honest = client.endorsed(&call, &[0]).await;
    let mut lie = client.made_up(
        &call,
        ReadWriteSet {
            writes: vec![write("k", "w")],
            ..ReadWriteSet::default()
        },
        &[1],
    );
    lie.endorsements.extend(honest.endorsements);
    let action = EndorsedAction {
        transaction_id: lie.proposal.id(),
        contract_version: lie.contract_version,
        rwset: lie.rwset.clone(),
        response: lie.response.clone(),
    };
    let mixed = Transaction::assemble(lie.proposal.clone(), action, lie.endorsements, alice);
    assert_eq!(client.refused(&mixed).await, "BAD_SIGNATURE");

    // A key with a policy of its own: the contract's is not enough.
    let guard = Call {
        function: "set_policy",
        ..put(alice, &["k", "org1 and org2"])
    };
    let guard = client.endorsed(&guard, &[2, 3]).await;
    assert_eq!(client.verdict(&guard).await.0, ValidationCode::Valid);
    let (code, reason) = client.verdict(&client.endorsed(&call, &[1, 2]).await).await;
    assert_eq!((code, &reason["key"]), (failure, &"k".into()));
    let since = guard.proposal.id().to_string();
    assert_eq!(reason["since"]["transaction_id"], since);
    let guarded = client.endorsed(&call, &[0, 1]).await;
    assert_eq!(client.verdict(&guarded).await.0, ValidationCode::Valid);
}

async fn creators(client: &Client, alice: &SigningKey) {
    let peer = client.node_key(0);
    let made_up = client.made_up(&put(&peer, &["p", "v"]), ReadWriteSet::default(), &[0, 1]);
    let (code, reason) = client.verdict(&made_up).await;
    assert_eq!(code, ValidationCode::CreatorNotPermitted);
    // Genesis says what it is.
    assert_eq!(reason["since"]["transaction_id"], Value::Null);

    let bob = client.key("bob");
    let before = client.endorsed(&put(&bob, &["b", "1"]), &[0, 1]).await;
    let after = client.endorsed(&put(&bob, &["b", "2"]), &[0, 1]).await;
    assert_eq!(client.verdict(&before).await.0, ValidationCode::Valid);
    let admin = ["--as", "org2-admin"];
    let revoked = client
        .network
        .ok(&[&["member", "revoke", "bob"][..], &admin].concat());
    let (code, reason) = client.verdict(&after).await;
    assert_eq!(code, ValidationCode::CreatorRevoked);
    assert_eq!(reason["since"]["transaction_id"], revoked["transaction_id"]);

    // What a stranger has made no node passes on.
    let stranger = SigningKey::from_seed(&[77; 32]);
    let strange = client.made_up(
        &put(&stranger, &["s", "v"]),
        ReadWriteSet::default(),
        &[0, 1],
    );
    assert_eq!(client.refused(&strange).await, "UNKNOWN_CREATOR");

    // Nor what has been altered after it was signed.
    let mut altered = client.endorsed(&put(alice, &["x", "v"]), &[0, 1]).await;
    altered.rwset.writes.push(write("y", "v"));
    assert_eq!(client.refused(&altered).await, "BAD_SIGNATURE");
}

async fn contracts(client: &Client, alice: &SigningKey) {
    let call = Call {
        contract: "nothing",
        ..put(alice, &["k", "v"])
    };
    let made_up = client.made_up(&call, ReadWriteSet::default(), &[0, 1]);
    let (code, reason) = client.verdict(&made_up).await;
    assert_eq!(
        (code, reason),
        (ValidationCode::UnknownContract, Value::Null)
    );

    // Colluding endorsers make an admin of alice.
    let call = Call {
        contract: "_members",
        function: "enroll",
        ..put(alice, &["alice"])
    };
    let coup = ReadWriteSet {
        writes: vec![write(&alice.public().to_string(), "an admin")],
        ..ReadWriteSet::default()
    };
    let made_up = client.made_up(&call, coup, &[0, 1, 2, 3]);
    assert_eq!(
        client.verdict(&made_up).await.0,
        ValidationCode::WrongEffects
    );

    let stale = client.endorsed(&put(alice, &["v", "1"]), &[0, 1]).await;
    let mut agreed = Value::Null;
    for organisation in ["org1", "org2", "org3"] {
        let admin = format!("{organisation}-admin");
        let set = ["contract", "version", "kv", "2", "--as", &admin];
        agreed = client.network.ok(&set);
    }
    let (code, reason) = client.verdict(&stale).await;
    assert_eq!(code, ValidationCode::ContractVersionMismatch);
    assert_eq!(
        (&reason["executed"], &reason["agreed"]),
        (&1.into(), &2.into())
    );
    assert_eq!(reason["since"]["transaction_id"], agreed["transaction_id"]);
    // These nodes have version 1, and endorse no other.
    let refused = client
        .network
        .ends(&["tx", "submit", "kv", "put", "v", "2"], 7);
    assert_eq!(refused["error"]["code"], "NOT_INSTALLED");
}

async fn repetitions(client: &Client, alice: &SigningKey) {
    let height = client.nodes[0].status().await.unwrap().height;
    let call = Call {
        contract: "asset",
        function: "AssetExists",
        valid_until_block: height + 1,
        ..put(alice, &["a"])
    };
    let expiring = client.endorsed(&call, &[0, 1]).await;
    let call = Call {
        valid_until_block: NO_EXPIRY,
        ..call
    };
    let other = client.endorsed(&call, &[0, 1]).await;
    assert_eq!(client.verdict(&other).await.0, ValidationCode::Valid);
    let (code, reason) = client.verdict(&expiring).await;
    assert_eq!((code, reason), (ValidationCode::Expired, Value::Null));

    // One proposal, two transactions: whichever is first counts, and no correct
    // primary orders the other. (That a block with both would change nothing by the
    // second is shown where blocks are executed.)
    let proposal = client.proposal(&call);
    let signed = proposal.clone().sign(alice);
    let mut variants = Vec::new();
    for pair in [[0, 1], [2, 3]] {
        let mut answers = Vec::new();
        for node in pair {
            answers.push(client.nodes[node].endorse(&signed).await.unwrap());
        }
        let made = Transaction::from_responses(proposal.clone(), answers, alice);
        variants.push(made.unwrap());
    }
    assert_ne!(encode(&variants[0]), encode(&variants[1]));
    assert_eq!(client.verdict(&variants[0]).await.0, ValidationCode::Valid);
    let first = client
        .network
        .ok(&["tx", "get", &proposal.id().to_string()]);
    for node in &client.nodes {
        let place = node.submit(&variants[1]).await.unwrap().committed.unwrap();
        assert_eq!(first["block"], place.block);
    }
}

/// Where the policy can be met without the liar, it is; where it cannot, the client
/// says who differs in what.
#[test]
fn a_lying_endorser_is_left_out_or_named() {
    let network = Network::up();
    network.ok(&["testnet", "fault", "0", "lie-endorsement"]);
    let put = ["tx", "submit", "kv", "put", "a", "1", "--as", "alice"];
    let done = network.ok(&put);
    assert_eq!(done["code"], "VALID");
    let id = done["transaction_id"].as_str().unwrap();
    let found = network.ok(&["tx", "get", id]);
    let endorsers = found["endorsers"].as_array().unwrap();
    assert!(!endorsers.contains(&"node0@org1".into()), "{endorsers:?}");
    assert_eq!(network.ok(&["state", "get", "kv", "a"])["value"], "1");

    let all = "4 of (org1, org2, org3, org4)";
    for organisation in ["org1", "org2", "org3"] {
        let admin = format!("{organisation}-admin");
        let vote = ["contract", "policy", "kv", all, "--as", &admin];
        // What the liar says of the system matters even less: nobody is believed there.
        network.ok(&[&vote[..], &["--node", "1"]].concat());
    }
    network.await_one_state();
    let refused = network.ends(&put, 7);
    assert_eq!(refused["error"]["code"], "ENDORSERS_DISAGREE");
    let cause = refused["error"]["cause"].as_str().unwrap();
    assert!(cause.contains("otherwise: node0"), "{cause}");
    assert!(cause.contains("\"a\": \"1\", and \"0\""), "{cause}");
    assert!(cause.contains("one of them lies"), "{cause}");
    network.ok(&["testnet", "fault", "0", "none"]);
    assert_eq!(network.ok(&put)["code"], "VALID");
}
