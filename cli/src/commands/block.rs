//! Looking at blocks.

use node::api::types::BlockAnswer;

use crate::args::Global;
use crate::exit::Outcome;
use crate::network::Network;
use crate::output::{short, table};

pub(crate) async fn list(global: &Global, from: Option<u64>, limit: u64) -> Outcome {
    let network = Network::open(global)?;
    let blocks = network.ask(async |node| node.blocks(from, limit).await);
    global.output.print(&blocks.await?, |blocks| {
        let rows = blocks.iter().map(|block| {
            let header = &block.header;
            let valid = block.transactions.iter().filter(|it| it.code == "VALID");
            [
                header.number.to_string(),
                short(&block.hash).to_owned(),
                short(&header.previous_hash).to_owned(),
                block.transactions.len().to_string(),
                valid.count().to_string(),
                signers(block),
                header.timestamp_ms.to_string(),
            ]
        });
        let header = [
            "BLOCK",
            "HASH",
            "PREVIOUS",
            "TRANSACTIONS",
            "VALID",
            "ATTESTED BY",
            "TIME (MS)",
        ];
        table(header, rows)
    });
    Ok(())
}

pub(crate) async fn get(global: &Global, block: &str) -> Outcome {
    let network = Network::open(global)?;
    let block = network.ask(async |node| node.block(block).await);
    global.output.print(&block.await?, |block| {
        let header = &block.header;
        let facts = [
            ("number", header.number.to_string()),
            ("hash", block.hash.clone()),
            ("previous", header.previous_hash.clone()),
            ("transactions", header.transactions_root.clone()),
            ("results", header.results_root.clone()),
            ("state", header.state_digest.clone()),
            ("time (ms)", header.timestamp_ms.to_string()),
            ("sequence", header.sequence.to_string()),
            ("attested by", signers(block)),
        ];
        let facts: Vec<String> = facts
            .iter()
            .map(|(name, value)| format!("{name:<13} {value}"))
            .collect();
        let rows = block.transactions.iter().map(|it| {
            [
                short(&it.transaction_id).to_owned(),
                it.code.clone(),
                format!("{} {}", it.contract, it.function),
                it.args.first().cloned().unwrap_or_default(),
                it.creator.clone(),
                it.endorsers.join(" "),
            ]
        });
        let header = ["TRANSACTION", "CODE", "CALL", "", "CREATOR", "ENDORSERS"];
        format!("{}\n\n{}", facts.join("\n"), table(header, rows))
    });
    Ok(())
}

fn signers(block: &BlockAnswer) -> String {
    if block.header.number == 0 {
        return "genesis".to_owned();
    }
    if block.certificate.is_empty() {
        return "-".to_owned();
    }
    let signers = block.certificate.iter();
    let signers = signers.map(|attestation| attestation.replica.to_string());
    signers.collect::<Vec<_>>().join(" ")
}
