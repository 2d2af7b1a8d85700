//! The committer applies blocks: the only writer of the chain.
//!
//! Batches that consensus has ordered and blocks that were fetched come through
//! one queue to one thread. Whatever the two paths deliver, block `n` is
//! applied once, after block `n - 1`.

use std::sync::Arc;

use consensus::{BatchDigest, CheckpointCertificate, CheckpointDigest, SequenceNumber};
use ledger::{
    BlockCertificate, CheckedBlock, CheckedTransaction, Ledger, LedgerError, OrderedBatch,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::certificates;
use crate::driver::DriverError;
use crate::metrics::Metrics;
use crate::services::Progress;

/// One piece of work.
pub(crate) enum Job<R = CheckedTransaction> {
    Execute {
        sequence: SequenceNumber,
        batch: BatchDigest,
        timestamp_ms: u64,
        transactions: Vec<Arc<R>>,
    },
    Certify(CheckpointCertificate),
    Receive {
        block: CheckedBlock,
        certificate: Option<BlockCertificate>,
        reply: oneshot::Sender<Result<(), LedgerError>>,
    },
    BackFill {
        number: u64,
        certificate: BlockCertificate,
    },
}

/// Where work for the committer is left.
#[derive(Clone)]
pub(crate) struct CommitterHandle<R = CheckedTransaction> {
    jobs: mpsc::Sender<Job<R>>,
}

/// A queue of at most so many jobs.
pub(crate) fn jobs<R>(capacity: usize) -> (CommitterHandle<R>, mpsc::Receiver<Job<R>>) {
    let (jobs, queue) = mpsc::channel(capacity);
    (CommitterHandle { jobs }, queue)
}

impl<R> CommitterHandle<R> {
    /// Execute this batch next.
    pub(crate) async fn execute(
        &self,
        (sequence, batch): (SequenceNumber, BatchDigest),
        timestamp_ms: u64,
        transactions: Vec<Arc<R>>,
    ) -> Result<(), DriverError> {
        self.leave(Job::Execute {
            sequence,
            batch,
            timestamp_ms,
            transactions,
        })
        .await
    }

    /// Keep this certificate of a block that was executed.
    pub(crate) async fn certify(
        &self,
        certificate: CheckpointCertificate,
    ) -> Result<(), DriverError> {
        self.leave(Job::Certify(certificate)).await
    }

    async fn leave(&self, job: Job<R>) -> Result<(), DriverError> {
        let left = self.jobs.send(job).await;
        left.map_err(|_| DriverError::Gone("committer"))
    }
}

impl CommitterHandle {
    /// Keep a fetched certificate, verified, of a block that is in the chain.
    pub(crate) async fn back_fill(
        &self,
        number: u64,
        certificate: BlockCertificate,
    ) -> Result<(), DriverError> {
        self.leave(Job::BackFill {
            number,
            certificate,
        })
        .await
    }

    /// Apply a fetched block that is known to be the network's.
    pub(crate) async fn receive(
        &self,
        block: CheckedBlock,
        certificate: Option<BlockCertificate>,
    ) -> Result<Result<(), LedgerError>, DriverError> {
        let (reply, answer) = oneshot::channel();
        self.leave(Job::Receive {
            block,
            certificate,
            reply,
        })
        .await?;
        answer.await.map_err(|_| DriverError::Gone("committer"))
    }
}

/// See the module.
pub(crate) struct Committer {
    ledger: Arc<Ledger>,
    jobs: mpsc::Receiver<Job>,
    executed: mpsc::Sender<(SequenceNumber, CheckpointDigest)>,
    progress: watch::Sender<Progress>,
    metrics: Arc<Metrics>,
}

impl Committer {
    /// A committer, and the handle by which work reaches it. `executed` must
    /// have room for as many outcomes as the replica can have asked for.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        capacity: usize,
        executed: mpsc::Sender<(SequenceNumber, CheckpointDigest)>,
        progress: watch::Sender<Progress>,
        metrics: Arc<Metrics>,
    ) -> (Self, CommitterHandle) {
        let (handle, jobs) = jobs(capacity);
        let committer = Self {
            ledger,
            jobs,
            executed,
            progress,
            metrics,
        };
        (committer, handle)
    }

    /// Works until every handle is gone. Blocks its thread.
    ///
    /// # Errors
    ///
    /// When a write fails: nothing may be said after that.
    pub(crate) fn run(mut self) -> Result<(), LedgerError> {
        while let Some(job) = self.jobs.blocking_recv() {
            match job {
                Job::Execute {
                    sequence,
                    batch,
                    timestamp_ms,
                    transactions,
                } => self.execute((sequence, batch), timestamp_ms, transactions)?,
                Job::Certify(certificate) => {
                    let number = certificate.checkpoint.sequence.0;
                    let certificate = certificates::to_ledger(&certificate);
                    self.certify(number, &certificate)?;
                }
                Job::BackFill {
                    number,
                    certificate,
                } => self.certify(number, &certificate)?,
                Job::Receive {
                    block,
                    certificate,
                    reply,
                } => {
                    let outcome = match self.receive(&block, certificate) {
                        Err(error) if error.is_store_failure() => return Err(error),
                        outcome => outcome,
                    };
                    // Whoever asked may have gone away with the node.
                    let _ = reply.send(outcome);
                }
            }
        }
        Ok(())
    }

    fn execute(
        &self,
        (sequence, batch): (SequenceNumber, BatchDigest),
        timestamp_ms: u64,
        transactions: Vec<Arc<CheckedTransaction>>,
    ) -> Result<(), LedgerError> {
        let tip = self.ledger.tip();
        // Catching up may have brought this block while the batch was queued.
        let hash = if sequence.0 <= tip.number {
            self.ledger.block_hash(sequence.0)?
        } else {
            let committed = self.ledger.commit(OrderedBatch {
                sequence: sequence.0,
                name: batch.0,
                timestamp_ms,
                transactions,
            })?;
            self.metrics.committed(&committed.results);
            self.show_progress();
            committed.hash
        };
        self.executed
            .try_send((sequence, CheckpointDigest(hash)))
            .unwrap_or_else(|_| tracing::debug!("the driver is gone, {sequence} is on disk"));
        Ok(())
    }

    fn receive(
        &self,
        block: &CheckedBlock,
        certificate: Option<BlockCertificate>,
    ) -> Result<(), LedgerError> {
        let header = &block.block().header;
        let number = header.number;
        // A batch that was queued before may have led here already.
        if number > self.ledger.tip().number {
            let committed = self.ledger.commit_received(block)?;
            self.metrics.committed(&committed.results);
            self.show_progress();
        } else if self.ledger.block_hash(number)? != header.hash() {
            return Err(LedgerError::Different {
                block: number,
                what: "hash",
                found: header.hash().to_string(),
                expected: self.ledger.block_hash(number)?.to_string(),
            });
        }
        match certificate {
            Some(certificate) => self.certify(number, &certificate),
            None => Ok(()),
        }
    }

    fn certify(&self, number: u64, certificate: &BlockCertificate) -> Result<(), LedgerError> {
        self.ledger.put_certificate(number, certificate)?;
        self.show_progress();
        Ok(())
    }

    fn show_progress(&self) {
        self.progress.send_modify(|progress| {
            progress.committed = self.ledger.tip().number;
            progress.certified = self.ledger.latest_certified().unwrap_or(0);
            progress.changes += 1;
        });
    }
}
