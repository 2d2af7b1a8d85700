//! What a block from elsewhere holds, held against its own header.
//!
//! That the header itself is the network's follows from a certificate; that the
//! verdicts are right, only from execution.

use std::sync::Arc;

use crypto::{NetworkId, merkle};

use crate::block::{Block, TransactionResult, result_leaves, transactions_root};
use crate::transaction::{
    CheckedTransaction, Limits, Refusal, UncheckedTransaction, check_transactions,
};

/// Why a block is none, or does not hold what its header commits to.
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
    /// Something among the transactions is none, or a signature of it does not hold.
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

/// A block whose transactions have the right form. Nobody has looked at their
/// signatures, nor whether the block is what its header says.
#[derive(Debug)]
pub struct UncheckedBlock {
    block: Block,
    transactions: Vec<UncheckedTransaction>,
}

impl UncheckedBlock {
    /// Takes up what came as a block.
    ///
    /// # Errors
    ///
    /// [`ContentsError`] when something in it is no transaction, or has no verdict.
    pub fn new(block: Block, network: &NetworkId, limits: &Limits) -> Result<Self, ContentsError> {
        let transactions = transactions(&block, network, limits)?;
        Ok(Self {
            block,
            transactions,
        })
    }

    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The results that the block claims; see [`claimed_results`].
    ///
    /// # Errors
    ///
    /// [`ContentsError`] when they or the transactions are not those of its header.
    pub fn claimed_results(&self) -> Result<Vec<TransactionResult>, ContentsError> {
        results(&self.block, &self.transactions)
    }

    /// Checks every signature of its transactions.
    ///
    /// # Errors
    ///
    /// [`ContentsError`] when one does not hold.
    pub fn check(self) -> Result<CheckedBlock, ContentsError> {
        let checked = check_transactions(self.transactions).into_iter().zip(0..);
        let checked = checked.map(|(result, index)| match result {
            Ok(transaction) => Ok(Arc::new(transaction)),
            Err(refusal) => Err(ContentsError::Refused { index, refusal }),
        });
        Ok(CheckedBlock {
            transactions: checked.collect::<Result<_, _>>()?,
            block: self.block,
        })
    }
}

/// A block whose every transaction is one that a correct node would have let in.
/// Whether it is what its header says shows when it is executed.
#[derive(Clone, Debug)]
pub struct CheckedBlock {
    block: Block,
    transactions: Vec<Arc<CheckedTransaction>>,
}

impl CheckedBlock {
    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Its transactions, in their order.
    #[must_use]
    pub fn transactions(&self) -> &[Arc<CheckedTransaction>] {
        &self.transactions
    }
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
    results(block, &transactions(block, network, limits)?)
}

fn transactions(
    block: &Block,
    network: &NetworkId,
    limits: &Limits,
) -> Result<Vec<UncheckedTransaction>, ContentsError> {
    let (verdicts, transactions) = (block.verdicts.len(), block.transactions.len());
    if verdicts != transactions {
        return Err(ContentsError::Torn {
            verdicts,
            transactions,
        });
    }
    let decode = |(bytes, index): (&Arc<[u8]>, u64)| {
        UncheckedTransaction::decode(bytes, network, limits)
            .map_err(|refusal| ContentsError::Refused { index, refusal })
    };
    block.transactions.iter().zip(0..).map(decode).collect()
}

fn results(
    block: &Block,
    transactions: &[UncheckedTransaction],
) -> Result<Vec<TransactionResult>, ContentsError> {
    let count = transactions.len() as u64;
    let judged = transactions.iter().zip(&block.verdicts).zip(0..);
    let results: Vec<_> = judged
        .map(|((transaction, verdict), index)| {
            let names = (transaction.id(), transaction.hash());
            TransactionResult::new((index, count), names, transaction.transaction(), verdict)
        })
        .collect();
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
