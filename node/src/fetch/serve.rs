//! Answers what peers ask for.

use std::sync::Arc;

use crypto::{Digest, SigningKey};
use ledger::{CheckedTransaction, Ledger, LedgerError, TransactionHash};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{MAX_BLOCKS, MAX_TRANSACTIONS, RESPONSE_BYTES, Request, Response, ServedBlock};
use crate::certificates::attest;
use crate::driver::Event;
use crate::fault::FaultSwitch;
use crate::network::InboundRequest;

/// See the module.
pub(crate) struct Server {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) driver: mpsc::Sender<Event>,
    /// What this replica attests blocks with.
    pub(crate) key: SigningKey,
    /// Whether it is to lie.
    pub(crate) fault: FaultSwitch,
}

impl Server {
    /// Answers requests until `stop` is cancelled, one after the other: bulk is
    /// patient, and one disk serves them all.
    pub(crate) async fn run(
        self,
        mut requests: mpsc::Receiver<InboundRequest>,
        stop: CancellationToken,
    ) {
        let server = Arc::new(self);
        loop {
            let request = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                request = requests.recv() => request,
            };
            let Some(request) = request else { return };
            if let Some(response) = server.answer(&request.bytes).await {
                // A peer that has gone away is not told.
                let response = server.fault.distort(response);
                drop(request.reply.send(response.encode().into()));
            } else {
                // Dropping the reply refuses the request.
                tracing::debug!(peer = %request.from, "refused a request");
            }
        }
    }

    async fn answer(self: &Arc<Self>, bytes: &[u8]) -> Option<Response> {
        let request = Request::decode(bytes).ok()?;
        let pooled = match &request {
            Request::Transactions(hashes) if hashes.len() <= MAX_TRANSACTIONS => {
                let hashes = hashes.iter().copied().map(TransactionHash).collect();
                let (reply, found) = oneshot::channel();
                let asked = Event::Lookup { hashes, reply };
                self.driver.send(asked).await.ok()?;
                found.await.ok()?
            }
            Request::Transactions(_) => return None,
            Request::Blocks { .. } | Request::Certificates(_) | Request::Attestations(_) => {
                Vec::new()
            }
        };
        let server = self.clone();
        let read = tokio::task::spawn_blocking(move || server.read(&request, &pooled)).await;
        match read.ok()? {
            Ok(response) => Some(response),
            Err(error) => {
                tracing::warn!(%error, "cannot read what a peer asks for");
                None
            }
        }
    }

    fn read(
        &self,
        request: &Request,
        pooled: &[Arc<CheckedTransaction>],
    ) -> Result<Response, LedgerError> {
        let ledger = &self.ledger;
        match request {
            Request::Transactions(hashes) => {
                read_transactions(ledger, hashes, pooled).map(Response::Transactions)
            }
            Request::Blocks { from } => read_blocks(ledger, *from).map(Response::Blocks),
            Request::Certificates(numbers) => {
                let mut found = Vec::new();
                for number in numbers.iter().take(MAX_BLOCKS) {
                    found.extend(ledger.certificate(*number)?.map(|held| (*number, held)));
                }
                Ok(Response::Certificates(found))
            }
            Request::Attestations(numbers) => {
                let tip = ledger.tip().number;
                let held = |number: &&u64| (1..=tip).contains(*number);
                let mut signed = Vec::new();
                for number in numbers.iter().take(MAX_BLOCKS).filter(held) {
                    let hash = ledger.block_hash(*number)?;
                    let signature = attest(*number, &hash, ledger.network(), &self.key);
                    signed.push((*number, signature));
                }
                Ok(Response::Attestations(signed))
            }
        }
    }
}

fn read_transactions(
    ledger: &Ledger,
    hashes: &[Digest],
    pooled: &[Arc<CheckedTransaction>],
) -> Result<Vec<Vec<u8>>, LedgerError> {
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
    Ok(found)
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
