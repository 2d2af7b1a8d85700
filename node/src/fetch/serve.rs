//! Answers what peers ask for.

use std::sync::Arc;

use ledger::{CheckedTransaction, Ledger, LedgerError, TransactionHash};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{MAX_BLOCKS, MAX_TRANSACTIONS, RESPONSE_BYTES, Request, Response, ServedBlock};
use crate::driver::Event;
use crate::network::InboundRequest;

/// Answers requests until `stop` is cancelled, one after the other: bulk is
/// patient, and one disk serves them all.
pub(crate) async fn serve(
    ledger: Arc<Ledger>,
    driver: mpsc::Sender<Event>,
    mut requests: mpsc::Receiver<InboundRequest>,
    stop: CancellationToken,
) {
    loop {
        let request = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            request = requests.recv() => request,
        };
        let Some(request) = request else { return };
        match answer(&ledger, &driver, &request.bytes).await {
            // A peer that has gone away is not told.
            Some(response) => drop(request.reply.send(response.encode().into())),
            // Dropping the reply refuses the request.
            None => tracing::debug!(peer = %request.from, "refused a request"),
        }
    }
}

async fn answer(
    ledger: &Arc<Ledger>,
    driver: &mpsc::Sender<Event>,
    bytes: &[u8],
) -> Option<Response> {
    let request = Request::decode(bytes).ok()?;
    let pooled = match &request {
        Request::Transactions(hashes) if hashes.len() <= MAX_TRANSACTIONS => {
            let hashes = hashes.iter().copied().map(TransactionHash).collect();
            let (reply, found) = oneshot::channel();
            driver.send(Event::Lookup { hashes, reply }).await.ok()?;
            found.await.ok()?
        }
        Request::Transactions(_) => return None,
        Request::Blocks { .. } | Request::Certificates(_) => Vec::new(),
    };
    let ledger = ledger.clone();
    let read = tokio::task::spawn_blocking(move || read(&ledger, &request, &pooled)).await;
    match read.ok()? {
        Ok(response) => Some(response),
        Err(error) => {
            tracing::warn!(%error, "cannot read what a peer asks for");
            None
        }
    }
}

fn read(
    ledger: &Ledger,
    request: &Request,
    pooled: &[Arc<CheckedTransaction>],
) -> Result<Response, LedgerError> {
    match request {
        Request::Transactions(hashes) => {
            let mut found = Vec::new();
            let mut bytes = 0_usize;
            for hash in hashes.iter().copied().map(TransactionHash) {
                let body = match pooled.iter().find(|held| held.hash() == hash) {
                    Some(held) => Some(held.bytes().to_vec()),
                    None => ledger.transaction_by_hash(&hash)?,
                };
                bytes = bytes.saturating_add(body.as_ref().map_or(0, Vec::len));
                found.extend(body);
                if bytes >= RESPONSE_BYTES {
                    break;
                }
            }
            Ok(Response::Transactions(found))
        }
        Request::Blocks { from } => read_blocks(ledger, *from).map(Response::Blocks),
        Request::Certificates(numbers) => {
            let mut found = Vec::new();
            for number in numbers.iter().take(MAX_BLOCKS) {
                found.extend(ledger.certificate(*number)?.map(|held| (*number, held)));
            }
            Ok(Response::Certificates(found))
        }
    }
}

fn read_blocks(ledger: &Ledger, from: u64) -> Result<Vec<ServedBlock>, LedgerError> {
    let mut blocks = Vec::new();
    let mut bytes = 0_usize;
    let tip = ledger.tip().number;
    for number in (from.max(1)..=tip).take(MAX_BLOCKS) {
        let Some(block) = ledger.block(number)? else {
            break;
        };
        let bodies = block.transactions.iter().map(Vec::len);
        bytes = bodies.fold(bytes, usize::saturating_add);
        let certificate = ledger.certificate(number)?;
        blocks.push(ServedBlock { block, certificate });
        if bytes >= RESPONSE_BYTES {
            break;
        }
    }
    Ok(blocks)
}
