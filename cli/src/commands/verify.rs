//! Verification against the genesis document alone.

use std::path::{Path, PathBuf};

use genesis::Genesis;
use ledger::{
    BlockSource, ChainProblem, ChainReport, Receipt, SourceError, StoredBlock, verify_chain,
    verify_folder,
};
use node::api::{ApiClient, ClientError};
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

/// The chain that a node serves, up to the newest block that a quorum attests, as it says.
async fn remote(network: &Network, genesis: Genesis) -> Outcome<ChainReport> {
    let (client, height) = network
        .ask(async |node| Ok((node.clone(), node.status().await?.certified)))
        .await?;
    let mut source = Remote {
        client,
        height,
        runtime: Handle::current(),
        failure: None,
    };
    let verified = tokio::task::spawn_blocking(move || {
        let report = verify_chain(&mut source, &genesis.ledger_genesis());
        (report, source.failure)
    });
    let verified = verified.await;
    let (mut report, failure) =
        verified.map_err(|_| Failure::failed("the verification broke off"))?;
    // A node that is gone says nothing of its chain.
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    report.problem = report.problem.take().or_else(|| unattested(&report));
    Ok(report)
}

/// What is wrong with a chain whose newest block is said to be attested by a quorum.
fn unattested(report: &ChainReport) -> Option<ChainProblem> {
    let (height, tip) = (report.height, report.uncertified_tip);
    (tip > 0).then(|| ChainProblem {
        block: Some(height - tip + 1),
        what: format!("expected a quorum that attests block {height}, found none from here on"),
    })
}

/// Whether it says that a node is not there, and nothing of its chain.
fn is_outage(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        // A node that cannot read a block says something of its chain.
        ClientError::Refused { status, body } => {
            matches!(status, 429 | 500..) && body.code != "STORE_FAILURE"
        }
        ClientError::Nonsense { .. } => false,
    }
}

/// The blocks of one node, up to the highest that was attested when it was asked.
struct Remote {
    client: ApiClient,
    height: u64,
    runtime: Handle,
    /// Why it did not give one.
    failure: Option<ClientError>,
}

impl BlockSource for Remote {
    fn height(&mut self) -> Result<u64, SourceError> {
        Ok(self.height)
    }

    fn block(&mut self, number: u64) -> Result<Option<StoredBlock>, SourceError> {
        let asked = self.client.stored_block(number, None);
        let asked = self.runtime.block_on(asked);
        self.failure = asked.as_ref().err().filter(|it| is_outage(it)).cloned();
        Ok(Some(asked?))
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
        let mut text = format!(
            "{verdict}\nheight {}, {} blocks and {} transactions executed again from genesis on",
            report.height, report.blocks_verified, report.transactions
        );
        if report.is_ok() && report.uncertified_tip > 0 {
            let tip = report.uncertified_tip;
            let not = format!("no quorum's word is there for the newest {tip} of these blocks");
            text = format!("{text}\n{not}: only this folder shows them");
        }
        text
    });
    match problem {
        None => Ok(()),
        Some(problem) => Err(Failure::not_verified("the chain does not hold")
            .cause(problem)
            .shown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(height: u64, uncertified_tip: u64) -> ChainReport {
        ChainReport {
            height,
            blocks_verified: height + 1,
            transactions: 0,
            uncertified_tip,
            attested_by_successors: 0,
            problem: None,
        }
    }

    /// Whoever makes up the newest blocks leaves their certificates away.
    #[test]
    fn what_a_node_shows_as_attested_is_attested() {
        assert_eq!(unattested(&report(9, 0)), None);
        let blocks = [(9, 2), (9, 9)].map(|(height, tip)| unattested(&report(height, tip)));
        let blocks = blocks.map(|problem| problem.unwrap().block);
        assert_eq!(blocks, [Some(8), Some(1)]);
    }
}
