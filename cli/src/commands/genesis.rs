//! Making and reading genesis documents.

use std::path::{Path, PathBuf};

use genesis::Genesis;
use node::home::read_genesis;
use serde_json::json;
use testnet::Spec;

use crate::args::{GenesisCommand, Global};
use crate::exit::Outcome;
use crate::output::{short, table};

pub(crate) fn run(global: &Global, command: GenesisCommand) -> Outcome {
    match command {
        GenesisCommand::Create { nodes, name } => {
            let policy = None;
            create(
                global,
                &Spec {
                    name,
                    nodes,
                    policy,
                    clients: Spec::usual_clients(),
                },
            )
        }
        GenesisCommand::Inspect { file } => {
            inspect(global, &read(global, file.as_deref())?);
            Ok(())
        }
        GenesisCommand::Hash { file } => {
            let hash = read(global, file.as_deref())?.network_id().to_string();
            let answer = json!({"genesis_hash": hash});
            global.output.print(&answer, |_| hash.clone());
            Ok(())
        }
    }
}

/// The document in a file, or that of the network.
pub(crate) fn read(global: &Global, file: Option<&Path>) -> Outcome<Genesis> {
    let own = global.network.join("genesis.json");
    let path: PathBuf = file.map_or(own, Path::to_owned);
    Ok(read_genesis(&path)?)
}

fn create(global: &Global, spec: &Spec) -> Outcome {
    let folder = testnet::create(&global.network, spec)?;
    let hash = folder.genesis().network_id().to_string();
    let answer = json!({
        "network": global.network,
        "genesis_hash": hash,
        "nodes": folder.nodes().iter().map(|node| &node.name).collect::<Vec<_>>(),
    });
    global.output.print(&answer, |_| {
        format!(
            "made {} with {} nodes\nnetwork id {hash}",
            global.network.display(),
            folder.nodes().len()
        )
    });
    Ok(())
}

fn inspect(global: &Global, genesis: &Genesis) {
    let replicas = genesis.replica_set();
    let answer = json!({
        "genesis_hash": genesis.network_id(),
        "replicas": replicas.n(),
        "faults_tolerated": replicas.f(),
        "quorum": replicas.quorum(),
        "document": genesis.document(),
    });
    global.output.print(&answer, |_| {
        let nodes = genesis.replicas().iter().map(|replica| {
            [
                replica.id.to_string(),
                replica.name.clone(),
                replica.organisation.to_string(),
                short(&replica.consensus_key.to_string()).to_owned(),
                replica.addresses.join(" "),
            ]
        });
        let members = genesis.members().iter().map(|member| {
            [
                member.name.clone(),
                member.organisation.to_string(),
                member.role.to_string(),
                short(&member.key.to_string()).to_owned(),
            ]
        });
        let contracts = genesis.contracts().iter();
        let contracts = contracts.map(|it| [it.name.clone(), it.policy.to_string()]);
        format!(
            "{} ({})\n{} replicas, of which {} may lie; a quorum is {}{}\n\n{}\n\n{}\n\n{}",
            genesis.name(),
            genesis.network_id(),
            replicas.n(),
            replicas.f(),
            replicas.quorum(),
            if genesis.document().testing {
                "\nfor testing: whoever reaches a node's API can make it misbehave"
            } else {
                ""
            },
            table(["ID", "NODE", "ORGANISATION", "KEY", "ADDRESSES"], nodes),
            table(["MEMBER", "ORGANISATION", "ROLE", "KEY"], members),
            table(["CONTRACT", "ENDORSEMENT POLICY"], contracts),
        )
    });
}
