//! A transaction from proposal to verified receipt, and questions that are not
//! ordered.

use std::time::Duration;

use ledger::{Transaction, ValidationCode};
use node::api::ApiClient;
use node::api::types::{EventAnswer, Place};
use serde::Serialize;

use super::consistency::{Consistency, consult};
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
    retries: u32,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let path = global.network.join("pending.json");
    let mut left = retries;
    loop {
        let signed = flow::propose(&network, call, flow::fresh_nonce()?, &key);
        let transaction = match flow::endorse(&network, &signed, &key, 0).await? {
            Endorsed::Transaction(transaction) => transaction,
            Endorsed::Committed(place) => return Err(committed_before(place)),
        };
        let submitted = hand_in(&network, &transaction, timeout, Some(&path)).await?;
        // The verdict is final: a new proposal cannot make the call happen twice.
        if left > 0 && is_conflict(submitted.code) {
            left -= 1;
            continue;
        }
        return tell(global, &submitted);
    }
}

fn is_conflict(code: ValidationCode) -> bool {
    matches!(
        code,
        ValidationCode::MvccReadConflict | ValidationCode::PhantomReadConflict
    )
}

/// With a fresh nonce nothing can have been committed before.
fn committed_before(place: Option<Place>) -> Failure {
    let place = place.map_or_else(String::new, |place| format!(" in block {}", place.block));
    Failure::not_verified(format!(
        "a node claims that a proposal just made is committed already{place}"
    ))
}

/// Hands in a transaction and prints what became of it, which decides the exit code.
pub(crate) async fn send(
    global: &Global,
    network: &Network,
    transaction: &Transaction,
    timeout: Duration,
) -> Outcome {
    tell(global, &hand_in(network, transaction, timeout, None).await?)
}

/// What becomes of a transaction. Should that remain unknown, it is kept in a file.
async fn hand_in(
    network: &Network,
    transaction: &Transaction,
    timeout: Duration,
    keep_in: Option<&std::path::Path>,
) -> Outcome<Submitted> {
    match flow::order(network, transaction, timeout).await {
        Ok(receipted) => Ok(Submitted::new(transaction, &receipted)),
        Err(failure) => Err(keep(failure, transaction, keep_in)),
    }
}

fn tell(global: &Global, submitted: &Submitted) -> Outcome {
    if submitted.code != ValidationCode::Valid {
        let message = format!(
            "transaction {} is in block {} and did not take effect",
            submitted.transaction_id, submitted.block
        );
        global.output.print(submitted, |it| {
            format!(
                "{} {} in block {}",
                short(&it.transaction_id),
                it.code,
                it.block
            )
        });
        return Err(Failure::invalid(submitted.code, message).shown());
    }
    global.output.print(submitted, |it| {
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

pub(crate) async fn query(
    global: &Global,
    call: &Call,
    identity: &Identity,
    consistency: Consistency,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let signed = flow::propose(&network, call, flow::fresh_nonce()?, &key);
    let question = async |node: &ApiClient| node.evaluate(&signed).await;
    let queried = consult(&network, consistency, question).await?;
    global
        .output
        .print(&queried, |it| it.answer.response.clone());
    Ok(())
}
