//! Cutting a running network into groups, and mending it.

use std::collections::{BTreeMap, BTreeSet};

use node::api::{ApiClient, ClientError};
use serde_json::json;
use testnet::NetworkFolder;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};

/// Who hears whom: nodes that no group names are together in one of their own.
fn groups_of(folder: &NetworkFolder, text: &str) -> Outcome<BTreeMap<u32, usize>> {
    let mut group_of: BTreeMap<u32, usize> = BTreeMap::new();
    for (group, names) in text.split('|').enumerate() {
        for name in names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let id = folder.node(name)?.id;
            if group_of.insert(id, group + 1).is_some() {
                return Err(Failure::usage(format!("node {name} is named twice")));
            }
        }
    }
    for node in folder.nodes() {
        group_of.entry(node.id).or_insert(0);
    }
    Ok(group_of)
}

pub(crate) async fn partition(global: &Global, text: &str) -> Outcome {
    let folder = NetworkFolder::open(&global.network)?;
    let group_of = groups_of(&folder, text)?;
    let groups: BTreeSet<_> = group_of.values().collect();
    if groups.len() < 2 {
        return Err(
            Failure::usage("all nodes are in one group: nothing is cut").hint(
                "`logothete testnet partition \"0,1|2,3\"` cuts, `logothete testnet heal` mends",
            ),
        );
    }
    let Told { told, not_told } = tell(&folder, &group_of).await?;
    let answer = json!({"partition": text, "told": told, "not_told": not_told});
    global.output.print(&answer, |_| {
        format!("cut: {} hear only their own group", told.join(", "))
    });
    all_told(&not_told)
}

pub(crate) async fn heal(global: &Global) -> Outcome {
    let folder = NetworkFolder::open(&global.network)?;
    let together = folder.nodes().iter().map(|node| (node.id, 0)).collect();
    let Told { told, not_told } = tell(&folder, &together).await?;
    let answer = json!({"healed": told, "not_told": not_told});
    global.output.print(&answer, |_| {
        format!("mended: {} hear everybody", told.join(", "))
    });
    all_told(&not_told)
}

/// Fails, when all is shown, where a node that runs could not be told.
fn all_told(not_told: &[String]) -> Outcome {
    if not_told.is_empty() {
        return Ok(());
    }
    let message = format!("{} could not be told", not_told.join(", "));
    Err(Failure::new(Exit::Unreachable, "UNREACHABLE", message)
        .hint("`logothete testnet resume` wakes a node that was paused")
        .shown())
}

/// The names of the nodes that were told, and of those that run and could not be.
struct Told {
    told: Vec<String>,
    not_told: Vec<String>,
}

/// Tells every node that runs whom it is cut off from. One that does not run begins
/// anew without being cut off from anybody.
async fn tell(folder: &NetworkFolder, group_of: &BTreeMap<u32, usize>) -> Outcome<Told> {
    let (mut told, mut not_told) = (Vec::new(), Vec::new());
    for node in folder.nodes() {
        let own = group_of.get(&node.id);
        let others = group_of.iter().filter(|(_, group)| Some(*group) != own);
        let cut = others.map(|(id, _)| *id).collect();
        match ApiClient::new(&node.api)?.cut(cut).await {
            Ok(_) => told.push(node.name.clone()),
            Err(ClientError::Unreachable { .. }) => {
                if node.home.is_none() || folder.process(node)?.is_some() {
                    not_told.push(node.name.clone());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    if told.is_empty() {
        return Err(
            Failure::new(Exit::Unreachable, "UNREACHABLE", "no node is reachable")
                .hint("`logothete testnet up --detach` starts them"),
        );
    }
    Ok(Told { told, not_told })
}
