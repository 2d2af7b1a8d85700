//! What a block from elsewhere holds, held against its own header.
//!
//! That the header itself is the network's follows from a certificate; that the
//! verdicts are right, only from execution.

use crypto::{NetworkId, merkle};

use crate::block::{Block, TransactionResult, result_leaves, transactions_root};
use crate::transaction::{Limits, Refusal, UncheckedTransaction};

/// Why a block does not hold what its header commits to.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// Verdicts and transactions do not go together.
    #[error("{verdicts} verdicts on {transactions} transactions")]
    Torn {
        /// The number of verdicts.
        verdicts: usize,
        /// The number of transactions.
        transactions: usize,
    },
    /// Something among the transactions is none.
    #[error("transaction {index} is refused: {refusal}")]
    Refused {
        /// Its position.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Another root than the header's.
    #[error("its {what} are not those of its header")]
    Other {
        /// Transactions or results.
        what: &'static str,
    },
}

/// The results that a block claims, if they and its transactions are what its
/// header commits to. No signature is looked at.
///
/// # Errors
///
/// [`ContentsError`] when they are not.
pub fn claimed_results(
    block: &Block,
    network: &NetworkId,
    limits: &Limits,
) -> Result<Vec<TransactionResult>, ContentsError> {
    let (verdicts, transactions) = (block.verdicts.len(), block.transactions.len());
    if verdicts != transactions {
        return Err(ContentsError::Torn {
            verdicts,
            transactions,
        });
    }
    let count = transactions as u64;
    let mut results = Vec::with_capacity(transactions);
    for (index, (bytes, verdict)) in (0_u64..).zip(block.transactions.iter().zip(&block.verdicts)) {
        let transaction = UncheckedTransaction::decode(bytes, network, limits)
            .map_err(|refusal| ContentsError::Refused { index, refusal })?;
        results.push(TransactionResult::new(
            (index, count),
            (transaction.id(), transaction.hash()),
            transaction.transaction(),
            verdict,
        ));
    }
    if transactions_root(&results) != block.header.transactions_root {
        let what = "transactions";
        return Err(ContentsError::Other { what });
    }
    if merkle::root(&result_leaves(&results)) != block.header.results_root {
        let what = "verdicts";
        return Err(ContentsError::Other { what });
    }
    Ok(results)
}
