//! Following the chain: every block is verified as it comes, and whoever waits
//! for a transaction in it is told its verdict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger::{
    StoredBlock, Transaction, TransactionId, TransactionResult, ValidationCode, claimed_results,
};
use node::api::ClientError;
use node::api::types::SubmitAnswer;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Client, Node};
use crate::error::Error;
use crate::order::{Word, hand_in, receipt_at};

/// How long a node is asked to wait for the next block.
const WAIT: Duration = Duration::from_secs(10);

/// How long a node is waited for before the next one is asked beside it.
const SILENCE: Duration = Duration::from_secs(1);

/// A block that was there already when it was asked for comes within this time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The pause after a node did not answer.
const PAUSE: Duration = Duration::from_millis(100);

type Waiting = Arc<Mutex<HashMap<TransactionId, oneshot::Sender<ValidationCode>>>>;

/// Follows the chain until it is dropped. Made by [`Client::follow`].
#[derive(Debug)]
pub struct Follower {
    waiting: Waiting,
    task: AbortHandle,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follower {
    /// The verdict on a transaction, as soon as a block has it. To be asked for
    /// before the transaction is handed in.
    fn verdict(&self, id: TransactionId) -> oneshot::Receiver<ValidationCode> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(id, sender);
        receiver
    }
}

impl Client {
    /// Begins to follow the chain after the newest certified block that is shown by one of
    /// more nodes than may be faulty; every block is verified. To be called within a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// What [`Client::ask`] fails with.
    pub async fn follow(&self) -> Result<Follower, Error> {
        // What was committed and not attested by then is met again.
        let next = self.newest_certified().await?.saturating_add(1);
        let waiting = Waiting::default();
        let task = tokio::spawn(follow(self.clone(), next, waiting.clone()));
        Ok(Follower {
            waiting,
            task: task.abort_handle(),
        })
    }

    /// The newest of the blocks that the nodes show with a certificate which holds. One
    /// that lies could name a block that will never be, or one long ago.
    async fn newest_certified(&self) -> Result<u64, Error> {
        let enough = self.genesis().replica_set().weak_quorum();
        let (mut shown, mut last) = (Vec::new(), None);
        for node in self.nodes_to_ask() {
            let answer = self.certified_at(node).await;
            node.heed(&answer);
            match answer {
                Ok(number) => shown.push(number),
                Err(error) => last = Some(error),
            }
            if shown.len() == enough {
                break;
            }
        }
        let newest = shown.into_iter().max();
        newest.ok_or_else(|| self.nobody(last))
    }

    async fn certified_at(&self, node: &Node) -> Result<u64, ClientError> {
        let certified = node.api().status().await?.certified;
        // Block 0 is genesis itself.
        if certified > 0 {
            let stored = node.api().stored_block(certified, None).await?;
            if verified(self, certified, &stored).is_none() {
                let reason = format!("block {certified} is not attested as it shows it");
                return Err(node.api().nonsense(reason));
            }
        }
        Ok(certified)
    }

    /// Hands in a transaction like [`Client::order`] and learns its verdict from
    /// the blocks that `follower` sees: no receipt is asked for, unless the
    /// transaction stands in the chain already.
    ///
    /// # Errors
    ///
    /// Those of [`Client::order`].
    pub async fn order_by(
        &self,
        follower: &Follower,
        transaction: Transaction,
        within: Duration,
    ) -> Result<ValidationCode, Error> {
        let id = transaction.proposal.id();
        let word = Blocks {
            client: self,
            follower,
            id,
            verdict: Some(follower.verdict(id)),
        };
        let (_, code) = hand_in(self, transaction, within, word).await?;
        self.learn(code).await;
        Ok(code)
    }
}

/// The chain is watched for the transaction.
struct Blocks<'a> {
    client: &'a Client,
    follower: &'a Follower,
    id: TransactionId,
    /// None when somebody else waits for the same transaction since.
    verdict: Option<oneshot::Receiver<ValidationCode>>,
}

impl Word for Blocks<'_> {
    type Is = ValidationCode;

    async fn of(
        &mut self,
        node: &Node,
        answer: &SubmitAnswer,
        wait: Duration,
    ) -> Result<Option<ValidationCode>, Error> {
        if let (None, Some(verdict)) = (answer.committed, &mut self.verdict) {
            match timeout(wait, verdict).await {
                Ok(Ok(code)) => return Ok(Some(code)),
                Ok(Err(_)) => self.verdict = None,
                Err(_) => return Ok(None),
            }
        }
        let receipt = receipt_at(self.client, node, &self.id, wait).await?;
        Ok(receipt.map(|receipt| receipt.code))
    }
}

impl Drop for Blocks<'_> {
    /// Nobody waits for it any more.
    fn drop(&mut self) {
        let waiting = self.follower.waiting.lock();
        waiting
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

async fn follow(client: Client, mut next: u64, waiting: Waiting) {
    let mut at = 0_usize;
    loop {
        let asked = Instant::now();
        let (first, second) = (client.node(at), client.node(at + 1));
        // One that shows what others have long had must not hold this up.
        let beside = async {
            sleep(SILENCE).await;
            block(&client, second, next).await
        };
        let (shown, from) = tokio::select! {
            shown = block(&client, first, next) => (shown, at),
            Some(results) = beside => (Some(results), at + 1),
        };
        match shown {
            Some(results) => {
                tell(&waiting, &results);
                next = next.saturating_add(1);
                // Whether it was late or is the first to have it, the next one shows.
                at = from + usize::from(asked.elapsed() > AT_ONCE);
            }
            None => at += 1,
        }
    }
}

/// What became of the transactions in a block, if this node shows it in a while and a
/// quorum attests it.
async fn block(client: &Client, node: &Node, number: u64) -> Option<Vec<TransactionResult>> {
    match node.api().stored_block(number, Some(WAIT)).await {
        Ok(stored) => verified(client, number, &stored),
        Err(ClientError::Refused { status: 404, .. }) => None,
        Err(_) => {
            sleep(PAUSE).await;
            None
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
fn verified(client: &Client, number: u64, stored: &StoredBlock) -> Option<Vec<TransactionResult>> {
    let genesis = client.genesis();
    let (id, limits) = (genesis.network_id(), genesis.limits());
    let block = &stored.block;
    let certificate = stored.certificate.as_ref()?;
    let hash = block.header.hash();
    let attested = genesis.attesters().verify(certificate, &id, number, &hash);
    attested.ok()?;
    claimed_results(block, &id, &limits).ok()
}
