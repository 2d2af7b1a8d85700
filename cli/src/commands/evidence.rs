//! What nodes can prove against replicas that contradict themselves.

use std::collections::BTreeMap;
use std::path::Path;

use consensus::Evidence;
use futures::future::join_all;
use node::api::types::EvidenceAnswer;
use serde_json::json;

use super::genesis::read as read_genesis;
use super::steps::read_text;
use crate::args::{EvidenceCommand, Global};
use crate::exit::{Failure, Outcome};
use crate::network::Network;
use crate::output::table;

pub(crate) async fn run(global: &Global, command: EvidenceCommand) -> Outcome {
    match command {
        EvidenceCommand::List => list(global).await,
        EvidenceCommand::Get { id, out } => get(global, &id, out.as_deref()).await,
    }
}

/// What any reachable node holds, and which nodes hold it.
async fn list(global: &Global) -> Outcome {
    let network = Network::open(global)?;
    let mut held: BTreeMap<String, (EvidenceAnswer, Vec<String>)> = BTreeMap::new();
    let mut failure = None;
    let mut reached = 0_usize;
    for node in network.nodes() {
        match node.api().evidence().await {
            Ok(answer) => {
                reached += 1;
                for evidence in answer.evidence {
                    let (_, nodes) = held
                        .entry(evidence.id.clone())
                        .or_insert((evidence, Vec::new()));
                    nodes.push(node.name().to_owned());
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    if let (0, Some(error)) = (reached, failure) {
        return Err(error.into());
    }
    let rows: Vec<_> = held.into_values().collect();
    let answer = json!({
        "evidence": rows.iter().map(|(evidence, nodes)| json!({
            "id": evidence.id,
            "replica": evidence.replica,
            "message": evidence.message,
            "view": evidence.view,
            "summary": evidence.summary,
            "held_by": nodes,
        })).collect::<Vec<_>>(),
    });
    global.output.print(&answer, |_| {
        if rows.is_empty() {
            return "no replica is known to have contradicted itself".to_owned();
        }
        let rows = rows.iter().map(|(evidence, nodes)| {
            [
                evidence.id.clone(),
                evidence.replica.to_string(),
                evidence.message.clone(),
                nodes.join(", "),
                evidence.summary.clone(),
            ]
        });
        table(["ID", "REPLICA", "MESSAGE", "HELD BY", "WHAT"], rows)
    });
    Ok(())
}

/// One piece, whole. The first part of an id is enough where it is the only one.
async fn get(global: &Global, id: &str, out: Option<&Path>) -> Outcome {
    let network = Network::open(global)?;
    let found = find(&network, id).await?;
    if let Some(file) = out {
        let json = serde_json::to_string_pretty(&found).unwrap_or_default();
        std::fs::write(file, json + "\n").map_err(|error| {
            Failure::failed(format!("cannot write {}", file.display())).cause(error)
        })?;
    }
    global.output.print(&json!(found), |_| {
        let summary = &found.summary;
        match out {
            Some(file) => format!("{summary}\nwritten to {}", file.display()),
            None => format!("{summary}\nid {}", found.id),
        }
    });
    Ok(())
}

async fn find(network: &Network, id: &str) -> Outcome<EvidenceAnswer> {
    let nodes = network.nodes();
    let held = join_all(nodes.iter().map(|node| node.api().evidence()));
    let mut named = BTreeMap::new();
    for (node, held) in nodes.iter().zip(held.await) {
        let held = held.into_iter().flat_map(|answer| answer.evidence);
        for evidence in held.filter(|it| it.id.starts_with(id)) {
            named.entry(evidence.id).or_insert(node);
        }
    }
    let named: Vec<_> = named.into_iter().collect();
    let failure = match named.as_slice() {
        [(id, node)] => return Ok(node.api().evidence_of(id).await?),
        [] => Failure::not_found(format!("no node that answers holds evidence {id}")),
        many => {
            let count = many.len();
            Failure::usage(format!(
                "{id:?} is the beginning of {count} ids of evidence"
            ))
        }
    };
    Err(failure.hint("`logothete evidence list` shows what there is"))
}

/// Holds a file of evidence against the genesis document.
pub(crate) fn verify(global: &Global, file: &Path, genesis: Option<&Path>) -> Outcome {
    let genesis = read_genesis(global, genesis)?;
    let text = read_text(file)?;
    let unsound = |what: &str| Failure::not_verified(format!("{}: {what}", file.display()));
    let claimed: EvidenceAnswer = serde_json::from_str(&text)
        .map_err(|error| unsound("it holds no evidence").cause(error))?;
    let hexadecimal = claimed
        .bytes
        .as_ref()
        .ok_or_else(|| unsound("the signed messages are missing"))?;
    let bytes = hex::decode(hexadecimal)
        .map_err(|error| unsound("its bytes are not hexadecimal").cause(error))?;
    let evidence = Evidence::decode(&bytes)
        .map_err(|error| unsound("its bytes are no evidence").cause(error))?;
    evidence
        .verify(genesis.replica_set(), &genesis.network_id())
        .map_err(|error| unsound("it proves nothing").cause(error))?;
    let mut proved = EvidenceAnswer::of(&evidence);
    proved.bytes.clone_from(&claimed.bytes);
    if proved != claimed {
        return Err(unsound("what it says is not what its bytes prove").cause(proved.summary));
    }
    let answer = json!({
        "ok": true,
        "id": proved.id,
        "replica": proved.replica,
        "message": proved.message,
        "view": proved.view,
        "summary": proved.summary,
    });
    global.output.print(&answer, |_| {
        format!("the evidence holds: {}", proved.summary)
    });
    Ok(())
}
