//! What consensus and the ledger are told: the same network in their words.

mod common;

use common::{builder, key, network_of};
use consensus::{Replica, ReplicaId};
use crypto::SigningKey;
use ledger::Role;

#[test]
fn replica_i_has_its_key_in_every_view_of_the_genesis() {
    let genesis = builder().build().unwrap();
    let attesters = genesis.attesters();
    for i in 0..4_u8 {
        let id = ReplicaId(u32::from(i));
        let replica = genesis.replica(id).unwrap();
        assert_eq!(replica.name, format!("node{i}"));
        assert_eq!(replica.consensus_key, key(1 + i));
        assert_eq!(genesis.replica_set().key(id), Some(key(1 + i)));
        assert_eq!(attesters.keys()[usize::from(i)], key(1 + i));
        let config = genesis.consensus_config(id).unwrap();
        assert_eq!((config.id, config.network), (id, genesis.network_id()));
        assert_eq!(&config.replicas, genesis.replica_set());
    }
    assert_eq!(attesters.quorum(), genesis.replica_set().quorum());
    assert!(genesis.replica(ReplicaId(4)).is_none());
    assert!(genesis.consensus_config(ReplicaId(4)).is_none());
}

#[test]
fn a_replica_is_a_peer_of_its_organisation_and_signs_with_its_consensus_key() {
    let genesis = builder().build().unwrap();
    let members = genesis.members();
    let member = |name: &str| members.iter().find(|member| member.name == name).unwrap();
    assert_eq!(members.len(), 4 + 2 + 4);
    let node = member("node2");
    assert_eq!((node.role, node.key), (Role::Peer, key(3)));
    assert_eq!(node.organisation.to_string(), "org3");
    assert_eq!(member("alice").role, Role::Client);
    assert_eq!(member("org4-admin").role, Role::Admin);
}

#[test]
fn every_number_of_replicas_makes_a_network_that_starts() {
    for n in [1, 2, 3, 4, 7, 49] {
        let genesis = network_of(n).build().unwrap();
        assert_eq!(genesis.replica_set().n(), usize::from(n));
        assert_eq!(genesis.ledger_genesis().network(), &genesis.network_id());
        let config = genesis.consensus_config(ReplicaId(0)).unwrap();
        // Asserts every bound of the configuration.
        let _started = Replica::start(
            config,
            SigningKey::from_seed(&[1; 32]),
            consensus::Start::Amnesiac,
        );
    }
}

#[test]
fn by_default_a_correct_replica_has_endorsed() {
    let policy = |n| network_of(n).default_policy();
    assert_eq!(policy(1), "OutOf(1, 'org1.peer')");
    assert_eq!(
        policy(4),
        "OutOf(2, 'org1.peer', 'org2.peer', 'org3.peer', 'org4.peer')"
    );
    assert!(policy(7).starts_with("OutOf(3, "));
}

/// Block 0 is made from the document alone, and another document makes another.
#[test]
fn block_0_follows_from_the_document() {
    let block = |n| network_of(n).build().unwrap().ledger_genesis().hash();
    assert_eq!(block(4), block(4));
    assert_ne!(block(4), block(5));
}
