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
        let place = self.executing.clone().acquire_owned().await;
        let place = place.expect("the places are never closed");
        let means = self.means.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&means)
        });
        done.await.unwrap_or(Err(EndorseFailure::Stopping))
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
        mut proposals: Vec<SignedProposal>,
    ) -> BoxFuture<'_, Result<Vec<Endorsed>, EndorseFailure>> {
        // Many would hardly ever find room for all of them where a few that come
        // alone always find theirs.
        let room = self.admitted.available_permits().max(1);
        let beyond = proposals.split_off(proposals.len().min(room)).len();
        let is_empty = proposals.is_empty();
        let endorsed = self.execute(proposals.len(), move |means| {
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
            Ok(endorsed.collect::<Vec<Endorsed>>())
        });
        Box::pin(async move {
            let begun = Instant::now();
            let mut endorsed = endorsed.await?;
            if !is_empty {
                self.metrics.took(Phase::Endorse, begun.elapsed());
            }
            let limit = self.limit;
            endorsed.extend((0..beyond).map(|_| Err(EndorseFailure::Busy { limit })));
            Ok(endorsed)
        })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ledger::{NO_EXPIRY, Proposal};

    use super::*;
    use crate::testing::{alice, genesis, replica_key};

    fn proposal(nonce: u8) -> SignedProposal {
        let proposal = Proposal {
            network: genesis().network_id(),
            contract: "kv".to_owned(),
            function: "put".to_owned(),
            args: vec!["k".to_owned(), "v".to_owned()],
            creator: alice().public(),
            nonce: [nonce; 32],
            valid_until_block: NO_EXPIRY,
        };
        proposal.sign(&alice())
    }

    /// However little room a steady trickle of single proposals leaves.
    #[tokio::test]
    async fn of_proposals_that_come_together_as_many_are_endorsed_as_there_is_room_for() {
        let (genesis, folder) = (genesis(), tempfile::tempdir().unwrap());
        let ledger = Ledger::open(folder.path(), &genesis.ledger_genesis()).unwrap();
        let means = (replica_key(0), FaultSwitch::new(false));
        let (network, limits) = (genesis.network_id(), genesis.limits());
        let endorser = Endorser::new(Arc::new(ledger), network, limits, means, 1, Arc::default());
        let single = endorser.admitted.clone().try_acquire_owned().unwrap();
        let all: Vec<_> = (0..64).map(proposal).collect();
        let answers = endorser.endorse(all.clone()).await.unwrap();
        assert_eq!(answers.len(), 64);
        let endorsements = answers[..63]
            .iter()
            .map(|it| &it.as_ref().unwrap().endorsement);
        let signatures: BTreeSet<_> = endorsements.map(|it| it.signature.signature).collect();
        assert_eq!(signatures.len(), 1);
        assert!(matches!(
            answers[63],
            Err(EndorseFailure::Busy { limit: 64 })
        ));
        drop(single);
        let answers = endorser.endorse(all).await.unwrap();
        assert!(answers.iter().all(Result::is_ok));
        let _all = endorser
            .admitted
            .clone()
            .try_acquire_many_owned(64)
            .unwrap();
        let refused = endorser.endorse(vec![proposal(1)]).await;
        assert!(matches!(refused, Err(EndorseFailure::Busy { .. })));
    }
}
