//! Handing in a transaction and waiting until a quorum's word for it is here.

use std::time::Duration;

use ledger::{Receipt, Transaction, TransactionId, ValidationCode};
use node::api::ClientError;
use node::api::types::SubmitAnswer;
use tokio::time::Instant;

use crate::client::{Client, Node};
use crate::error::Error;

/// How long one node is waited for before the transaction is handed to another,
/// too: the first may have gone, or be lying about having passed it on.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pause before nodes are asked again that had no room.
const PAUSE: Duration = Duration::from_millis(200);

/// A transaction with the proof of what became of it.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// What was handed in.
    pub transaction: Transaction,
    /// Its receipt, verified.
    pub receipt: Receipt,
    /// From when it was handed in until the receipt was here.
    pub latency: Duration,
}

impl Submitted {
    /// The verdict.
    #[must_use]
    pub fn code(&self) -> ValidationCode {
        self.receipt.code
    }

    /// Whether it took effect.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.code() == ValidationCode::Valid
    }
}

impl Client {
    /// Hands in a transaction, to one node after the other, until its receipt is
    /// here and verifies. Handed in twice it still counts once.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Node`] when certainly nobody has taken it;
    /// [`Error::Unknown`] when somebody may have, and there is no receipt in time.
    pub async fn order(
        &self,
        transaction: Transaction,
        within: Duration,
    ) -> Result<Submitted, Error> {
        let begin = Instant::now();
        let word = Receipts {
            client: self,
            id: transaction.proposal.id(),
        };
        let (transaction, receipt) = hand_in(self, transaction, within, word).await?;
        self.learn(receipt.code).await;
        Ok(Submitted {
            transaction,
            receipt,
            latency: begin.elapsed(),
        })
    }
}

/// Where a quorum's word for a transaction comes from.
pub(crate) trait Word {
    /// The word.
    type Is;

    /// What there is of it after this node took the transaction in, waited for at
    /// most this long.
    fn of(
        &mut self,
        node: &Node,
        answer: &SubmitAnswer,
        wait: Duration,
    ) -> impl Future<Output = Result<Option<Self::Is>, Error>> + Send;
}

/// The node that took it in is asked for its receipt.
struct Receipts<'a> {
    client: &'a Client,
    id: TransactionId,
}

impl Word for Receipts<'_> {
    type Is = Receipt;

    async fn of(
        &mut self,
        node: &Node,
        _: &SubmitAnswer,
        wait: Duration,
    ) -> Result<Option<Receipt>, Error> {
        receipt_at(self.client, node, &self.id, wait).await
    }
}

/// The receipt that this node shows, if it has one yet.
pub(crate) async fn receipt_at(
    client: &Client,
    node: &Node,
    id: &TransactionId,
    wait: Duration,
) -> Result<Option<Receipt>, Error> {
    match node.api().receipt(id, wait).await {
        Ok(receipt) => {
            client.verify(id.into(), &receipt)?;
            Ok(Some(receipt))
        }
        Err(error) if error.code() == Some("NOT_FOUND") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What came of handing in so far.
#[derive(Default)]
struct Attempts {
    /// Some node has the transaction, or may have it.
    taken: bool,
    /// Of the nodes that were asked last, one after the other: whether one may take
    /// it when asked again.
    may_come: bool,
    /// How many of them have refused it, and how the first did.
    refusals: usize,
    refusal: Option<ClientError>,
    /// One has refused it for what its state says, and may be behind.
    may_be_behind: bool,
    last: Option<Error>,
}

impl Attempts {
    fn refused(&mut self, error: ClientError) {
        self.taken |= error.may_have_arrived();
        if error.is_refusal() {
            self.refusals += 1;
            self.may_be_behind |= error.code() == Some("UNKNOWN_CREATOR");
            self.refusal.get_or_insert(error);
            return;
        }
        self.may_come |=
            error.may_have_arrived() || !matches!(error, ClientError::Unreachable { .. });
        self.last = Some(error.into());
    }

    /// No word has come, and none is waited for any longer.
    fn over(self, transaction: Transaction) -> Error {
        let said = if self.taken {
            self.last
        } else {
            self.refusal.map(Error::from).or(self.last)
        };
        match said {
            Some(error) if !self.taken => error,
            last => Error::Unknown {
                transaction: Box::new(transaction),
                last: last.map(Box::new),
            },
        }
    }
}

/// Hands in the same bytes, to one node after the other, until a quorum's word is
/// here. A refusal is believed when nobody can have taken the transaction and a
/// correct node has refused it, or every node that there is. What is refused for
/// the state takes a quorum: a correct node that is behind, and one that lies and
/// has passed it on, are no proof that it cannot be valid.
pub(crate) async fn hand_in<W: Word>(
    client: &Client,
    transaction: Transaction,
    within: Duration,
    mut word: W,
) -> Result<(Transaction, W::Is), Error> {
    let deadline = Instant::now() + within;
    let replicas = client.genesis().replica_set();
    let mut so_far = Attempts::default();
    loop {
        (so_far.may_come, so_far.refusals) = (false, 0);
        for node in client.in_turn() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(so_far.over(transaction));
            }
            let answer = node.api().submit_within(&transaction, left).await;
            node.heed(&answer);
            let left = deadline.saturating_duration_since(Instant::now());
            match answer {
                Ok(answer) => {
                    (so_far.taken, so_far.may_come) = (true, true);
                    match word.of(node, &answer, left.min(PATIENCE)).await {
                        Ok(Some(word)) => return Ok((transaction, word)),
                        Ok(None) => so_far.last = None,
                        Err(error) => so_far.last = Some(error),
                    }
                }
                Err(error) => {
                    let is_over = error.is_busy() && !client.waits_for_room();
                    so_far.refused(error);
                    if is_over {
                        return Err(so_far.over(transaction));
                    }
                }
            }
            let enough = if so_far.may_be_behind {
                replicas.quorum()
            } else {
                replicas.weak_quorum()
            };
            if !so_far.taken && so_far.refusals >= enough {
                return Err(so_far.over(transaction));
            }
        }
        if !so_far.may_come && (!so_far.taken || so_far.refusals == 0) {
            // Nobody is there any more.
            return Err(so_far.over(transaction));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
