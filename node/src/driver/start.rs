//! How a driver begins: with everything the replica ever made durable, or as
//! one that knows it has lost that.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use consensus::{Config, Position, Record, Replica, RequestDigest, SequenceNumber, Start};
use crypto::{PublicKey, SigningKey};
use ledger::Ledger;

use super::batches::Batches;
use super::outbox::Faults;
use super::pacing::Pacing;
use super::{Driver, DriverError, FORWARD_AFTER, Limits, Wiring, phases, records};
use crate::certificates;
use crate::journal::Journal;
use crate::pool::Pool;
use crate::request::Request;

/// What a driver is made of.
pub(crate) struct Setup<R: Request> {
    pub(crate) config: Config,
    pub(crate) key: SigningKey,
    pub(crate) ledger: Arc<Ledger>,
    /// Whether this replica has voted before and has lost its records.
    pub(crate) amnesiac: bool,
    pub(crate) pool: Pool<R>,
    pub(crate) limits: Limits,
    pub(crate) transaction_limits: ledger::Limits,
    /// The names of clients.
    pub(crate) names: HashMap<PublicKey, String>,
    /// Where the replica's inputs are recorded.
    pub(crate) journal: Option<Journal>,
    pub(crate) wiring: Wiring<R>,
}

/// Reads what the replica left and wakes it. What it begins with is on disk
/// when this returns.
///
/// # Errors
///
/// When the database cannot be used or a record in it is damaged.
pub(crate) async fn start<R: Request>(setup: Setup<R>) -> Result<Driver<R>, DriverError> {
    let Setup {
        config,
        key,
        ledger,
        amnesiac,
        mut pool,
        limits,
        transaction_limits,
        names,
        mut journal,
        wiring,
    } = setup;
    let found = records::read(&ledger, &config.network, &transaction_limits)?;
    let now = Instant::now();
    let mut batches = Batches::new(limits.max_batch_bytes);
    take_in_bodies(&found, &ledger, &mut pool, &mut batches, now)?;
    let start = if amnesiac {
        Start::Amnesiac
    } else {
        Start::Recovered {
            position: position(&ledger)?,
            records: found.records,
        }
    };
    for evidence in found.evidence {
        wiring.evidence.add(evidence);
    }
    let pacing = Pacing::new(config.request_timeout);
    let faults = Faults::new(config.clone(), key.clone(), names);
    let (replica, effects) = match &mut journal {
        Some(journal) => journal.start(config, key, start),
        None => Replica::start(config, key, start),
    };
    let phases = phases::Phases::new(wiring.metrics.clone());
    let mut driver = Driver {
        replica,
        journal,
        pool,
        ledger,
        limits,
        wiring,
        timers: BTreeMap::new(),
        forward_at: now + FORWARD_AFTER,
        view_entered_at: now,
        told_overdue: false,
        unattested: None,
        batches,
        executing: BTreeMap::new(),
        recent: crate::recent::RecentTransactions::default(),
        inputs: VecDeque::new(),
        records: records::PendingRecords::default(),
        outbox: Vec::new(),
        phases,
        pacing,
        faults,
    };
    driver.gather(effects);
    driver.drain_inputs();
    driver.let_out().await?;
    Ok(driver)
}

/// Takes in the transactions of the batches that this replica voted for: held
/// for those, and in the pool unless a block has them. There they wait; of the
/// batches that its view still has, the replica asks again by itself.
fn take_in_bodies<R: Request>(
    found: &records::Found<R>,
    ledger: &Ledger,
    pool: &mut Pool<R>,
    batches: &mut Batches<R>,
    now: Instant,
) -> Result<(), DriverError> {
    let by_hash: HashMap<RequestDigest, &Arc<R>> = found
        .bodies
        .iter()
        .map(|body| (body.digest(), body))
        .collect();
    let tip = SequenceNumber(ledger.tip().number);
    batches.forget(tip);
    for record in &found.records {
        let (sequence, voted_for) = match record {
            Record::PrePrepared(proposed) => (
                proposed.pre_prepare.body.sequence,
                std::slice::from_ref(&proposed.batch),
            ),
            Record::VotedBefore { sequence, batches } => (*sequence, &batches[..]),
            _ => continue,
        };
        if sequence <= tip {
            continue;
        }
        for batch in voted_for {
            let mut bodies = Vec::new();
            for hash in &batch.requests {
                let Some(&body) = by_hash.get(hash) else {
                    let missing = format!("{hash} of the batch {sequence} is missing");
                    return Err(DriverError::BadBody(missing));
                };
                if !body.is_in(ledger)? {
                    pool.insert_named(body.clone(), now);
                }
                bodies.push(body.clone());
            }
            batches.hold(sequence, batch.digest(), bodies);
        }
    }
    Ok(())
}

/// How far the ledger has come, in the words of consensus.
///
/// # Errors
///
/// When the ledger cannot be read.
pub(crate) fn position(ledger: &Ledger) -> Result<Position, DriverError> {
    // In this order: a block may be committed and attested in between.
    let certified = ledger.latest_certified();
    let tip = ledger.tip();
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
