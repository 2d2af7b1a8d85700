//! What became of a transaction: shown, proven, explained.

use std::path::Path;
use std::time::Duration;

use ledger::TransactionId;
use node::api::types::{HistoryWrite, ReadAnswer, TransactionAnswer, VersionAnswer};
use serde_json::json;

use super::explain::meaning;
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::flow;
use crate::network::Network;
use crate::output::table;

fn parse(id: &str) -> Outcome<TransactionId> {
    id.parse().map_err(|_| {
        Failure::usage(format!(
            "{id:?} is no transaction id: it has 64 hexadecimal digits"
        ))
    })
}

async fn find(network: &Network, id: &TransactionId) -> Outcome<TransactionAnswer> {
    network
        .ask(async |node| node.transaction(id, Duration::ZERO).await)
        .await
}

pub(crate) async fn get(global: &Global, id: &str) -> Outcome {
    let network = Network::open(global)?;
    let found = find(&network, &parse(id)?).await?;
    global.output.print(&found, show);
    Ok(())
}

fn show(it: &TransactionAnswer) -> String {
    let facts = [
        ("transaction", it.transaction_id.clone()),
        ("code", it.code.clone()),
        (
            "place",
            format!("block {}, position {}", it.block, it.index),
        ),
        (
            "call",
            format!("{} {} {}", it.contract, it.function, it.args.join(" ")),
        ),
        ("creator", it.creator.clone()),
        ("endorsers", it.endorsers.join(" ")),
        ("response", it.response.clone()),
    ];
    let lines: Vec<String> = facts
        .iter()
        .map(|(name, value)| format!("{name:<12} {value}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

pub(crate) async fn receipt(global: &Global, id: &str, out: Option<&Path>) -> Outcome {
    let network = Network::open(global)?;
    let id = parse(id)?;
    let receipt = network
        .ask(async |node| node.receipt(&id, Duration::ZERO).await)
        .await?;
    flow::verify(&network, &id, &receipt)?;
    if let Some(out) = out {
        let json = serde_json::to_string_pretty(&receipt).unwrap_or_default();
        std::fs::write(out, json + "\n").map_err(|error| {
            Failure::failed(format!("cannot write {}", out.display())).cause(error)
        })?;
    }
    global.output.print(&receipt, |it| {
        format!(
            "{} {} in block {}, attested by {} replicas",
            it.transaction_id,
            it.code,
            it.header.number,
            it.certificate.signatures.len()
        )
    });
    Ok(())
}

/// Why a transaction is valid or not, with what the chain shows for it.
pub(crate) async fn explain(global: &Global, id: &str) -> Outcome {
    let network = Network::open(global)?;
    let found = find(&network, &parse(id)?).await?;
    let evidence = match found.code.as_str() {
        "MVCC_READ_CONFLICT" => conflicts(&network, &found).await?,
        "ENDORSEMENT_POLICY_FAILURE" => policy(&network, &found).await,
        _ => Vec::new(),
    };
    let (why, remedy) = meaning(&found.code).unwrap_or(("", ""));
    let answer = json!({
        "transaction_id": found.transaction_id,
        "block": found.block,
        "index": found.index,
        "code": found.code,
        "why": why,
        "remedy": remedy,
        "evidence": evidence,
    });
    global.output.print(&answer, |_| {
        let mut text = format!("{}\n\n{}: {why}\n{remedy}", show(&found), found.code);
        if !evidence.is_empty() {
            text = format!(
                "{text}\n\n{}",
                table(["EVIDENCE"], evidence.iter().map(|it| [it.clone()]))
            );
        }
        text
    });
    Ok(())
}

/// The keys that were written between the simulation and the verdict.
async fn conflicts(network: &Network, found: &TransactionAnswer) -> Outcome<Vec<String>> {
    let mut evidence = Vec::new();
    for read in &found.reads {
        let history = network.ask(async |node| node.history(&found.contract, &read.key).await);
        if let Some(write) = overtaken(read, &history.await?.entries, found) {
            let seen = read.version.map_or("no value".to_owned(), place);
            let by = write.transaction_id.as_deref().unwrap_or("genesis");
            evidence.push(format!(
                "{:?}: the endorsers saw {seen}, but {by} wrote it at {}",
                read.key,
                place(write.version)
            ));
        }
    }
    Ok(evidence)
}

fn place(version: VersionAnswer) -> String {
    format!("block {} position {}", version.block, version.index)
}

/// The last write before the transaction, if it is not what the transaction saw.
fn overtaken<'a>(
    read: &ReadAnswer,
    history: &'a [HistoryWrite],
    found: &TransactionAnswer,
) -> Option<&'a HistoryWrite> {
    let before =
        |it: &&HistoryWrite| (it.version.block, it.version.index) < (found.block, found.index);
    let last = history.iter().rfind(before)?;
    let seen = (last.value.is_some()).then_some(last.version);
    (read.version != seen).then_some(last)
}

async fn policy(network: &Network, found: &TransactionAnswer) -> Vec<String> {
    let policy = network.policy(&found.contract).await;
    let policy = policy.map(|policy| policy.to_string());
    vec![
        format!("the policy asks for {}", policy.unwrap_or_default()),
        format!("endorsed by {}", found.endorsers.join(", ")),
    ]
}
