//! Verification of a whole chain against the genesis document, trusting nothing else.
//!
//! Every block is executed again on a state in memory, from genesis on: links,
//! roots, signatures, verdicts, state digests and certificates must all come out
//! as they stand. For a data folder ([`verify_folder`]) everything else that is
//! stored beside the blocks is compared with what execution gives.
//!
//! What deliberately does not live here: mending. A chain that does not verify
//! is fetched again from others.

mod folder;

use std::error::Error;

use serde::Serialize;

use crate::block::{BlockCertificate, StoredBlock};
use crate::chain::{Executed, GenesisState, Parent, replay};
use crate::contents::UncheckedBlock;
use crate::digest::StateAccumulator;
use crate::state::MemoryState;
use crate::store::StoreError;
pub use folder::verify_folder;

/// Why a source could not give what was asked of it.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Where the blocks to verify come from; not believed in anything.
pub trait BlockSource {
    /// The number of the newest block.
    ///
    /// # Errors
    ///
    /// When the source cannot say.
    fn height(&mut self) -> Result<u64, SourceError>;

    /// The block with this number and its certificate.
    ///
    /// # Errors
    ///
    /// When the source cannot read it, or what it read is not a block.
    fn block(&mut self, number: u64) -> Result<Option<StoredBlock>, SourceError>;
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainProblem {
    /// The block it was found at, where that is known.
    pub block: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl ChainProblem {
    fn at(block: u64, what: &(impl ToString + ?Sized)) -> Self {
        Self {
            block: Some(block),
            what: what.to_string(),
        }
    }

    fn anywhere(what: &(impl ToString + ?Sized)) -> Self {
        Self {
            block: None,
            what: what.to_string(),
        }
    }
}

impl From<StoreError> for ChainProblem {
    fn from(error: StoreError) -> Self {
        Self {
            block: error.block(),
            what: error.to_string(),
        }
    }
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// The number of the newest block, as the source has it.
    pub height: u64,
    /// How many blocks hold, block 0 included.
    pub blocks_verified: u64,
    /// How many transactions those blocks hold.
    pub transactions: u64,
    /// How many of the newest blocks no certificate attests yet. They follow from
    /// the attested ones, but a quorum's word for them is not in the chain.
    pub uncertified_tip: u64,
    /// Blocks without a certificate of their own that a later block's attests.
    pub attested_by_successors: u64,
    /// The first thing that is wrong; none when the chain holds.
    pub problem: Option<ChainProblem>,
}

impl ChainReport {
    fn empty() -> Self {
        Self {
            height: 0,
            blocks_verified: 0,
            transactions: 0,
            uncertified_tip: 0,
            attested_by_successors: 0,
            problem: None,
        }
    }

    /// Whether the chain holds.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problem.is_none()
    }
}

/// Verifies the chain that `source` has, from block 0 to its newest block.
pub fn verify_chain(source: &mut impl BlockSource, genesis: &GenesisState) -> ChainReport {
    let mut report = ChainReport::empty();
    let mut replayed = Replayed::new(genesis);
    let nothing_more = |_: &Executed| Ok(());
    let result = replay_all(source, genesis, &mut replayed, &mut report, nothing_more);
    report.problem = result.err();
    report
}

/// The chain as far as it was executed again.
struct Replayed {
    state: MemoryState,
    accumulator: StateAccumulator,
    parent: Parent,
    certificates: u64,
}

impl Replayed {
    fn new(genesis: &GenesisState) -> Self {
        let mut state = MemoryState::default();
        for change in genesis.changes() {
            state.apply(&change.namespace, &change.key, &change.write);
        }
        Self {
            state,
            accumulator: genesis.accumulator().clone(),
            parent: Parent {
                header: genesis.block().header.clone(),
                hash: genesis.hash(),
            },
            certificates: 0,
        }
    }

    fn advance(&mut self, executed: &Executed) {
        for change in &executed.changes {
            self.state
                .apply(&change.namespace, &change.key, &change.write);
        }
        for indexed in &executed.indexed {
            self.state.commit_id(indexed.id, indexed.location.place());
        }
        self.accumulator = executed.accumulator.clone();
        self.parent = executed.parent();
    }
}

/// Executes everything that `source` has; `also` looks at each block after it held.
fn replay_all(
    source: &mut impl BlockSource,
    genesis: &GenesisState,
    replayed: &mut Replayed,
    report: &mut ChainReport,
    mut also: impl FnMut(&Executed) -> Result<(), ChainProblem>,
) -> Result<(), ChainProblem> {
    report.height = source
        .height()
        .map_err(|error| ChainProblem::anywhere(&error))?;
    genesis_block(&fetch(source, 0)?, genesis)?;
    report.blocks_verified = 1;
    for number in 1..=report.height {
        let StoredBlock { block, certificate } = fetch(source, number)?;
        let checked = UncheckedBlock::new(block, &genesis.network, &genesis.limits)
            .and_then(UncheckedBlock::check)
            .map_err(|error| ChainProblem::at(number, &error))?;
        let Replayed {
            state,
            parent,
            accumulator,
            ..
        } = &*replayed;
        let executed = replay(state, parent, accumulator, &checked)
            .map_err(|error| ChainProblem::at(number, &error))?;
        attested(certificate.as_ref(), &executed, genesis, report)?;
        replayed.certificates += u64::from(certificate.is_some());
        also(&executed)?;
        replayed.advance(&executed);
        report.blocks_verified += 1;
        report.transactions += checked.transactions().len() as u64;
    }
    Ok(())
}

fn fetch(source: &mut impl BlockSource, number: u64) -> Result<StoredBlock, ChainProblem> {
    source
        .block(number)
        .map_err(|error| ChainProblem::at(number, &error))?
        .ok_or_else(|| ChainProblem::at(number, &format!("block {number} is missing")))
}

fn genesis_block(stored: &StoredBlock, genesis: &GenesisState) -> Result<(), ChainProblem> {
    let StoredBlock { block, certificate } = stored;
    if block != genesis.block() {
        let what = "block 0 is not the one that the genesis document makes";
        return Err(ChainProblem::at(0, what));
    }
    match certificate {
        None => Ok(()),
        Some(_) => Err(ChainProblem::at(
            0,
            "block 0 has a certificate, and nobody signs it",
        )),
    }
}

fn attested(
    certificate: Option<&BlockCertificate>,
    executed: &Executed,
    genesis: &GenesisState,
    report: &mut ChainReport,
) -> Result<(), ChainProblem> {
    let header = &executed.block.header;
    let Some(certificate) = certificate else {
        report.uncertified_tip += 1;
        return Ok(());
    };
    let (network, sequence) = (&genesis.network, header.sequence);
    genesis
        .attesters
        .verify(certificate, network, sequence, &executed.hash)
        .map_err(|error| {
            let number = header.number;
            ChainProblem::at(
                number,
                &format!("the certificate of block {number} does not hold: {error}"),
            )
        })?;
    report.attested_by_successors += report.uncertified_tip;
    report.uncertified_tip = 0;
    Ok(())
}

/// A source that holds everything in memory.
impl BlockSource for Vec<StoredBlock> {
    fn height(&mut self) -> Result<u64, SourceError> {
        let newest = self.len().checked_sub(1);
        Ok(newest.ok_or("there is no block at all")? as u64)
    }

    fn block(&mut self, number: u64) -> Result<Option<StoredBlock>, SourceError> {
        Ok(usize::try_from(number)
            .ok()
            .and_then(|at| self.get(at))
            .cloned())
    }
}
