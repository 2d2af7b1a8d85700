//! Which of the blocks that a peer served are the network's.

use crypto::{Digest, NetworkId};
use ledger::block::{result_leaves, transactions_root};
use ledger::{Attesters, Block, Limits, TransactionResult, UncheckedTransaction};

use super::ServedBlock;

/// The blocks that follow `parent` (a number and a hash) one after the other, as
/// far as a quorum attests them: up to the last one with a certificate that
/// holds. Each is what its header says, and keeps its certificate only if it holds.
pub(crate) fn attested_prefix(
    served: Vec<ServedBlock>,
    parent: (u64, Digest),
    attesters: &Attesters,
    network: &NetworkId,
    limits: &Limits,
) -> Vec<ServedBlock> {
    let (mut number, mut hash) = parent;
    let mut linked = Vec::new();
    let mut attested = 0;
    for mut next in served {
        let header = &next.block.header;
        number = number.saturating_add(1);
        if (header.number, header.previous_hash) != (number, hash)
            || !holds_what_it_says(&next.block, network, limits)
        {
            break;
        }
        hash = next.block.header.hash();
        next.certificate = next
            .certificate
            .filter(|given| attesters.verify(given, network, number, &hash).is_ok());
        let has_certificate = next.certificate.is_some();
        linked.push(next);
        if has_certificate {
            attested = linked.len();
        }
    }
    linked.truncate(attested);
    linked
}

/// Whether the transactions and verdicts of a block are those that its header
/// commits to.
fn holds_what_it_says(block: &Block, network: &NetworkId, limits: &Limits) -> bool {
    if block.transactions.len() != block.codes.len() {
        return false;
    }
    let count = block.transactions.len() as u64;
    let results: Option<Vec<TransactionResult>> = (0_u64..)
        .zip(block.transactions.iter().zip(&block.codes))
        .map(|(index, (bytes, code))| {
            let transaction = UncheckedTransaction::decode(bytes, network, limits).ok()?;
            Some(TransactionResult {
                index,
                count,
                transaction_id: transaction.id(),
                transaction_hash: transaction.hash(),
                code: *code,
            })
        })
        .collect();
    results.is_some_and(|results| {
        transactions_root(&results) == block.header.transactions_root
            && crypto::merkle::root(&result_leaves(&results)) == block.header.results_root
    })
}
