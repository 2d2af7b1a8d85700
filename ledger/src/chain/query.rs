//! What readers ask. Each answer is of one moment; none waits for a commit.

use crypto::merkle::InclusionProof;
use crypto::{Digest, decode};

use super::{Ledger, LedgerError, RecentBlock};
use crate::block::{Block, BlockCertificate, StoredBlock, TransactionResult, result_leaves};
use crate::names::is_namespace;
use crate::proof::Receipt;
use crate::proposal::TransactionId;
use crate::state::VersionedValue;
use crate::store::{Family, HistoryEntry, HistoryPart, Location, StoreView, number_key};
use crate::transaction::{Transaction, TransactionHash};

/// A transaction that stands in the chain.
#[derive(Clone, Debug)]
pub struct CommittedTransaction {
    /// Where, and with what verdict.
    pub location: Location,
    /// The transaction.
    pub transaction: Transaction,
}

impl Ledger {
    /// The block with this number.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn block(&self, number: u64) -> Result<Option<Block>, LedgerError> {
        match self.recent.get(number) {
            Some(recent) => Ok(Some(recent.block.as_ref().clone())),
            None => Ok(self.store.view().block(number)?),
        }
    }

    /// The block with this hash.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn block_by_hash(&self, hash: &Digest) -> Result<Option<Block>, LedgerError> {
        match self.store.view().number_of(hash)? {
            Some(number) => self.block(number),
            None => Ok(None),
        }
    }

    /// The hash of the block with this number.
    ///
    /// # Errors
    ///
    /// When there is no such block, or the store cannot be read.
    pub fn block_hash(&self, number: u64) -> Result<Digest, LedgerError> {
        if let Some(recent) = self.recent.get(number) {
            return Ok(recent.hash);
        }
        let block = self.block(number)?;
        let block = block.ok_or(LedgerError::NoSuchBlock { number })?;
        Ok(block.header.hash())
    }

    /// The canonical bytes of the block with this number, for others.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn block_bytes(&self, number: u64) -> Result<Option<Vec<u8>>, LedgerError> {
        let view = self.store.view();
        Ok(view.bytes(Family::Blocks, &number_key(number))?)
    }

    /// The certificate of the block with this number, where it has come in.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn certificate(&self, number: u64) -> Result<Option<BlockCertificate>, LedgerError> {
        Ok(self.store.view().certificate(number)?)
    }

    /// A block with its certificate.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn stored_block(&self, number: u64) -> Result<Option<StoredBlock>, LedgerError> {
        let certificate = self.certificate(number)?;
        let block = self.block(number)?;
        Ok(block.map(|block| StoredBlock { block, certificate }))
    }

    /// The blocks of `from..=to` (as far as there are any) without a certificate of
    /// their own, at most `limit`. A later block's attests them, but no receipt
    /// can be made until theirs is fetched.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn uncertified(&self, from: u64, to: u64, limit: usize) -> Result<Vec<u64>, LedgerError> {
        let view = self.store.view();
        let last = to.min(self.tip().number);
        let mut missing = Vec::new();
        for number in from.max(1)..=last {
            if missing.len() == limit {
                break;
            }
            if view
                .bytes(Family::Certificates, &number_key(number))?
                .is_none()
            {
                missing.push(number);
            }
        }
        Ok(missing)
    }

    /// Where the transaction with this id stands, and what became of it.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn location(&self, id: &TransactionId) -> Result<Option<Location>, LedgerError> {
        Ok(self.store.view().location(id)?)
    }

    /// The transaction with this id.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn transaction(
        &self,
        id: &TransactionId,
    ) -> Result<Option<CommittedTransaction>, LedgerError> {
        let view = self.store.view();
        let Some(location) = view.location(id)? else {
            return Ok(None);
        };
        let bytes = self.body(&view, location.block, location.index)?;
        let transaction = decode(&bytes, bytes.len()).map_err(|error| {
            let key = number_key(location.block);
            view.bad_value(
                Family::Blocks,
                &key,
                Some(location.block),
                error.to_string(),
            )
        })?;
        Ok(Some(CommittedTransaction {
            location,
            transaction,
        }))
    }

    /// The bytes of the transaction with this hash, for others.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn transaction_by_hash(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<Vec<u8>>, LedgerError> {
        let view = self.store.view();
        match view.place_of(&hash.0)? {
            Some(place) => self.body(&view, place.block, place.index).map(Some),
            None => Ok(None),
        }
    }

    /// The proof of what became of a transaction; none until its block is certified.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn receipt(&self, id: &TransactionId) -> Result<Option<Receipt>, LedgerError> {
        let view = self.store.view();
        let Some(location) = view.location(id)? else {
            return Ok(None);
        };
        let Some(certificate) = view.certificate(location.block)? else {
            return Ok(None);
        };
        let recent = self.with_results(&view, location.block)?;
        let index = index_of(location.index);
        let leaves = result_leaves(&recent.results);
        let proven = recent
            .results
            .get(index)
            .zip(InclusionProof::build(&leaves, index));
        let Some((result, proof)) = proven else {
            return Err(points_nowhere(&view, location.block, location.index));
        };
        Ok(Some(Receipt {
            transaction_id: result.transaction_id,
            transaction_hash: result.transaction_hash,
            code: result.code,
            proof,
            header: recent.block.header.clone(),
            certificate,
        }))
    }

    /// The value of a key with the place of the write it comes from.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, LedgerError> {
        if !is_namespace(namespace) {
            return Ok(None);
        }
        Ok(self.store.view().state(namespace, key)?)
    }

    /// What was written to a key, oldest first, as much as `part` asks for.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn history(
        &self,
        namespace: &str,
        key: &str,
        part: HistoryPart,
    ) -> Result<Vec<HistoryEntry>, LedgerError> {
        if !is_namespace(namespace) {
            return Ok(Vec::new());
        }
        Ok(self.store.view().history(namespace, key, part)?)
    }

    fn body(&self, view: &StoreView<'_>, block: u64, index: u32) -> Result<Vec<u8>, LedgerError> {
        let at = index_of(index);
        let body = match self.recent.get(block) {
            Some(recent) => recent.block.transactions.get(at).cloned(),
            None => view.block(block)?.and_then(|mut found| {
                (at < found.transactions.len()).then(|| found.transactions.swap_remove(at))
            }),
        };
        body.ok_or_else(|| points_nowhere(view, block, index))
    }

    fn with_results(&self, view: &StoreView<'_>, number: u64) -> Result<RecentBlock, LedgerError> {
        if let Some(recent) = self.recent.get(number) {
            return Ok(recent);
        }
        let block = view.block(number)?;
        let block = block.ok_or(LedgerError::NoSuchBlock { number })?;
        let results = results_of(&block).map_err(|what| {
            view.bad_value(Family::Blocks, &number_key(number), Some(number), what)
        })?;
        Ok(RecentBlock {
            hash: block.header.hash(),
            block: block.into(),
            results: results.into(),
        })
    }
}

/// Works the results of a stored block out from its bytes.
fn results_of(block: &Block) -> Result<Vec<TransactionResult>, String> {
    if block.codes.len() != block.transactions.len() {
        return Err(format!(
            "{} verdicts on {} transactions",
            block.codes.len(),
            block.transactions.len()
        ));
    }
    let count = block.transactions.len() as u64;
    let bodies = block.transactions.iter().zip(&block.codes).zip(0..);
    bodies
        .map(|((bytes, code), index)| {
            let transaction: Transaction =
                decode(bytes, bytes.len()).map_err(|error| error.to_string())?;
            Ok(TransactionResult {
                index,
                count,
                transaction_id: transaction.proposal.id(),
                transaction_hash: TransactionHash::of_bytes(bytes),
                code: *code,
            })
        })
        .collect()
}

fn index_of(index: u32) -> usize {
    usize::try_from(index).expect("a usize has at least 32 bits")
}

fn points_nowhere(view: &StoreView<'_>, block: u64, index: u32) -> LedgerError {
    let what = format!("an index says it has a transaction {index}, and it has not");
    view.bad_value(Family::Blocks, &number_key(block), Some(block), what)
        .into()
}
