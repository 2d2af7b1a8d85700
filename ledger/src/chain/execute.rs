//! From a batch to a block: the one place where blocks are made.
//!
//! Execution depends on the state, the predecessor and the batch, and on
//! nothing else, so that every correct node and every later verification makes
//! the same bytes of them. It writes nothing: what is to be written comes out.

use std::sync::Arc;

use crypto::{Digest, merkle};

use super::{LedgerError, OrderedBatch, Tip};
use crate::block::{Block, BlockHeader, TransactionResult, result_leaves, transactions_root};
use crate::contents::CheckedBlock;
use crate::digest::StateAccumulator;
use crate::proposal::TransactionId;
use crate::rwset::{Event, Version};
use crate::state::{Overlay, StateView};
use crate::store::{BlockWrite, IndexRow, IndexedTransaction, Location, Positions, StateChange};
use crate::transaction::CheckedTransaction;
use crate::validation::{Budget, ValidationCode, Verdict, validate};

/// The block that the next one follows.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    pub(crate) header: BlockHeader,
    pub(crate) hash: Digest,
}

impl Parent {
    pub(crate) fn tip(&self) -> Tip {
        Tip {
            number: self.header.number,
            hash: self.hash,
            timestamp_ms: self.header.timestamp_ms,
            state_digest: self.header.state_digest,
        }
    }

    fn next_number(&self) -> u64 {
        let next = self.header.number.checked_add(1);
        next.expect("no chain has 2^64 blocks")
    }

    /// The time of the next block, if this one is agreed for it. Time goes
    /// forward whatever was agreed: a batch decided long after it was proposed
    /// must not stop the chain.
    fn next_timestamp(&self, agreed: u64) -> u64 {
        agreed.max(self.header.timestamp_ms.saturating_add(1))
    }
}

/// A block that was made, with everything it changes.
pub(crate) struct Executed {
    pub(crate) block: Block,
    pub(crate) hash: Digest,
    pub(crate) batch: Digest,
    pub(crate) results: Vec<TransactionResult>,
    pub(crate) indexed: Vec<IndexedTransaction>,
    pub(crate) index: Vec<IndexRow>,
    pub(crate) changes: Vec<StateChange>,
    pub(crate) accumulator: StateAccumulator,
    pub(crate) events: Vec<(TransactionId, Event)>,
}

impl Executed {
    /// What the store writes for it.
    pub(crate) fn write(&self) -> BlockWrite<'_> {
        BlockWrite {
            block: &self.block,
            hash: self.hash,
            batch: self.batch,
            indexed: &self.indexed,
            index: &self.index,
            changes: &self.changes,
            accumulator: &self.accumulator,
        }
    }

    /// This block as the one that the next follows.
    pub(crate) fn parent(&self) -> Parent {
        Parent {
            header: self.block.header.clone(),
            hash: self.hash,
        }
    }
}

/// What grows while the transactions of a batch are executed one after the other.
struct Execution<'a> {
    overlay: Overlay<'a>,
    budget: Budget,
    accumulator: StateAccumulator,
    bodies: Vec<Arc<[u8]>>,
    verdicts: Vec<Verdict>,
    results: Vec<TransactionResult>,
    indexed: Vec<IndexedTransaction>,
    positions: Positions,
    changes: Vec<StateChange>,
    events: Vec<(TransactionId, Event)>,
}

/// Makes the block that follows `parent` of a batch.
pub(crate) fn execute(
    view: &dyn StateView,
    parent: &Parent,
    accumulator: &StateAccumulator,
    batch: OrderedBatch,
) -> Result<Executed, LedgerError> {
    let number = parent.next_number();
    let (sequence, agreed_ms, name) = (batch.sequence, batch.timestamp_ms, batch.name);
    let mut execution = Execution {
        overlay: Overlay::new(view),
        budget: Budget::default(),
        accumulator: accumulator.clone(),
        bodies: Vec::with_capacity(batch.transactions.len()),
        verdicts: Vec::with_capacity(batch.transactions.len()),
        results: Vec::with_capacity(batch.transactions.len()),
        indexed: Vec::with_capacity(batch.transactions.len()),
        positions: Positions::default(),
        changes: Vec::new(),
        events: Vec::new(),
    };
    execution.overlay.expect(&keys(&batch.transactions));
    let count = batch.transactions.len() as u64;
    for (transaction, index) in batch.transactions.into_iter().zip(0_u32..) {
        let version = Version {
            block: number,
            index,
        };
        execution.transaction(&transaction, version, count)?;
    }
    Ok(execution.finish(parent, sequence, agreed_ms, name))
}

/// The keys that transactions have read or write, each with its namespace.
fn keys(transactions: &[Arc<CheckedTransaction>]) -> Vec<(&str, &str)> {
    let bodies = transactions.iter().map(|each| each.transaction());
    let keys = bodies.flat_map(|body| {
        let read = body.rwset.reads.iter().map(|read| read.key.as_str());
        let keys = read.chain(body.rwset.touched());
        keys.map(|key| (body.proposal.contract.as_str(), key))
    });
    keys.collect()
}

impl Execution<'_> {
    fn transaction(
        &mut self,
        transaction: &CheckedTransaction,
        version: Version,
        count: u64,
    ) -> Result<(), LedgerError> {
        let (id, hash) = (transaction.id(), transaction.hash());
        let verdict = validate(&self.overlay, transaction, version.block, &mut self.budget)?;
        let code = verdict.code;
        self.bodies.push(transaction.bytes().clone());
        self.results.push(TransactionResult::new(
            (version.index.into(), count),
            (id, hash),
            transaction.transaction(),
            &verdict,
        ));
        self.verdicts.push(verdict);
        // An id keeps its first place; what comes again under it has none.
        if code != ValidationCode::DuplicateTransaction {
            let location = Location {
                block: version.block,
                index: version.index,
                code,
            };
            self.overlay.commit_id(id, version);
            let proposal = &transaction.transaction().proposal;
            self.positions.add(proposal, version.index);
            self.indexed.push(IndexedTransaction { id, location });
        }
        if code == ValidationCode::Valid {
            self.apply(transaction, version)?;
        }
        Ok(())
    }

    fn apply(
        &mut self,
        transaction: &CheckedTransaction,
        version: Version,
    ) -> Result<(), LedgerError> {
        let body = transaction.transaction();
        let (namespace, args) = (&body.proposal.contract, &body.proposal.args);
        for key in body.rwset.touched() {
            // The row that is replaced goes out of the digest, its own comes in.
            let before = self.overlay.row(namespace, key)?;
            if let Some(row) = &before {
                self.accumulator.remove(namespace, key, row);
            }
            let write = body.rwset.applied(args, key, version, before);
            if let Some(row) = &write.row {
                self.accumulator.add(namespace, key, row);
            }
            self.overlay.apply(namespace, key, &write);
            self.changes.push(StateChange {
                namespace: namespace.clone(),
                key: key.to_owned(),
                version,
                transaction_id: Some(transaction.id()),
                write,
            });
        }
        let events = body.response.events.iter();
        self.events
            .extend(events.map(|event| (transaction.id(), event.clone())));
        Ok(())
    }

    fn finish(self, parent: &Parent, sequence: u64, agreed_ms: u64, batch: Digest) -> Executed {
        let header = BlockHeader {
            number: parent.next_number(),
            previous_hash: parent.hash,
            transactions_root: transactions_root(&self.results),
            results_root: merkle::root(&result_leaves(&self.results)),
            state_digest: self.accumulator.digest(),
            timestamp_ms: parent.next_timestamp(agreed_ms),
            sequence,
        };
        let hash = header.hash();
        let block = Block {
            header,
            transactions: self.bodies,
            verdicts: self.verdicts,
        };
        Executed {
            block,
            hash,
            batch,
            results: self.results,
            indexed: self.indexed,
            index: self.positions.into_rows(parent.next_number()),
            changes: self.changes,
            accumulator: self.accumulator,
            events: self.events,
        }
    }
}

/// Makes the block that follows `parent` again from what `block` holds, and
/// compares: it must come out as it came.
pub(crate) fn replay(
    view: &dyn StateView,
    parent: &Parent,
    accumulator: &StateAccumulator,
    checked: &CheckedBlock,
) -> Result<Executed, LedgerError> {
    let block = checked.block();
    let header = &block.header;
    let number = parent.next_number();
    let expect = Expectation { block: number };
    expect.same("number", &header.number, &number)?;
    expect.same("sequence", &header.sequence, &number)?;
    expect.same("predecessor", &header.previous_hash, &parent.hash)?;
    let timestamp = parent.next_timestamp(header.timestamp_ms);
    expect.same("timestamp", &header.timestamp_ms, &timestamp)?;
    let batch = OrderedBatch {
        sequence: header.sequence,
        name: header.transactions_root,
        timestamp_ms: header.timestamp_ms,
        transactions: checked.transactions().to_vec(),
    };
    let executed = execute(view, parent, accumulator, batch)?;
    let made = &executed.block;
    for (index, (found, code)) in block.codes().zip(made.codes()).enumerate() {
        let found = format!("{found} on transaction {index}");
        let code = format!("{code} on transaction {index}");
        expect.same("verdict", &found, &code)?;
    }
    let commitments = [
        (
            "transactions root",
            header.transactions_root,
            made.header.transactions_root,
        ),
        (
            "results root",
            header.results_root,
            made.header.results_root,
        ),
        (
            "state digest",
            header.state_digest,
            made.header.state_digest,
        ),
    ];
    for (what, found, expected) in commitments {
        expect.same(what, &found, &expected)?;
    }
    if block != made {
        expect.same("contents", "other bytes", "the bytes it was made of")?;
    }
    Ok(executed)
}

struct Expectation {
    block: u64,
}

impl Expectation {
    fn same<T: PartialEq + ToString + ?Sized>(
        &self,
        what: &'static str,
        found: &T,
        expected: &T,
    ) -> Result<(), LedgerError> {
        if found == expected {
            return Ok(());
        }
        Err(LedgerError::Different {
            block: self.block,
            what,
            found: found.to_string(),
            expected: expected.to_string(),
        })
    }
}
