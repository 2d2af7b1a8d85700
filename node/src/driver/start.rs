//! How a driver begins: with everything the replica ever made durable, or as
//! one that knows it has lost that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use consensus::{Config, Position, Replica, SequenceNumber, Start};
use crypto::SigningKey;
use ledger::Ledger;

use super::{Driver, DriverError, FORWARD_AFTER, Limits, Wiring, records};
use crate::certificates;
use crate::pool::Pool;

/// What a driver is made of.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) key: SigningKey,
    pub(crate) ledger: Arc<Ledger>,
    /// Whether this replica has voted before and has lost its records.
    pub(crate) amnesiac: bool,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    pub(crate) transaction_limits: ledger::Limits,
    pub(crate) wiring: Wiring,
}

/// Reads what the replica left and wakes it.
///
/// # Errors
///
/// When the database cannot be read or a record in it is damaged.
pub(crate) fn start(setup: Setup) -> Result<Driver, DriverError> {
    let Setup {
        config,
        key,
        ledger,
        amnesiac,
        mut pool,
        limits,
        transaction_limits,
        wiring,
    } = setup;
    let found = records::read(&ledger, &config.network, &transaction_limits)?;
    let now = Instant::now();
    for body in found.bodies {
        pool.insert_named(Arc::new(body), now);
    }
    let start = if amnesiac {
        Start::Amnesiac
    } else {
        Start::Recovered {
            position: position(&ledger)?,
            records: found.records,
        }
    };
    let (replica, effects) = Replica::start(config, key, start);
    let mut driver = Driver {
        replica,
        pool,
        ledger,
        limits,
        wiring,
        timers: BTreeMap::new(),
        forward_at: now + FORWARD_AFTER,
        batches: super::Batches::default(),
        executing: BTreeMap::new(),
        recent: crate::recent::RecentTransactions::default(),
        inputs: VecDeque::new(),
        records: records::PendingRecords::default(),
        outbox: Vec::new(),
    };
    driver.gather(effects);
    Ok(driver)
}

/// How far the ledger has come, in the words of consensus.
///
/// # Errors
///
/// When the ledger cannot be read.
pub(crate) fn position(ledger: &Ledger) -> Result<Position, DriverError> {
    let tip = ledger.tip();
    let certified = ledger.latest_certified();
    let stable = match certified {
        Some(number) => {
            let hash = ledger.block_hash(number)?;
            let certificate = ledger.certificate(number)?;
            certificate.map(|found| certificates::to_consensus(number, hash, &found))
        }
        None => None,
    };
    let first = certified.map_or(1, |number| number + 1);
    let mut outcomes = Vec::new();
    for number in first..=tip.number {
        let hash = ledger.block_hash(number)?;
        outcomes.push((SequenceNumber(number), consensus::CheckpointDigest(hash)));
    }
    Ok(Position {
        last_executed: SequenceNumber(tip.number),
        timestamp_ms: tip.timestamp_ms,
        stable,
        outcomes,
    })
}
