//! What the replica asks for, done in order.

use std::time::Instant;

use consensus::{Batch, Effect, Record, SequenceNumber};

use super::batches::{Question, transaction_hashes};
use super::{Driver, DriverError};
use crate::clock;
use crate::network::{Class, PeerId};

impl Driver {
    /// Sorts effects into what is written first, what is answered here and
    /// now, and what goes out afterwards.
    pub(super) fn gather(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.gather_record(&record),
                Effect::Truncate { through } => self.records.truncate(through),
                Effect::CheckBatch {
                    view,
                    sequence,
                    digest,
                    batch,
                } => {
                    let question = Question {
                        view,
                        sequence,
                        digest,
                    };
                    self.check_batch(question, &batch);
                }
                later => self.outbox.push(later),
            }
        }
    }

    fn check_batch(&mut self, question: Question, batch: &Batch) {
        // After a restart the replica asks again about what it has voted for;
        // the clock may have been set back meanwhile.
        if self.batches.holds(question.sequence, question.digest) {
            self.inputs.push_back(question.answer(Ok(())));
            return;
        }
        let proposer = self.replica.primary();
        let answer = match self.check_time(batch) {
            Ok(()) => self
                .batches
                .check(&self.pool, question, batch, proposer, Instant::now()),
            Err(reason) => Some(question.answer(Err(reason))),
        };
        self.inputs.extend(answer);
    }

    fn gather_record(&mut self, record: &Record) {
        if let Record::PrePrepared(proposed) = record {
            self.pool.mark_ordered(&transaction_hashes(&proposed.batch));
            let sequence = proposed.pre_prepare.body.sequence;
            let bodies = self
                .batches
                .transactions(&self.pool, sequence, &proposed.batch);
            self.records.put_bodies(sequence, bodies);
        }
        self.records.put(record);
    }

    /// A primary may not run ahead of this node's clock by more than agreed.
    fn check_time(&self, batch: &Batch) -> Result<(), String> {
        let ahead = u64::try_from(self.limits.max_timestamp_ahead.as_millis()).unwrap_or(u64::MAX);
        let now = clock::unix_ms();
        if batch.timestamp_ms <= now.saturating_add(ahead) {
            return Ok(());
        }
        Err(format!(
            "its time {} is more than {ahead} ms ahead of this node's clock, {now}",
            batch.timestamp_ms
        ))
    }

    /// Writes the records, then lets out what waited for them, in order.
    pub(super) async fn let_out(&mut self) -> Result<(), DriverError> {
        let certified = SequenceNumber(self.ledger.latest_certified().unwrap_or(0));
        if let Some(writes) = self.records.take_urgent(certified) {
            let ledger = self.ledger.clone();
            tokio::task::spawn_blocking(move || ledger.write_records(writes))
                .await
                .map_err(|_| DriverError::Gone("record writer"))??;
        }
        for effect in std::mem::take(&mut self.outbox) {
            self.perform(effect).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), DriverError> {
        match effect {
            Effect::Broadcast(message) => {
                let bytes = message.encode().into();
                self.wiring.network.broadcast(Class::Consensus, bytes);
            }
            Effect::Send { to, message } => {
                let bytes = message.encode().into();
                self.wiring
                    .network
                    .send(PeerId(to.0), Class::Consensus, bytes);
            }
            Effect::Execute { sequence, batch } => self.execute(sequence, &batch).await?,
            Effect::Certified(certificate) => self.wiring.committer.certify(certificate).await?,
            Effect::CatchUp { through } => {
                tracing::info!(%through, last_executed = %self.replica.last_executed(), "catching up");
                // It is asked again only after it has answered, so there is room.
                let sent = self.wiring.sync.try_send(through);
                sent.map_err(|_| DriverError::Gone("sync"))?;
            }
            Effect::SetTimer { timer, after } => {
                self.timers.insert(timer, Instant::now() + after);
            }
            Effect::Reject { from, reason } => self.wiring.metrics.rejected(from.0, &reason),
            Effect::Halt {
                sequence,
                own,
                attested,
            } => {
                return Err(DriverError::Diverged {
                    sequence,
                    own: own.0,
                    attested: attested.0,
                });
            }
            Effect::Persist(_) | Effect::Truncate { .. } | Effect::CheckBatch { .. } => {
                unreachable!("gathered before anything is let out")
            }
        }
        Ok(())
    }

    async fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
    ) -> Result<(), DriverError> {
        let transactions = self
            .batches
            .transactions(&self.pool, sequence, batch)
            .to_vec();
        self.executing.insert(sequence, transaction_hashes(batch));
        self.wiring
            .committer
            .execute(sequence, batch.timestamp_ms, transactions)
            .await
    }
}
