//! Handing in a transaction and waiting until a quorum's word for it is here.

use std::time::Duration;

use ledger::{Locator, Receipt, Transaction, TransactionId};
use node::api::ClientError;
use tokio::time::Instant;

use crate::exit::{Exit, Failure, Outcome};
use crate::network::{Network, Node};

/// How long one node is waited for before the transaction is handed to another,
/// too: the first may have gone, or be lying about having passed it on.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before nodes are asked again that had no room.
const PAUSE: Duration = Duration::from_millis(200);

/// A receipt that was verified, and how long it took.
#[derive(Debug)]
pub(crate) struct Receipted {
    pub(crate) receipt: Receipt,
    pub(crate) latency: Duration,
}

/// Hands in a transaction, to one node after the other, until its receipt is here
/// and verifies. Handed in twice it still counts once.
pub(crate) async fn order(
    network: &Network,
    transaction: &Transaction,
    within: Duration,
) -> Outcome<Receipted> {
    let begin = Instant::now();
    let deadline = begin + within;
    let id = transaction.proposal.id();
    let mut answered = false;
    let mut refusal: Option<ClientError> = None;
    loop {
        for node in network.in_turn(0) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(timed_out(&id, answered, refusal));
            }
            match attempt(network, node, transaction, left.min(PATIENCE)).await {
                Ok(Some(receipt)) => {
                    let latency = begin.elapsed();
                    return Ok(Receipted { receipt, latency });
                }
                Ok(None) => answered = true,
                Err(Attempt::Elsewhere(error)) => refusal = Some(error),
                Err(Attempt::Over(failure)) => return Err(failure),
            }
        }
        if !answered && matches!(refusal, Some(ClientError::Unreachable { .. })) {
            return Err(refusal.map_or_else(|| Failure::failed("no node"), Failure::from));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why an attempt with one node came to nothing.
enum Attempt {
    /// Another node may do better.
    Elsewhere(ClientError),
    /// No other would.
    Over(Failure),
}

async fn attempt(
    network: &Network,
    node: &Node,
    transaction: &Transaction,
    wait: Duration,
) -> Result<Option<Receipt>, Attempt> {
    let submitted = node.client.submit(transaction).await;
    node.heed(&submitted);
    match submitted {
        Ok(_) => {}
        Err(ClientError::Refused { status, body }) if !matches!(status, 429 | 500..) => {
            let error = ClientError::Refused { status, body };
            return Err(Attempt::Over(error.into()));
        }
        Err(error) => return Err(Attempt::Elsewhere(error)),
    }
    let id = transaction.proposal.id();
    match node.client.receipt(&id, wait).await {
        Ok(receipt) => verify(network, &id, &receipt)
            .map(|()| Some(receipt))
            .map_err(Attempt::Over),
        Err(error) if error.code() == Some("NOT_FOUND") => Ok(None),
        Err(error) => Err(Attempt::Elsewhere(error)),
    }
}

/// Whether this is the receipt of that transaction, by a quorum of the network.
pub(crate) fn verify(network: &Network, locator: impl Into<Locator>, receipt: &Receipt) -> Outcome {
    let locator = locator.into();
    if !receipt.is_of(locator) {
        let other = receipt.transaction_id;
        let message = format!("asked for the receipt of {locator}, the node gave that of {other}");
        return Err(Failure::not_verified(message));
    }
    let genesis = network.genesis();
    receipt
        .verify(&genesis.network_id(), &genesis.attesters())
        .map_err(|error| Failure::not_verified("the node's receipt does not hold").cause(error))
}

fn timed_out(id: &TransactionId, answered: bool, refusal: Option<ClientError>) -> Failure {
    if let (false, Some(error)) = (answered, refusal) {
        return error.into();
    }
    Failure::new(
        Exit::Unknown,
        "TIMED_OUT",
        format!("transaction {id} was handed in, and what became of it is not known yet"),
    )
    .hint("it is safe to hand the same transaction in again: it counts once")
}
