//! Following the chain: every block is verified as it comes, and whoever waits
//! for a transaction in it is told its verdict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::{StoredBlock, TransactionId, TransactionResult, ValidationCode, claimed_results};
use node::api::ClientError;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::exit::{Failure, Outcome};
use crate::network::Network;

/// How long a node is asked to wait for the next block.
const WAIT: Duration = Duration::from_secs(10);

/// The pause after a node did not answer.
const PAUSE: Duration = Duration::from_millis(100);

type Waiting = Arc<Mutex<HashMap<TransactionId, oneshot::Sender<ValidationCode>>>>;

/// Follows the chain until it is dropped.
pub(super) struct Follower {
    waiting: Waiting,
    task: AbortHandle,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// Begins after the newest block of a node that is reachable.
    pub(super) async fn start(network: Arc<Network>) -> Outcome<Self> {
        let status = network.ask(async |node| node.status().await).await?;
        // What was committed and not attested by then is met again.
        let next = status.certified.saturating_add(1);
        let waiting = Waiting::default();
        let task = tokio::spawn(follow(network, next, waiting.clone()));
        Ok(Self {
            waiting,
            task: task.abort_handle(),
        })
    }

    /// The verdict on a transaction, as soon as a block has it. To be asked for
    /// before the transaction is handed in.
    pub(super) fn verdict(&self, id: TransactionId) -> oneshot::Receiver<ValidationCode> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(id, sender);
        receiver
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, id: &TransactionId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(id);
    }
}

async fn follow(network: Arc<Network>, mut next: u64, waiting: Waiting) {
    let mut at = 0_usize;
    loop {
        let node = &network.nodes[at % network.nodes.len()];
        match node.client.stored_block(next, Some(WAIT)).await {
            Ok(stored) => match verified(&network, next, &stored) {
                Ok(results) => {
                    tell(&waiting, &results);
                    next = next.saturating_add(1);
                }
                // It lies, or is broken: another is followed.
                Err(_) => at += 1,
            },
            Err(error) => {
                // A node may be waiting for blocks that others have.
                at += 1;
                if !matches!(&error, ClientError::Refused { status: 404, .. }) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn tell(waiting: &Waiting, results: &[TransactionResult]) {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    for result in results {
        // Of the second of two with one id, the first one's verdict counts.
        if result.code != ValidationCode::DuplicateTransaction
            && let Some(sender) = waiting.remove(&result.transaction_id)
        {
            // Whoever waited may have given up.
            let _ = sender.send(result.code);
        }
    }
}

/// The results in a block, if a quorum attests just these.
fn verified(
    network: &Network,
    number: u64,
    stored: &StoredBlock,
) -> Outcome<Vec<TransactionResult>> {
    let genesis = network.genesis();
    let (id, limits) = (genesis.network_id(), genesis.limits());
    let refuse = |what: &str| Failure::not_verified(format!("block {number}: {what}"));
    let block = &stored.block;
    let certificate = stored.certificate.as_ref();
    let certificate = certificate.ok_or_else(|| refuse("it is not attested"))?;
    genesis
        .attesters()
        .verify(certificate, &id, number, &block.header.hash())
        .map_err(|error| refuse("its certificate does not hold").cause(error))?;
    claimed_results(block, &id, &limits)
        .map_err(|error| refuse("it does not hold what its header says").cause(error))
}
