//! A small network for unit tests: four replicas in four organisations, and alice.

use std::sync::Arc;

use crypto::{SigningKey, encode};
use genesis::{Genesis, GenesisBuilder, NewReplica};
use ledger::{
    CheckedTransaction, EndorsedAction, NO_EXPIRY, Proposal, ReadWriteSet, Response, Transaction,
    UncheckedTransaction, check_transactions,
};
use tokio_util::sync::CancellationToken;

use crate::network::{Limits, Network, NetworkConfig, NetworkHandle, PeerId};

/// The consensus key of replica `id`.
pub(crate) fn replica_key(id: u8) -> SigningKey {
    SigningKey::from_seed(&[id; 32])
}

/// The key of the client alice.
pub(crate) fn alice() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

/// The genesis document of the network.
pub(crate) fn genesis() -> Genesis {
    let replicas = (0..4_u8).map(|id| NewReplica {
        name: format!("node{id}"),
        organisation: format!("org{id}"),
        consensus_key: replica_key(id).public(),
        transport_key: SigningKey::from_seed(&[100 + id; 32]).public(),
        addresses: vec![format!("/ip4/127.0.0.1/tcp/400{id}")],
    });
    let builder = replicas.fold(GenesisBuilder::new("example"), GenesisBuilder::replica);
    let builder = builder.client("org0", "alice", alice().public());
    builder.build().unwrap()
}

/// A well-signed transaction by alice that changes nothing, with `padding` bytes
/// of argument.
pub(crate) fn transaction(nonce: u8, padding: usize) -> Arc<CheckedTransaction> {
    endorsed(nonce, padding, 0)
}

/// Two transactions of one proposal, each endorsed by another replica.
pub(crate) fn two_of_one_proposal() -> [Arc<CheckedTransaction>; 2] {
    [endorsed(1, 0, 0), endorsed(1, 0, 1)]
}

fn endorsed(nonce: u8, padding: usize, endorser: u8) -> Arc<CheckedTransaction> {
    let genesis = genesis();
    let network = genesis.network_id();
    let proposal = Proposal {
        network,
        contract: "kv".to_owned(),
        function: "put".to_owned(),
        args: vec!["x".repeat(padding)],
        creator: alice().public(),
        nonce: [nonce; 32],
        valid_until_block: NO_EXPIRY,
    };
    let action = EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: 1,
        rwset: ReadWriteSet::default(),
        response: Response::default(),
    };
    let answer = ledger::ProposalResponse::endorse(action, &network, &replica_key(endorser));
    let transaction = Transaction::from_responses(proposal, vec![answer], &alice()).unwrap();
    let bytes = encode(&transaction);
    let unchecked = UncheckedTransaction::decode(&bytes, &network, &genesis.limits()).unwrap();
    let checked = check_transactions(vec![unchecked]).remove(0);
    Arc::new(checked.unwrap())
}

/// The network as seen by one who is connected to nobody.
pub(crate) async fn alone(id: u8) -> NetworkHandle {
    let config = NetworkConfig {
        local: PeerId(id.into()),
        transport_key: SigningKey::from_seed(&[100 + id; 32]),
        listen: Vec::new(),
        peers: Vec::new(),
        network: genesis().network_id(),
        limits: Limits::default(),
    };
    let network = Network::start(config, CancellationToken::new()).await;
    network.unwrap().handle
}
