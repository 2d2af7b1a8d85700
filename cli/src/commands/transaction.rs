//! What became of a transaction: shown, proven, explained.

use std::path::Path;
use std::time::Duration;

use ledger::{Locator, ParseLocatorError};
use node::api::types::TransactionAnswer;
use serde_json::json;

use super::because;
use super::explain::meaning;
use super::proven::{Hearsay, Proven};
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::Network;

fn parse(name: &str) -> Outcome<Locator> {
    let parsed = name.parse();
    parsed.map_err(|error: ParseLocatorError| Failure::usage(error.to_string()))
}

async fn find(network: &Network, locator: Locator) -> Outcome<TransactionAnswer> {
    network
        .ask(async |node| node.transaction(locator, Duration::ZERO).await)
        .await
}

pub(crate) async fn get(global: &Global, id: &str) -> Outcome {
    let network = Network::open(global)?;
    let found = find(&network, parse(id)?).await?;
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
    let locator = parse(id)?;
    let receipt = network.client.receipt(locator, Duration::ZERO).await?;
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

/// Why a transaction is valid or not, with what the chain shows for it. What one
/// node tells must be what a quorum attests.
pub(crate) async fn explain(global: &Global, id: &str) -> Outcome {
    let network = Network::open(global)?;
    let locator = parse(id)?;
    let found = find(&network, locator).await?;
    let proven = Proven::of(&network, locator).await?;
    let Hearsay(hearsay) = proven.hold(&network, &found).await?;
    let evidence: Vec<String> = found.reason.iter().flat_map(because::lines).collect();
    let (why, remedy) = meaning(&found.code).unwrap_or(("", ""));
    let answer = json!({
        "transaction_id": found.transaction_id,
        "block": found.block,
        "index": found.index,
        "code": found.code,
        "why": why,
        "remedy": remedy,
        "reason": found.reason,
        "evidence": evidence,
        "receipt_verified": true,
        "hearsay": hearsay,
    });
    global.output.print(&answer, |_| {
        let mut text = format!("{}\n\n{}: {why}\n{remedy}", show(&found), found.code);
        if !evidence.is_empty() {
            let attesters = proven.receipt.certificate.signatures.len();
            let but = if hearsay {
                ", but for what was deleted last or which policy a key has kept: that one node says"
            } else {
                ""
            };
            text = format!(
                "{text}\n\nwhat shows it, as {attesters} replicas attest{but}:\n  {}",
                evidence.join("\n  ")
            );
        }
        text
    });
    Ok(())
}
