//! A transaction from proposal to verified receipt, and questions that are not
//! ordered.

use std::time::Duration;

use ledger::{Transaction, ValidationCode};
use node::api::types::{EventAnswer, Place};
use serde::Serialize;

use crate::args::{Call, Global, Identity};
use crate::exit::{Failure, Outcome};
use crate::flow::{self, Endorsed, Receipted};
use crate::network::Network;
use crate::output::short;

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

impl Submitted {
    fn new(transaction: &Transaction, receipted: &Receipted) -> Self {
        let receipt = &receipted.receipt;
        let events = transaction.response.events.iter().map(|event| EventAnswer {
            name: event.name.clone(),
            payload: String::from_utf8_lossy(&event.payload).into_owned(),
        });
        let latency = receipted.latency.as_millis();
        Self {
            transaction_id: receipt.transaction_id.to_string(),
            block: receipt.header.number,
            index: receipt.proof.index,
            code: receipt.code,
            response: String::from_utf8_lossy(&transaction.response.payload).into_owned(),
            events: match receipt.code {
                ValidationCode::Valid => events.collect(),
                _ => Vec::new(),
            },
            receipt_verified: true,
            latency_ms: u64::try_from(latency).unwrap_or(u64::MAX),
        }
    }
}

pub(crate) async fn submit(
    global: &Global,
    call: &Call,
    identity: &Identity,
    timeout: Duration,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let signed = flow::propose(&network, call, flow::fresh_nonce()?, &key);
    match flow::endorse(&network, &signed, &key, 0).await? {
        Endorsed::Transaction(transaction) => {
            let path = global.network.join("pending.json");
            send(global, &network, &transaction, timeout, Some(&path)).await
        }
        Endorsed::Committed(place) => Err(committed_before(place)),
    }
}

/// With a fresh nonce nothing can have been committed before.
fn committed_before(place: Option<Place>) -> Failure {
    let place = place.map_or_else(String::new, |place| format!(" in block {}", place.block));
    Failure::not_verified(format!(
        "a node claims that a proposal just made is committed already{place}"
    ))
}

/// Hands in a transaction and prints what became of it; what became of it decides
/// the exit code. Should that remain unknown, the transaction is kept in a file.
pub(crate) async fn send(
    global: &Global,
    network: &Network,
    transaction: &Transaction,
    timeout: Duration,
    keep_in: Option<&std::path::Path>,
) -> Outcome {
    let receipted = match flow::order(network, transaction, timeout).await {
        Ok(receipted) => receipted,
        Err(failure) => return Err(keep(failure, transaction, keep_in)),
    };
    let submitted = Submitted::new(transaction, &receipted);
    if submitted.code != ValidationCode::Valid {
        let message = format!(
            "transaction {} is in block {} and did not take effect",
            submitted.transaction_id, submitted.block
        );
        global.output.print(&submitted, |it| {
            format!(
                "{} {} in block {}",
                short(&it.transaction_id),
                it.code,
                it.block
            )
        });
        return Err(Failure::invalid(submitted.code, message).shown());
    }
    global.output.print(&submitted, |it| {
        let mut text = format!(
            "{} {} in block {} ({} ms, receipt verified)",
            short(&it.transaction_id),
            it.code,
            it.block,
            it.latency_ms
        );
        if !it.response.is_empty() {
            text = format!("{text}\n{}", it.response);
        }
        text
    });
    Ok(())
}

/// Keeps a transaction whose outcome is unknown, so that it can be handed in again.
fn keep(failure: Failure, transaction: &Transaction, file: Option<&std::path::Path>) -> Failure {
    let (crate::exit::Exit::Unknown, Some(file)) = (failure.exit, file) else {
        return failure;
    };
    match super::steps::write_transaction(file, transaction) {
        Ok(()) => failure.hint(format!(
            "`logothete tx send {}` hands the same transaction in again: it counts once",
            file.display()
        )),
        Err(_) => failure,
    }
}

pub(crate) async fn query(global: &Global, call: &Call, identity: &Identity) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let signed = flow::propose(&network, call, flow::fresh_nonce()?, &key);
    let answer = network.ask(async |node| node.evaluate(&signed).await);
    global
        .output
        .print(&answer.await?, |it| it.response.clone());
    Ok(())
}
