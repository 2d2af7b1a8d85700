//! Looking at blocks.

use node::api::types::BlockAnswer;

use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::Network;
use crate::output::{short, table};

pub(crate) async fn list(global: &Global, from: Option<u64>, limit: u64) -> Outcome {
    let network = Network::open(global)?;
    let blocks = match from {
        Some(from) => forward(&network, from, limit).await?,
        None => newest(&network, limit).await?,
    };
    global.output.print(&blocks, |blocks| {
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

/// Blocks from a number on. A node answers with as many as it likes at a time.
async fn forward(network: &Network, from: u64, limit: u64) -> Outcome<Vec<BlockAnswer>> {
    let (mut blocks, mut next): (Vec<BlockAnswer>, _) = (Vec::new(), from);
    loop {
        let left = limit.saturating_sub(blocks.len() as u64);
        let page = network.ask(async |node| node.blocks(Some(next), left).await);
        let page = page.await?;
        let Some(last) = page.last().map(|block| block.header.number) else {
            return Ok(blocks);
        };
        if page[0].header.number != next || last < next {
            return Err(Failure::failed(
                "a node shows other blocks than it was asked for",
            ));
        }
        blocks.extend(page);
        next = last.saturating_add(1);
        if blocks.len() as u64 >= limit {
            return Ok(blocks);
        }
    }
}

/// The newest blocks: a node shows the last of them, the others stand before those.
async fn newest(network: &Network, limit: u64) -> Outcome<Vec<BlockAnswer>> {
    let shown = network.ask(async |node| node.blocks(None, limit).await);
    let shown = shown.await?;
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
        return Ok(shown);
    };
    let (first, last) = (first.header.number, last.header.number);
    let from = last.saturating_add(1).saturating_sub(limit);
    let before = first.saturating_sub(from);
    if before == 0 {
        return Ok(shown);
    }
    let mut blocks = forward(network, from, before).await?;
    if blocks.len() as u64 != before {
        // Another node, which is behind, has shown the first of them.
        return Err(Failure::failed(
            "the nodes show different blocks: ask again",
        ));
    }
    blocks.extend(shown);
    Ok(blocks)
}

pub(crate) async fn get(global: &Global, block: &str) -> Outcome {
    let is_hash = block.parse::<crypto::Digest>().is_ok();
    if block != "latest" && !is_hash && block.parse::<u64>().is_err() {
        let message = format!("{block:?} is no block: a number, a hash or `latest` is");
        return Err(Failure::usage(message));
    }
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
                it.transaction_id.clone(),
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
