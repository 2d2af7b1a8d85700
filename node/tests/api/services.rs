//! The parts that the API asks, as tests want them to answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crypto::{SigningKey, encode};
use genesis::Genesis;
use ledger::{
    CheckedTransaction, Contracts, EndorseError, Ledger, ProposalResponse, SignedProposal,
    Simulation, UncheckedTransaction, check_transactions,
};
use node::services::{
    BoxFuture, Endorse, EndorseFailure, Endorsed, Evaluation, Submit, SubmitError, Submitted,
};
use tokio::sync::Semaphore;
use tokio_util::bytes::Bytes;

/// How many transactions are taken in at a time; more find no room.
const PLACES: usize = 512;

/// Endorses and takes in transactions, or says once what the test has put there.
pub(crate) struct Scripted {
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) pool: Mutex<Vec<Arc<CheckedTransaction>>>,
    pub(crate) pool_is_full: Mutex<bool>,
    places: Semaphore,
    pub(crate) next_submit: Mutex<Option<SubmitError>>,
    pub(crate) next_endorse: Mutex<Option<EndorseFailure>>,
}

impl Scripted {
    pub(crate) fn new(genesis: Arc<Genesis>, ledger: Arc<Ledger>) -> Self {
        Self {
            genesis,
            ledger,
            pool: Mutex::default(),
            pool_is_full: Mutex::default(),
            places: Semaphore::new(PLACES),
            next_submit: Mutex::default(),
            next_endorse: Mutex::default(),
        }
    }

    /// Endorses with this key.
    pub(crate) fn endorse_with(
        &self,
        proposal: &SignedProposal,
        key: &SigningKey,
    ) -> Result<ProposalResponse, EndorseFailure> {
        self.simulate(|simulation| simulation.endorse(proposal, key))
    }

    fn simulate<T>(
        &self,
        work: impl FnOnce(&Simulation<'_>) -> Result<T, EndorseError>,
    ) -> Result<T, EndorseFailure> {
        if let Some(failure) = self.next_endorse.lock().unwrap().take() {
            return Err(failure);
        }
        let snapshot = self.ledger.snapshot()?;
        let simulation = Simulation {
            network: &self.genesis.network_id(),
            limits: &self.genesis.limits(),
            contracts: &Contracts::built_in(),
            view: &snapshot,
            height: snapshot.number(),
        };
        Ok(work(&simulation)?)
    }

    fn take_in(&self, bytes: &[u8]) -> Result<Submitted, SubmitError> {
        if let Some(error) = self.next_submit.lock().unwrap().take() {
            return Err(error);
        }
        let (network, limits) = (self.genesis.network_id(), self.genesis.limits());
        let unchecked = UncheckedTransaction::decode(bytes, &network, &limits)?;
        let checked = check_transactions(vec![unchecked]).remove(0)?;
        let id = checked.id();
        if let Some(location) = self.ledger.location(&id).unwrap() {
            return Ok(Submitted::AlreadyCommitted(id, location));
        }
        self.pool.lock().unwrap().push(Arc::new(checked));
        Ok(Submitted::Accepted(id))
    }
}

impl Submit for Scripted {
    fn submit(&self, bytes: Bytes) -> BoxFuture<'_, Result<Submitted, SubmitError>> {
        Box::pin(async move {
            let Ok(_place) = self.places.try_acquire() else {
                return Err(SubmitError::PoolFull { held: PLACES });
            };
            // Others come meanwhile.
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.take_in(&bytes)
        })
    }

    fn pool_usage(&self) -> (usize, usize) {
        let pool = self.pool.lock().unwrap();
        let bytes = pool.iter().map(|transaction| transaction.bytes().len());
        (pool.len(), bytes.sum())
    }

    fn has_room(&self) -> bool {
        !*self.pool_is_full.lock().unwrap()
    }
}

impl Endorse for Scripted {
    fn endorse(
        &self,
        proposals: Vec<SignedProposal>,
    ) -> BoxFuture<'_, Result<Vec<Endorsed>, EndorseFailure>> {
        let key = crate::common::replica_key(0);
        let answers = self.simulate(|simulation| Ok(simulation.endorse_all(&proposals, &key)));
        Box::pin(async move {
            let answers = answers?.into_iter();
            Ok(answers.map(|answer| Ok(answer?)).collect())
        })
    }

    fn evaluate(
        &self,
        proposal: SignedProposal,
    ) -> BoxFuture<'_, Result<Evaluation, EndorseFailure>> {
        Box::pin(async move {
            let response = self.simulate(|simulation| simulation.evaluate(&proposal))?;
            let tip = self.ledger.tip();
            Ok(Evaluation {
                response,
                height: tip.number,
                block_hash: tip.hash,
            })
        })
    }
}

/// The canonical bytes of something, as JSON carries them.
pub(crate) fn json_bytes<T: crypto::codec::Encode>(value: &T) -> serde_json::Value {
    serde_json::json!({ "bytes": hex::encode(encode(value)) })
}
