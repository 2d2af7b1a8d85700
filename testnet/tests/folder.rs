//! The folder of a network: what lies in it, who may read it, and what becomes
//! of folders that hold something else or half a network.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crypto::SigningKey;
use ledger::Role;
use node::home::Past;
use testnet::{NetworkFolder, Spec, TestnetError, create};

fn spec(nodes: u32) -> Spec {
    Spec {
        name: "testnet".to_owned(),
        nodes,
        policy: None,
        clients: Spec::usual_clients(),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_folder_has_everything_a_network_needs() {
    let place = tempfile::tempdir().unwrap();
    let folder = create(&place.path().join("deep/network"), &spec(4)).unwrap();
    let genesis = folder.genesis();
    assert!(genesis.testing());
    assert_eq!(genesis.replica_set().n(), 4);
    let mut ports = BTreeSet::new();
    for node in folder.nodes() {
        let home = folder.home(node).unwrap().open().unwrap();
        assert_eq!(home.past, Past::None, "{} has never voted", node.name);
        assert_eq!(home.genesis.network_id(), genesis.network_id());
        assert_eq!(node.api, format!("http://{}", home.config.api_listen()));
        ports.insert(home.config.api_listen().port().to_string());
        let p2p = home.config.p2p_listen()[0].to_string();
        let replica = genesis.replica(home.config.id()).unwrap();
        assert_eq!(replica.addresses, std::slice::from_ref(&p2p));
        ports.insert(p2p.rsplit('/').next().unwrap().to_owned());
    }
    assert_eq!(ports.len(), 8, "every node has two ports of its own");
    for (name, role, organisation) in [
        ("alice", Role::Client, "org1"),
        ("bob", Role::Client, "org2"),
        ("org1-admin", Role::Admin, "org1"),
        ("org4-admin", Role::Admin, "org4"),
    ] {
        let key = SigningKey::read_file(&folder.key_file(name)).unwrap();
        let members = genesis.members();
        let member = members.iter().find(|member| member.key == key.public());
        let member = member.unwrap();
        assert_eq!((member.name.as_str(), member.role), (name, role));
        assert_eq!(member.organisation.as_str(), organisation);
    }
}

#[test]
fn only_the_owner_can_read_keys() {
    let place = tempfile::tempdir().unwrap();
    let folder = create(&place.path().join("network"), &spec(2)).unwrap();
    let mut keys = vec![folder.key_file("alice"), folder.key_file("org2-admin")];
    for node in folder.nodes() {
        let home = folder.home(node).unwrap();
        keys.extend([home.consensus_key(), home.transport_key()]);
    }
    for key in keys {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
    }
    assert_eq!(mode(&folder.path().join("keys")), 0o700);
}

#[test]
fn a_network_of_one_has_both_clients_in_its_only_organisation() {
    let place = tempfile::tempdir().unwrap();
    let folder = create(&place.path().join("network"), &spec(1)).unwrap();
    let members = folder.genesis().members();
    assert!(
        members
            .iter()
            .all(|member| member.organisation.as_str() == "org1")
    );
}

#[test]
fn a_network_needs_a_sensible_number_of_nodes() {
    let place = tempfile::tempdir().unwrap();
    for nodes in [0, 101, u32::MAX] {
        let made = create(&place.path().join("network"), &spec(nodes));
        assert!(matches!(made, Err(TestnetError::BadSize { found, .. }) if found == nodes));
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn an_empty_folder_is_taken_and_any_other_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("network");
    fs::create_dir(&path).unwrap();
    create(&path, &spec(1)).unwrap();
    let before = fs::read(path.join("genesis.json")).unwrap();
    let again = create(&path, &spec(1));
    assert!(matches!(again, Err(TestnetError::Foreign { .. })));
    assert_eq!(fs::read(path.join("genesis.json")).unwrap(), before);
}

/// A command that was killed while it wrote leaves a draft beside the folder.
#[test]
fn an_abandoned_draft_is_cleared_away_and_one_in_the_making_is_not() {
    let place = tempfile::tempdir().unwrap();
    let draft = place.path().join(".network.logothete-draft");
    fs::create_dir_all(draft.join("keys")).unwrap();
    fs::write(draft.join("keys/alice.pem"), "half a k").unwrap();
    let path = place.path().join("network");
    let held = fs::File::open(&draft).unwrap();
    held.lock().unwrap();
    let refused = create(&path, &spec(1));
    assert!(matches!(refused, Err(TestnetError::Busy { .. })));
    drop(held);
    let folder = create(&path, &spec(1)).unwrap();
    assert!(SigningKey::read_file(&folder.key_file("alice")).is_ok());
    assert!(!draft.exists());
}

#[test]
fn nodes_are_found_by_name_and_by_number() {
    let place = tempfile::tempdir().unwrap();
    let folder = create(&place.path().join("network"), &spec(2)).unwrap();
    assert_eq!(folder.node("1").unwrap(), folder.node("node1").unwrap());
    let error = folder.node("node7").unwrap_err().to_string();
    assert!(error.contains("node0, node1"), "{error}");
}

#[test]
fn a_folder_without_network_and_files_that_contradict_each_other_are_named() {
    let place = tempfile::tempdir().unwrap();
    let said = |path: &Path| NetworkFolder::open(path).unwrap_err().to_string();
    assert!(said(place.path()).contains("there is no network in"));
    let path = place.path().join("network");
    create(&path, &spec(2)).unwrap();
    let file = path.join("network.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("name = \"node1\"", "name = \"node9\"")).unwrap();
    assert!(said(&path).contains("not the replicas of genesis.json"));
    fs::write(&file, "nodes = 3").unwrap();
    assert!(said(&path).contains("network.toml: "));
    fs::write(&file, text).unwrap();
    fs::remove_file(path.join("genesis.json")).unwrap();
    assert!(said(&path).contains("genesis.json"));
    fs::write(path.join("removing"), "").unwrap();
    assert!(said(&path).contains("was interrupted"));
}
