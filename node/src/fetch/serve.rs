//! Answers what peers ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use consensus::RequestDigest;
use crypto::{Digest, SigningKey, codec};
use ledger::{CheckedTransaction, Ledger, LedgerError, TransactionHash};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{MAX_BLOCKS, MAX_TRANSACTIONS, RESPONSE_BYTES, Request, Response, ServedBlock};
use crate::certificates::attest;
use crate::driver::Event;
use crate::fault::FaultSwitch;
use crate::network::InboundRequest;
use crate::request;

/// See the module.
pub(crate) struct Server<R: request::Request = CheckedTransaction> {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) driver: mpsc::Sender<Event<R>>,
    /// What this replica attests blocks with.
    pub(crate) key: SigningKey,
    /// Whether it is to lie.
    pub(crate) fault: FaultSwitch,
}

impl<R: request::Request> Server<R> {
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
                let hashes = hashes.iter().copied().map(RequestDigest).collect();
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

    fn read(&self, request: &Request, pooled: &[Arc<R>]) -> Result<Response, LedgerError> {
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

fn read_transactions<R: request::Request>(
    ledger: &Ledger,
    hashes: &[Digest],
    pooled: &[Arc<R>],
) -> Result<Vec<Vec<u8>>, LedgerError> {
    let mut wanted: BTreeSet<TransactionHash> =
        hashes.iter().copied().map(TransactionHash).collect();
    let mut found = Vec::new();
    let mut bytes = 0_usize;
    for held in pooled {
        if bytes >= RESPONSE_BYTES {
            return Ok(found);
        }
        wanted.remove(&TransactionHash(held.digest().0));
        bytes = bytes.saturating_add(held.bytes().len());
        found.push(held.bytes().to_vec());
    }
    found.extend(ledger.recent_transactions(&wanted, RESPONSE_BYTES.saturating_sub(bytes))?);
    Ok(found)
}

fn read_blocks(ledger: &Ledger, from: u64) -> Result<Vec<ServedBlock>, LedgerError> {
    let tip = ledger.tip().number;
    fill((from.max(1)..=tip).map_while(|number| read_block(ledger, number).transpose()))
}

fn read_block(ledger: &Ledger, number: u64) -> Result<Option<ServedBlock>, LedgerError> {
    let Some(block) = ledger.block(number)? else {
        return Ok(None);
    };
    let certificate = ledger.certificate(number)?;
    Ok(Some(ServedBlock { block, certificate }))
}

/// As many of these as a response has room for. Verdicts on short transactions have
/// a part in that, too.
fn fill(
    blocks: impl Iterator<Item = Result<ServedBlock, LedgerError>>,
) -> Result<Vec<ServedBlock>, LedgerError> {
    let mut filled = Vec::new();
    let mut bytes = 0_usize;
    for served in blocks.take(MAX_BLOCKS) {
        let served = served?;
        bytes = bytes.saturating_add(codec::encoded_length(&served));
        filled.push(served);
        if bytes >= RESPONSE_BYTES {
            break;
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use ledger::{Block, BlockHeader, Reason, Shortfall, ValidationCode, Verdict, Version};

    use super::*;
    use crate::fetch::max_response_bytes;

    /// No transaction is shorter.
    const SHORTEST: usize = 350;

    /// A block of so many transactions that a stranger has endorsed.
    fn block(transactions: usize) -> ServedBlock {
        let shortfall = Shortfall {
            key: None,
            since: Version { block: 0, index: 0 },
            met: Vec::new(),
            strangers: vec![0],
            revoked: Vec::new(),
        };
        let verdict = Verdict {
            code: ValidationCode::EndorsementPolicyFailure,
            reason: Some(Reason::Policy(shortfall)),
        };
        let header = BlockHeader {
            number: 1,
            previous_hash: Digest::ZERO,
            transactions_root: Digest::ZERO,
            results_root: Digest::ZERO,
            state_digest: Digest::ZERO,
            timestamp_ms: 1,
            sequence: 1,
        };
        let block = Block {
            header,
            transactions: vec![vec![0; SHORTEST].into(); transactions],
            verdicts: vec![verdict; transactions],
        };
        let certificate = None;
        ServedBlock { block, certificate }
    }

    /// A response that is too long is none, and whoever needs it asks for the same
    /// again and again.
    #[test]
    fn a_full_response_is_let_in_however_short_its_transactions_are() {
        let genesis = crate::testing::genesis();
        let mut parameters = genesis.parameters().clone();
        parameters.max_batch_transactions = 32_000;
        parameters.max_batch_bytes = 32_000 * SHORTEST;
        let (small, full) = (block(400), block(32_000));
        for before in 0..32 {
            let blocks = std::iter::repeat_n(&small, before).chain([&full]);
            let filled = fill(blocks.cloned().map(Ok)).unwrap();
            let length = Response::Blocks(filled).encode().len();
            assert!(length <= max_response_bytes(&parameters), "{before}");
        }
    }
}
