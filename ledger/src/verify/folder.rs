//! Verification of a stopped node's data folder, which is only looked at.
//!
//! After the chain itself, every row of every family must be the one that
//! executing the chain gives, and there must be no others. Consensus records and
//! batches that no block has yet are opaque: it is only checked that they can be read.

use std::path::Path;

use crypto::codec::Encode;
use crypto::encode;

use super::{BlockSource, ChainProblem, ChainReport, Replayed, SourceError, replay_all};
use crate::block::StoredBlock;
use crate::chain::{Executed, GenesisState};
use crate::store::{
    Family, GuardedNamespaces, OpenMode, Span, StateChange, Store, StoreError, StoreView, TipRow,
    meta, parse_batch_key, state_key,
};

/// Verifies the data folder of a stopped node. Nothing in it changes.
///
/// # Errors
///
/// When there is no ledger of this network to verify: the folder holds none, or
/// another network's, or is in use, or cannot be opened for a reason other than
/// damage. Damage is not an error here but what the report is about.
pub fn verify_folder(path: &Path, genesis: &GenesisState) -> Result<ChainReport, StoreError> {
    let mut report = ChainReport::empty();
    let result = open(path, genesis).and_then(|store| {
        let view = store.view();
        let audit = Audit {
            store: &store,
            view,
        };
        audit.run(genesis, &mut report)
    });
    match result {
        Ok(()) => Ok(report),
        Err(Finding::Problem(problem)) => {
            report.problem = Some(problem);
            Ok(report)
        }
        Err(Finding::CannotVerify(error)) => Err(error),
    }
}

/// Why verification ended early.
enum Finding {
    Problem(ChainProblem),
    CannotVerify(StoreError),
}

impl From<ChainProblem> for Finding {
    fn from(problem: ChainProblem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Finding {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InUse { .. }
            | StoreError::NoLedger { .. }
            | StoreError::OtherNetwork { .. }
            | StoreError::OtherFormat { .. }
            | StoreError::Io { .. }
            | StoreError::Open { .. } => Self::CannotVerify(error),
            damage => Self::Problem(damage.into()),
        }
    }
}

fn open(path: &Path, genesis: &GenesisState) -> Result<Store, Finding> {
    let store = Store::open(path, OpenMode::ReadOnly)?;
    store.check_identity(&store.view(), &genesis.network)?;
    Ok(store)
}

impl BlockSource for StoreView<'_> {
    fn height(&mut self) -> Result<u64, SourceError> {
        Ok(self.tip()?.number)
    }

    fn block(&mut self, number: u64) -> Result<Option<StoredBlock>, SourceError> {
        let certificate = self.certificate(number)?;
        let block = StoreView::block(self, number)?;
        Ok(block.map(|block| StoredBlock { block, certificate }))
    }
}

/// A folder under examination.
struct Audit<'a> {
    store: &'a Store,
    view: StoreView<'a>,
}

/// How many rows the chain accounts for.
#[derive(Default)]
struct Rows {
    transactions: u64,
    history: u64,
    index: u64,
    guarded: GuardedNamespaces,
}

impl Audit<'_> {
    fn run(&self, genesis: &GenesisState, report: &mut ChainReport) -> Result<(), Finding> {
        self.store.check_witness(&self.view)?;
        let mut rows = Rows::default();
        let mut replayed = Replayed::new(genesis);
        self.block_rows(0, &genesis.hash(), (genesis.changes(), &[]), &mut rows)?;
        let mut source = self.store.view();
        replay_all(&mut source, genesis, &mut replayed, report, |executed| {
            self.executed_rows(executed, &mut rows)
        })?;
        self.meta_rows(&replayed, &rows)?;
        self.state_rows(&replayed)?;
        self.counts(report, &replayed, &rows)?;
        self.view.records()?;
        for batch in self.view.recorded_batches(report.height) {
            batch?;
        }
        Ok(())
    }

    /// The rows that a block leaves beside itself.
    fn executed_rows(&self, executed: &Executed, rows: &mut Rows) -> Result<(), ChainProblem> {
        let number = executed.block.header.number;
        let spans = Span::of_all(&executed.block.transactions);
        self.block_rows(number, &executed.hash, (&executed.changes, &spans), rows)?;
        for indexed in &executed.indexed {
            let id_key = indexed.id.0.as_bytes();
            self.expect(Family::Transactions, id_key, number, &indexed.location)?;
            rows.transactions += 1;
        }
        for (key, positions) in &executed.index {
            self.expect(Family::Index, key, number, positions)?;
            rows.index += 1;
        }
        Ok(())
    }

    fn block_rows(
        &self,
        number: u64,
        hash: &crypto::Digest,
        (changes, spans): (&[StateChange], &[Span]),
        rows: &mut Rows,
    ) -> Result<(), ChainProblem> {
        self.expect(Family::Hashes, hash.as_bytes(), number, &number)?;
        for change in changes {
            let key = change.history_key();
            self.expect(Family::History, &key, number, &change.history_row(spans))?;
            rows.history += 1;
        }
        rows.guarded.note(changes);
        Ok(())
    }

    fn meta_rows(&self, replayed: &Replayed, rows: &Rows) -> Result<(), ChainProblem> {
        let number = replayed.parent.header.number;
        let tip = TipRow {
            number,
            hash: replayed.parent.hash,
        };
        self.expect(Family::Meta, meta::TIP, number, &tip)?;
        self.expect(Family::Meta, meta::GUARDED, number, &rows.guarded)?;
        let accumulator = replayed.accumulator.to_bytes();
        self.expect_bytes(Family::Meta, meta::ACCUMULATOR, number, &accumulator)?;
        let mut expected = meta::ALL.iter();
        for row in self.view.rows(Family::Meta, &[], &[]) {
            let (key, _) = row?;
            if expected.next().is_none_or(|name| **name != *key) {
                return Err(self.unexpected(Family::Meta, &key, None));
            }
        }
        Ok(())
    }

    /// The stored state against the executed one, row by row.
    fn state_rows(&self, replayed: &Replayed) -> Result<(), ChainProblem> {
        let mut stored = self.view.rows(Family::State, &[], &[]);
        let mut expected: Vec<_> = replayed
            .state
            .all()
            .map(|(namespace, key, row)| (state_key(namespace, key), row))
            .collect();
        expected.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (key, row) in expected {
            let block = row.version.block;
            match stored.next().transpose()? {
                Some((found, bytes)) if *found == *key => {
                    if *bytes != *encode(row) {
                        return Err(self.altered(Family::State, &key, block));
                    }
                }
                Some((found, _)) if *found < *key => {
                    return Err(self.unexpected(Family::State, &found, None));
                }
                _ => return Err(self.missing(Family::State, &key, block)),
            }
        }
        match stored.next().transpose()? {
            None => Ok(()),
            Some((found, _)) => Err(self.unexpected(Family::State, &found, None)),
        }
    }

    /// That there are no rows which no block accounts for.
    fn counts(
        &self,
        report: &ChainReport,
        replayed: &Replayed,
        rows: &Rows,
    ) -> Result<(), ChainProblem> {
        let expected = [
            (Family::Blocks, report.blocks_verified),
            (Family::Batches, 0),
            (Family::Certificates, replayed.certificates),
            (Family::Transactions, rows.transactions),
            (Family::Hashes, report.blocks_verified),
            (Family::History, rows.history),
            (Family::Index, rows.index),
        ];
        for (family, expected) in expected {
            let mut found = 0_u64;
            for row in self.view.rows(family, &[], &[]) {
                let (key, _) = row?;
                if self.belongs(family, &key, report.height)? {
                    found += 1;
                }
            }
            if found != expected {
                let what = format!(
                    "family {} holds {found} rows, and the chain accounts for {expected}",
                    family.name()
                );
                return Err(ChainProblem::anywhere(&what));
            }
        }
        Ok(())
    }

    /// Whether a row is one of those that the chain accounts for, as far as its key
    /// says: after the newest block there are batches that were voted for, and nothing
    /// else.
    fn belongs(&self, family: Family, key: &[u8], height: u64) -> Result<bool, ChainProblem> {
        match family {
            Family::Blocks | Family::Certificates => {
                let number = self.view.number_of_key(family, key)?;
                if number > height {
                    return Err(self.unexpected(family, key, Some(number)));
                }
                Ok(true)
            }
            Family::Batches => match parse_batch_key(key) {
                Some((number, _)) => Ok(number <= height),
                None => Err(self.unexpected(family, key, None)),
            },
            _ => Ok(true),
        }
    }

    fn expect<T: Encode>(
        &self,
        family: Family,
        key: &[u8],
        block: u64,
        expected: &T,
    ) -> Result<(), ChainProblem> {
        self.expect_bytes(family, key, block, &encode(expected))
    }

    fn expect_bytes(
        &self,
        family: Family,
        key: &[u8],
        block: u64,
        expected: &[u8],
    ) -> Result<(), ChainProblem> {
        match self.view.bytes(family, key) {
            Ok(Some(found)) if found == expected => Ok(()),
            Ok(Some(_)) => Err(self.altered(family, key, block)),
            Ok(None) => Err(self.missing(family, key, block)),
            Err(error) => Err(ChainProblem::at(block, &error)),
        }
    }

    fn altered(&self, family: Family, key: &[u8], block: u64) -> ChainProblem {
        let what = "the value is not the one that executing the chain gives";
        self.view.bad_value(family, key, Some(block), what).into()
    }

    fn missing(&self, family: Family, key: &[u8], block: u64) -> ChainProblem {
        let what = "missing, though executing the chain gives it";
        self.view.bad_value(family, key, Some(block), what).into()
    }

    fn unexpected(&self, family: Family, key: &[u8], block: Option<u64>) -> ChainProblem {
        let what = "there, though nothing in the chain accounts for it";
        self.view.bad_value(family, key, block, what).into()
    }
}
