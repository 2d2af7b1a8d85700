//! Verification against the genesis document alone.

use std::path::{Path, PathBuf};

use genesis::Genesis;
use ledger::{
    BlockSource, ChainReport, Receipt, SourceError, StoredBlock, verify_chain, verify_folder,
};
use node::api::ApiClient;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::genesis::read as read_genesis;
use super::steps::read_text;
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::Network;

pub(crate) fn receipt(global: &Global, file: &Path, genesis: Option<&Path>) -> Outcome {
    let genesis = read_genesis(global, genesis)?;
    let text = read_text(file)?;
    let receipt = parsed(&text).map_err(|error| {
        Failure::not_verified(format!("{} holds no receipt", file.display())).cause(error)
    })?;
    receipt
        .verify(&genesis.network_id(), &genesis.attesters())
        .map_err(|error| Failure::not_verified("the receipt does not hold").cause(error))?;
    let answer = json!({
        "ok": true,
        "transaction_id": receipt.transaction_id,
        "code": receipt.code,
        "block": receipt.header.number,
        "index": receipt.proof.index,
        "attested_by": receipt.certificate.signatures.iter().map(|it| it.0).collect::<Vec<_>>(),
    });
    global.output.print(&answer, |_| {
        format!(
            "the receipt holds: {} is {} in block {}",
            receipt.transaction_id, receipt.code, receipt.header.number
        )
    });
    Ok(())
}

/// A receipt in the one spelling that receipts have: a digit in upper case is no
/// forgery, but neither is it what a node wrote.
fn parsed(text: &str) -> Result<Receipt, serde_json::Error> {
    let value: Value = serde_json::from_str(text)?;
    let receipt: Receipt = serde_json::from_str(text)?;
    if serde_json::to_value(&receipt)? != value {
        let reason = "it is spelt otherwise than receipts are";
        return Err(serde::de::Error::custom(reason));
    }
    Ok(receipt)
}

pub(crate) async fn chain(global: &Global, data: Option<&Path>, genesis: Option<&Path>) -> Outcome {
    let document = read_genesis(global, genesis)?;
    let report = match data {
        Some(data) => folder(data, &document)?,
        None => remote(&Network::open(global)?, document).await?,
    };
    print(global, &report)
}

/// The chain in a data folder, or in the home that holds one.
fn folder(data: &Path, genesis: &Genesis) -> Outcome<ChainReport> {
    let inner: PathBuf = data.join("data");
    let data = if inner.is_dir() {
        inner.as_path()
    } else {
        data
    };
    verify_folder(data, &genesis.ledger_genesis()).map_err(|error| {
        Failure::failed(format!("there is no chain to verify in {}", data.display())).cause(error)
    })
}

/// The chain that a node serves.
async fn remote(network: &Network, genesis: Genesis) -> Outcome<ChainReport> {
    let (client, height) = network
        .ask(async |node| Ok((node.clone(), node.status().await?.certified)))
        .await?;
    let mut source = Remote {
        client,
        height,
        runtime: Handle::current(),
    };
    let verified =
        tokio::task::spawn_blocking(move || verify_chain(&mut source, &genesis.ledger_genesis()));
    verified
        .await
        .map_err(|_| Failure::failed("the verification broke off"))
}

/// The blocks of one node, up to the highest that was attested when it was asked.
struct Remote {
    client: ApiClient,
    height: u64,
    runtime: Handle,
}

impl BlockSource for Remote {
    fn height(&mut self) -> Result<u64, SourceError> {
        Ok(self.height)
    }

    fn block(&mut self, number: u64) -> Result<Option<StoredBlock>, SourceError> {
        let asked = self.client.stored_block(number, None);
        Ok(Some(self.runtime.block_on(asked)?))
    }
}

fn print(global: &Global, report: &ChainReport) -> Outcome {
    let problem = report.problem.as_ref().map(|problem| {
        let at = problem.block.map(|block| format!("block {block}: "));
        format!("{}{}", at.unwrap_or_default(), problem.what)
    });
    let answer = json!({
        "height": report.height,
        "blocks_verified": report.blocks_verified,
        "transactions": report.transactions,
        "ok": report.is_ok(),
        "problem": problem,
        "block": report.problem.as_ref().and_then(|problem| problem.block),
        "uncertified_tip": report.uncertified_tip,
        "attested_by_successors": report.attested_by_successors,
    });
    global.output.print(&answer, |_| {
        let verdict = match &problem {
            None => "the chain holds".to_owned(),
            Some(problem) => format!("the chain does not hold: {problem}"),
        };
        format!(
            "{verdict}\nheight {}, {} blocks and {} transactions executed again from genesis on",
            report.height, report.blocks_verified, report.transactions
        )
    });
    match problem {
        None => Ok(()),
        Some(problem) => Err(Failure::not_verified("the chain does not hold")
            .cause(problem)
            .shown()),
    }
}
