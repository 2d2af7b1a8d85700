//! What stands in the place of a chain: the hash of all that was executed, in
//! its order. It is what CHECKPOINTs attest, so replicas that part are found out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use consensus::{CheckpointDigest, SequenceNumber};
use crypto::{Digest, Domain, codec};
use ledger::Ledger;
use tokio::sync::mpsc;

use super::bundle::Bundle;
use super::clients::Waiting;
use super::wire::{OUTCOMES_TOLD, Outcome};
use crate::committer::Job;
use crate::driver::DriverError;
use crate::request::Request as _;

/// The last outcomes, for whoever asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes(Arc<Mutex<VecDeque<Outcome>>>);

impl Outcomes {
    fn add(&self, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.len() == OUTCOMES_TOLD {
            outcomes.pop_front();
        }
        outcomes.push_back(outcome);
    }

    pub(super) fn told(&self) -> Vec<Outcome> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().copied().collect()
    }
}

/// At how many attested batches their payloads are given up: from the disk they go with
/// the last of a file.
const DISCARD_EVERY: u64 = 32;

/// Executes batches, which is to hash them.
pub(super) struct Fold {
    /// Where the driver records them.
    pub(super) ledger: Arc<Ledger>,
    pub(super) jobs: mpsc::Receiver<Job<Bundle>>,
    pub(super) executed: mpsc::Sender<(SequenceNumber, CheckpointDigest)>,
    pub(super) outcomes: Outcomes,
    pub(super) waiting: Waiting,
}

impl Fold {
    /// Works until the driver is gone.
    ///
    /// # Errors
    ///
    /// When a write fails: nothing may be said after that.
    pub(super) async fn run(mut self) -> Result<(), DriverError> {
        let mut last = Outcome {
            sequence: 0,
            digest: Digest::ZERO,
            payloads: 0,
        };
        while let Some(job) = self.jobs.recv().await {
            match job {
                Job::Execute {
                    sequence,
                    batch: _,
                    timestamp_ms,
                    transactions: bundles,
                } => {
                    last = fold(&last, sequence, timestamp_ms, &bundles);
                    self.outcomes.add(last);
                    let outcome = (sequence, CheckpointDigest(last.digest));
                    // It has room for as many as the replica can have asked for.
                    if self.executed.try_send(outcome).is_err() {
                        return Ok(());
                    }
                    for bundle in &bundles {
                        self.waiting.executed(bundle.digest());
                    }
                }
                // The replica keeps the newest certificate itself.
                Job::Certify(certificate) => {
                    let (ledger, through) = (self.ledger.clone(), certificate.checkpoint.sequence);
                    if !through.0.is_multiple_of(DISCARD_EVERY) {
                        continue;
                    }
                    let discarded =
                        tokio::task::spawn_blocking(move || ledger.discard_recorded(through.0));
                    discarded.await.map_err(|_| DriverError::Gone("disk"))??;
                }
                Job::Receive { .. } | Job::BackFill { .. } => {
                    unreachable!("where there are no blocks nobody fetches any")
                }
            }
        }
        Ok(())
    }
}

fn fold(
    last: &Outcome,
    sequence: SequenceNumber,
    timestamp_ms: u64,
    bundles: &[Arc<Bundle>],
) -> Outcome {
    assert_eq!(
        sequence.0,
        last.sequence + 1,
        "batches are executed one after the other"
    );
    let digests: Vec<Digest> = bundles.iter().map(|bundle| bundle.digest().0).collect();
    let folded = (last.digest, sequence.0, timestamp_ms, digests);
    let payloads: u64 = bundles.iter().map(|bundle| bundle.payloads()).sum();
    Outcome {
        sequence: sequence.0,
        digest: Domain::Bundles.hash(&codec::encode(&folded)),
        payloads: last.payloads + payloads,
    }
}

#[cfg(test)]
mod tests {
    use consensus::ReplicaId;
    use tokio_util::bytes::BufMut as _;

    use super::super::bundle::head;
    use super::*;

    fn bundle(number: u64) -> Arc<Bundle> {
        let mut bytes = head(ReplicaId(1), number, 0);
        bytes.put_slice(&[0, 0, 0, 1, 7]);
        Arc::new(Bundle::parse(bytes.freeze()).unwrap())
    }

    /// Replicas that executed something else, or in another order, part at once.
    #[test]
    fn the_hash_is_of_everything_in_its_order() {
        let before = Outcome {
            sequence: 4,
            digest: Digest::ZERO,
            payloads: 10,
        };
        let folded = |numbers: &[u64], time| {
            let bundles: Vec<_> = numbers.iter().copied().map(bundle).collect();
            fold(&before, SequenceNumber(5), time, &bundles)
        };
        let one = folded(&[1, 2], 1);
        assert_eq!((one.sequence, one.payloads), (5, 12));
        assert_eq!(folded(&[1, 2], 1), one);
        for other in [folded(&[2, 1], 1), folded(&[1], 1), folded(&[1, 2], 2)] {
            assert_ne!(other.digest, one.digest);
        }
    }
}
