//! What readers ask. Each answer is of one moment; none waits for a commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use crypto::merkle::InclusionProof;
use crypto::{Digest, decode};

use super::{Ledger, LedgerError, RecentBlock};
use crate::block::{Block, BlockCertificate, StoredBlock, TransactionResult, result_leaves};
use crate::light::AttestedHeader;
use crate::names::is_namespace;
use crate::proof::Receipt;
use crate::proposal::TransactionId;
use crate::rwset::{Version, index_of};
use crate::store::{Family, HistoryEntry, HistoryPart, Location, StoreView, number_key};
use crate::transaction::{Locator, Transaction, TransactionHash};
use crate::validation::{Reason, Verdict};

/// A transaction of a block in its bytes, and the verdict on it.
type Entry = (Arc<[u8]>, Verdict);

/// A transaction that stands in the chain.
#[derive(Clone, Debug)]
pub struct CommittedTransaction {
    /// Where, and with what verdict.
    pub location: Location,
    /// What shows that the verdict is right, where there is more to show.
    pub reason: Option<Reason>,
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
        let block = self.shared_block(&self.store.view(), number)?;
        Ok(block.map(Arc::unwrap_or_clone))
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
        let row = self.store.view().block_row(number)?;
        let row = row.ok_or(LedgerError::NoSuchBlock { number })?;
        Ok(row.header.hash())
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

    /// The header of a block with its certificate; no transaction is read.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn attested_header(&self, number: u64) -> Result<Option<AttestedHeader>, LedgerError> {
        let view = self.store.view();
        let certificate = view.certificate(number)?;
        let row = view.block_row(number)?;
        Ok(row.map(|row| AttestedHeader {
            header: row.header,
            certificate,
        }))
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
    ///
    /// # Panics
    ///
    /// Never: there is an answer for every id.
    pub fn location(&self, id: &TransactionId) -> Result<Option<Location>, LedgerError> {
        let mut found = self.locations(&[*id]);
        found.pop().expect("one is asked for")
    }

    /// Where transactions stand in the chain, in the order of their ids, or why that
    /// cannot be read: together that costs less than one by one.
    pub fn locations(&self, ids: &[TransactionId]) -> Vec<Result<Option<Location>, LedgerError>> {
        let tip = self.tip().number;
        let view = self.store.view();
        let look = |ids: &[_]| view.locations(ids).collect();
        let found = self.absent.locate(ids, tip, look).into_iter();
        found.map(|found| Ok(found?)).collect()
    }

    /// A transaction of the chain.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn transaction(
        &self,
        locator: impl Into<Locator>,
    ) -> Result<Option<CommittedTransaction>, LedgerError> {
        let view = self.store.view();
        let Some((place, (bytes, verdict))) = self.find(&view, locator.into())? else {
            return Ok(None);
        };
        Ok(Some(CommittedTransaction {
            location: Location {
                block: place.block,
                index: place.index,
                code: verdict.code,
            },
            reason: verdict.reason,
            transaction: parsed(&view, place.block, &bytes)?,
        }))
    }

    /// The bytes of those of these transactions that stand in one of the newest
    /// blocks, for others who are at such a block: in one that is in memory, or that
    /// has no certificate yet. Who is further behind takes the blocks themselves. The
    /// one with which they have `max_bytes` together is the last.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn recent_transactions(
        &self,
        hashes: &BTreeSet<TransactionHash>,
        max_bytes: usize,
    ) -> Result<Vec<Vec<u8>>, LedgerError> {
        let (mut found, mut length) = (Vec::new(), 0_usize);
        if hashes.is_empty() {
            return Ok(found);
        }
        let places = self.recent.places(hashes);
        let view = self.store.view();
        let mut block: Option<Arc<Block>> = None;
        for place in places {
            if length >= max_bytes {
                break;
            }
            // They come in the order of the chain.
            let is_at = |block: &Arc<Block>| block.header.number == place.block;
            if !block.as_ref().is_some_and(is_at) {
                block = self.shared_block(&view, place.block)?;
            }
            let block = block.as_ref();
            let body = block.and_then(|block| block.transactions.get(index_of(place.index)));
            let body = body.ok_or_else(|| points_nowhere(&view, place))?;
            length = length.saturating_add(body.len());
            found.push(body.to_vec());
        }
        Ok(found)
    }

    /// The proof of what became of a transaction; none until its block is certified.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn receipt(&self, locator: impl Into<Locator>) -> Result<Option<Receipt>, LedgerError> {
        let view = self.store.view();
        let locator = locator.into();
        let Some(place) = place_named(&view, locator)? else {
            return Ok(None);
        };
        let Some(certificate) = view.certificate(place.block)? else {
            return Ok(None);
        };
        let recent = self.with_results(&view, place.block)?;
        let index = index_of(place.index);
        let Some((bytes, verdict)) = entry_of(&recent.block, index) else {
            return nothing_at(&view, locator, place);
        };
        let leaves = result_leaves(&recent.results);
        let proven = recent
            .results
            .get(index)
            .zip(InclusionProof::build(&leaves, index));
        let Some((result, proof)) = proven else {
            return Err(points_nowhere(&view, place));
        };
        let transaction = parsed(&view, place.block, bytes)?;
        Ok(Some(Receipt {
            transaction_id: result.transaction_id,
            transaction_hash: result.transaction_hash,
            code: result.code,
            response: verdict.response_of(&transaction).cloned(),
            reason: verdict.reason.clone(),
            proof,
            header: recent.block.header.clone(),
            certificate,
        }))
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

    /// The last write to a key before this place of the order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn last_write(
        &self,
        namespace: &str,
        key: &str,
        before: Version,
    ) -> Result<Option<HistoryEntry>, LedgerError> {
        Ok(self.store.view().last_write(namespace, key, before)?)
    }

    /// Where a transaction stands, with its bytes and the verdict on it.
    fn find(
        &self,
        view: &StoreView<'_>,
        locator: Locator,
    ) -> Result<Option<(Version, Entry)>, LedgerError> {
        let Some(place) = place_named(view, locator)? else {
            return Ok(None);
        };
        match self.entry(view, place)? {
            Some(entry) => Ok(Some((place, entry))),
            None => nothing_at(view, locator, place),
        }
    }

    /// The transaction at this place, if there is one.
    fn entry(&self, view: &StoreView<'_>, place: Version) -> Result<Option<Entry>, LedgerError> {
        let at = index_of(place.index);
        let entry = |block: &Block| {
            let (body, verdict) = entry_of(block, at)?;
            Some((body.clone(), verdict.clone()))
        };
        Ok(self
            .shared_block(view, place.block)?
            .as_deref()
            .and_then(entry))
    }

    /// The block with this number, from memory where it is there.
    fn shared_block(
        &self,
        view: &StoreView<'_>,
        number: u64,
    ) -> Result<Option<Arc<Block>>, LedgerError> {
        match self.recent.get(number) {
            Some(recent) => Ok(Some(recent.block)),
            None => Ok(view.block(number)?.map(Arc::new)),
        }
    }

    pub(super) fn with_results(
        &self,
        view: &StoreView<'_>,
        number: u64,
    ) -> Result<RecentBlock, LedgerError> {
        if let Some(recent) = self.recent.get(number) {
            return Ok(recent);
        }
        let block = view.block(number)?;
        let block = block.ok_or(LedgerError::NoSuchBlock { number })?;
        let results = results_of(view, &block)?;
        Ok(RecentBlock {
            hash: block.header.hash(),
            block: block.into(),
            results: results.into(),
        })
    }
}

/// Works the results of a stored block out from its bytes.
fn results_of(view: &StoreView<'_>, block: &Block) -> Result<Vec<TransactionResult>, LedgerError> {
    let number = block.header.number;
    let (transactions, verdicts) = (&block.transactions, &block.verdicts);
    if verdicts.len() != transactions.len() {
        let (found, expected) = (verdicts.len(), transactions.len());
        let what = format!("{found} verdicts on {expected} transactions");
        return Err(damaged(view, Family::Blocks, number, what));
    }
    let count = transactions.len() as u64;
    let entries = transactions.iter().zip(verdicts).zip(0..);
    entries
        .map(|((bytes, verdict), index)| {
            let transaction = parsed(view, number, bytes)?;
            let name = (transaction.proposal.id(), TransactionHash::of_bytes(bytes));
            Ok(TransactionResult::new(
                (index, count),
                name,
                &transaction,
                verdict,
            ))
        })
        .collect()
}

/// Where a transaction stands, or would.
fn place_named(view: &StoreView<'_>, locator: Locator) -> Result<Option<Version>, LedgerError> {
    match locator {
        Locator::Place(place) => Ok(Some(place)),
        Locator::Id(id) => Ok(view.location(&id)?.map(|location| location.place())),
    }
}

fn entry_of(block: &Block, index: usize) -> Option<(&Arc<[u8]>, &Verdict)> {
    block.transactions.get(index).zip(block.verdicts.get(index))
}

/// Nothing stands at a place that was asked for; what the index names must be there.
fn nothing_at<T>(
    view: &StoreView<'_>,
    locator: Locator,
    place: Version,
) -> Result<Option<T>, LedgerError> {
    match locator {
        Locator::Place(_) => Ok(None),
        Locator::Id(_) => Err(points_nowhere(view, place)),
    }
}

/// A transaction of a stored block. Where its bytes are no such one, the error names
/// the block's row.
pub(super) fn parsed(
    view: &StoreView<'_>,
    block: u64,
    bytes: &[u8],
) -> Result<Transaction, LedgerError> {
    decode(bytes, bytes.len())
        .map_err(|error| damaged(view, Family::Blocks, block, error.to_string()))
}

pub(super) fn points_nowhere(view: &StoreView<'_>, place: Version) -> LedgerError {
    let Version { block, index } = place;
    let what = format!("an index says it has a transaction {index}, and it has not");
    damaged(view, Family::Blocks, block, what)
}

/// What is stored of a block in this family is not what it must be.
fn damaged(view: &StoreView<'_>, family: Family, block: u64, what: String) -> LedgerError {
    let error = view.bad_value(family, &number_key(block), Some(block), what);
    error.into()
}
