//! Executes proposals on a snapshot: to endorse them, or to answer a question.

use std::sync::Arc;
use std::time::Instant;

use crypto::{NetworkId, SigningKey};
use ledger::{Contracts, Ledger, Limits, Overlay, SignedProposal, Simulation};
use tokio::sync::Semaphore;

use crate::fault::FaultSwitch;
use crate::metrics::{Metrics, Phase};
use crate::services::{BoxFuture, Endorse, EndorseFailure, Endorsed, Evaluation};

/// How many proposals may wait for each one that is executed.
const WAITING_PER_PLACE: usize = 64;

/// What execution needs; shared by all executions.
struct Means {
    ledger: Arc<Ledger>,
    network: NetworkId,
    limits: Limits,
    contracts: Contracts,
    key: SigningKey,
    fault: FaultSwitch,
}

/// Endorses and evaluates, a bounded number of proposals at a time.
pub(crate) struct Endorser {
    means: Arc<Means>,
    /// Proposals that are executed or wait for it.
    admitted: Arc<Semaphore>,
    /// Proposals that are executed.
    executing: Arc<Semaphore>,
    limit: usize,
    metrics: Arc<Metrics>,
}

impl Endorser {
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        network: NetworkId,
        limits: Limits,
        (key, fault): (SigningKey, FaultSwitch),
        max_concurrent: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let limit = max_concurrent.saturating_mul(WAITING_PER_PLACE);
        Self {
            means: Arc::new(Means {
                ledger,
                network,
                limits,
                contracts: Contracts::built_in(),
                key,
                fault,
            }),
            admitted: Arc::new(Semaphore::new(limit)),
            executing: Arc::new(Semaphore::new(max_concurrent)),
            limit,
            metrics,
        }
    }

    /// Does work on so many proposals.
    async fn execute<T: Send + 'static>(
        &self,
        count: usize,
        work: impl FnOnce(&Means) -> Result<T, EndorseFailure> + Send + 'static,
    ) -> Result<T, EndorseFailure> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let Ok(_admitted) = self.admitted.clone().try_acquire_many_owned(count) else {
            return Err(EndorseFailure::Busy { limit: self.limit });
        };
        let begun = Instant::now();
        let place = self.executing.clone().acquire_owned().await;
        let place = place.expect("the places are never closed");
        let means = self.means.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&means)
        });
        let done = done.await.unwrap_or(Err(EndorseFailure::Stopping));
        self.metrics.took(Phase::Endorse, begun.elapsed());
        done
    }
}

impl Means {
    fn simulate<T>(
        &self,
        work: impl FnOnce(&Simulation<'_>) -> T,
    ) -> Result<(T, u64, crypto::Digest), EndorseFailure> {
        let snapshot = self.ledger.snapshot()?;
        let simulation = Simulation {
            network: &self.network,
            limits: &self.limits,
            contracts: &self.contracts,
            // What the proposals of one call have in common is read once.
            view: &Overlay::new(&snapshot),
            height: snapshot.number(),
        };
        let outcome = work(&simulation);
        Ok((outcome, snapshot.number(), snapshot.block_hash()))
    }
}

impl Endorse for Endorser {
    fn endorse(
        &self,
        proposals: Vec<SignedProposal>,
    ) -> BoxFuture<'_, Result<Vec<Endorsed>, EndorseFailure>> {
        Box::pin(self.execute(proposals.len(), move |means| {
            let (endorsed, ..) =
                means.simulate(|simulation| simulation.endorse_all(&proposals, &means.key))?;
            let Means {
                fault,
                network,
                key,
                ..
            } = means;
            let distort = |response| fault.distort_endorsement(response, network, key);
            let endorsed = endorsed.into_iter();
            let endorsed = endorsed.map(|each| Ok(each.map(distort)?));
            Ok(endorsed.collect())
        }))
    }

    fn evaluate(
        &self,
        proposal: SignedProposal,
    ) -> BoxFuture<'_, Result<Evaluation, EndorseFailure>> {
        Box::pin(self.execute(1, move |means| {
            let (response, height, block_hash) =
                means.simulate(|simulation| simulation.evaluate(&proposal))?;
            Ok(Evaluation {
                response: response?,
                height,
                block_hash,
            })
        }))
    }
}
