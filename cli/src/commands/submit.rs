//! A transaction from proposal to verified receipt, and questions that are not
//! ordered.

use std::time::Duration;

use client::{Call, Error, Transaction, ValidationCode};
use node::api::ApiClient;
use node::api::types::EventAnswer;
use serde::Serialize;
use testnet::NetworkFolder;

use super::consistency::{Consistency, consult};
use super::steps::write_transaction;
use crate::args::{Global, Identity};
use crate::exit::{Failure, Outcome};
use crate::network::Network;

/// What became of a transaction. These names are a promise.
#[derive(Debug, Serialize)]
pub(crate) struct Submitted {
    pub(crate) transaction_id: String,
    pub(crate) block: u64,
    pub(crate) index: u64,
    pub(crate) code: ValidationCode,
    pub(crate) response: String,
    pub(crate) events: Vec<EventAnswer>,
    pub(crate) receipt_verified: bool,
    pub(crate) latency_ms: u64,
}

impl From<client::Submitted> for Submitted {
    fn from(submitted: client::Submitted) -> Self {
        let client::Submitted {
            transaction,
            receipt,
            latency,
        } = submitted;
        // Of one that is valid the receipt says it: the same proposal may have been endorsed
        // again, later, and handed in before.
        let response = receipt.response.as_ref().unwrap_or(&transaction.response);
        let events = response.events.iter().map(EventAnswer::from);
        Self {
            transaction_id: receipt.transaction_id.to_string(),
            block: receipt.header.number,
            index: receipt.proof.index,
            code: receipt.code,
            response: String::from_utf8_lossy(&response.payload).into_owned(),
            events: match receipt.code {
                ValidationCode::Valid => events.collect(),
                _ => Vec::new(),
            },
            receipt_verified: true,
            latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

pub(crate) async fn submit(
    global: &Global,
    call: Call,
    identity: &Identity,
    timeout: Duration,
    retries: u32,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let submit = network.client.submit(&key, call);
    match submit.retry_conflicts(retries).timeout(timeout).await {
        Ok(submitted) => tell(global, &submitted.into()),
        Err(error) => Err(kept(error, &network.folder)),
    }
}

/// Hands in a transaction and prints what became of it, which decides the exit code.
pub(crate) async fn send(
    global: &Global,
    network: &Network,
    transaction: Transaction,
    timeout: Duration,
) -> Outcome {
    let submitted = network.client.order(transaction, timeout).await?;
    tell(global, &submitted.into())
}

fn tell(global: &Global, submitted: &Submitted) -> Outcome {
    if submitted.code != ValidationCode::Valid {
        let message = format!(
            "transaction {} is in block {} and did not take effect",
            submitted.transaction_id, submitted.block
        );
        global.output.print(submitted, |it| {
            format!("{} {} in block {}", it.transaction_id, it.code, it.block)
        });
        return Err(Failure::invalid(submitted.code, message).shown());
    }
    global.output.print(submitted, |it| {
        let mut text = format!(
            "{} {} in block {} ({} ms, receipt verified)",
            it.transaction_id, it.code, it.block, it.latency_ms
        );
        if !it.response.is_empty() {
            text = format!("{text}\n{}", it.response);
        }
        text
    });
    Ok(())
}

/// Keeps a transaction whose outcome is unknown, so that it can be handed in again.
fn kept(error: Error, folder: &NetworkFolder) -> Failure {
    let file = match &error {
        Error::Unknown { transaction, .. } => {
            let file = folder.pending_file(&transaction.proposal.id().to_string());
            // One for each: two may be open at a time.
            let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = folder.is_ok() && write_transaction(&file, transaction).is_ok();
            written.then_some(file)
        }
        _ => None,
    };
    let failure = Failure::from(error);
    let Some(file) = file else {
        return failure;
    };
    failure.hint(format!(
        "`logothete tx send {}` hands the same transaction in again: it counts once",
        file.display()
    ))
}

pub(crate) async fn query(
    global: &Global,
    call: Call,
    identity: &Identity,
    consistency: Consistency,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let signed = network.client.propose(&key, call).await?;
    let question = async |node: &ApiClient| node.evaluate(&signed).await;
    let queried = consult(&network, consistency, question).await?;
    global
        .output
        .print(&queried, |it| it.answer.response.clone());
    Ok(())
}
