//! What the replica asks for, done in order.

use std::time::Instant;

use consensus::{Batch, Effect, Evidence, Record, SequenceNumber, View};

use super::batches::Question;
use super::{Driver, DriverError};
use crate::clock;
use crate::request::Request;

impl<R: Request> Driver<R> {
    /// Sorts effects into what is written first, what is answered here and
    /// now, and what goes out afterwards.
    pub(super) fn gather(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.gather_record(&record),
                Effect::Truncate(certificate) => self.records.truncate(certificate),
                Effect::ViewEntered(view) => self.enter_view(view),
                Effect::Contradiction(evidence) => self.keep_evidence(&evidence),
                Effect::CheckBatch {
                    view,
                    sequence,
                    digest,
                    batch,
                    fresh,
                } => {
                    let question = Question {
                        view,
                        sequence,
                        digest,
                    };
                    self.check_batch(question, &batch, fresh);
                }
                later => {
                    self.note_execution(&later);
                    self.outbox.push(later);
                }
            }
        }
    }

    /// A view has begun: what was in batches of the last one waits again, unless
    /// it is being executed or the new view takes it over.
    fn enter_view(&mut self, view: View) {
        tracing::info!(%view, primary = %self.replica.primary(), "entered a view");
        let executing = self.executing.values().flatten().copied().collect();
        self.pool.begin_view(&executing);
        self.batches.begin_view(view);
        self.view_entered_at = Instant::now();
        self.told_overdue = false;
    }

    /// From here on, and not only once the committer has it, the transactions of
    /// a batch are as good as in the chain.
    fn note_execution(&mut self, effect: &Effect) {
        if let Effect::Execute {
            sequence, batch, ..
        } = effect
        {
            let transactions = self.batches.transactions(&self.pool, *sequence, batch);
            let ids = transactions.iter().map(|transaction| transaction.id());
            self.executing.insert(*sequence, ids.collect());
            self.phases.executing(*sequence);
        }
    }

    /// The first proof of its kind against a replica is kept.
    fn keep_evidence(&mut self, evidence: &Evidence) {
        self.wiring.metrics.contradicted(evidence);
        if self.wiring.evidence.add(evidence.clone()) {
            tracing::warn!("{}", evidence.summary());
            self.records.put_evidence(evidence);
        }
    }

    fn check_batch(&mut self, question: Question, batch: &Batch, fresh: bool) {
        self.pool.mark_ordered(&batch.requests);
        // After a restart the replica asks again about what it has voted for;
        // the clock may have been set back meanwhile.
        if self.batches.holds(question.sequence, question.digest) {
            self.inputs.push_back(question.answer(Ok(())));
            return;
        }
        let proposer = self.replica.primary();
        let in_time = if fresh {
            self.check_proposal(batch)
        } else {
            Ok(())
        };
        let answer = match in_time {
            Ok(()) => self
                .batches
                .check(&self.pool, question, batch, proposer, Instant::now()),
            Err(reason) => Some(question.answer(Err(reason))),
        };
        self.inputs.extend(answer);
    }

    fn gather_record(&mut self, record: &Record) {
        if let Record::PrePrepared(proposed) = record {
            self.pool.mark_ordered(&proposed.batch.requests);
            let sequence = proposed.pre_prepare.body.sequence;
            // A new view has everybody vote again also for what is executed;
            // those transactions are in the chain.
            if sequence > self.batches.forgotten_through() {
                let bodies = self
                    .batches
                    .transactions(&self.pool, sequence, &proposed.batch);
                let digest = proposed.pre_prepare.body.digest;
                self.records.put_bodies(sequence, digest, bodies);
                self.phases.ordering(sequence);
            }
        }
        self.records.put(record);
    }

    /// What a primary has chosen itself: it may not run ahead of this node's clock
    /// by more than agreed, nor fill disks with blocks that hold nothing.
    fn check_proposal(&self, batch: &Batch) -> Result<(), String> {
        if batch.requests.is_empty() {
            return Err("it holds nothing".to_owned());
        }
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
        if let Some(journal) = &mut self.journal {
            journal.flush();
        }
        if let Some(writes) = self.records.take_urgent() {
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
            Effect::Broadcast(message) => self.say(None, &message),
            Effect::Send { to, message } => self.say(Some(to), &message),
            Effect::Execute {
                sequence,
                timestamp_ms,
                batch,
            } => self.execute(sequence, timestamp_ms, &batch).await?,
            Effect::Certified(certificate) => {
                self.phases.attested(certificate.checkpoint.sequence);
                self.wiring.committer.certify(certificate).await?;
            }
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
            Effect::Persist(_)
            | Effect::Truncate(_)
            | Effect::ViewEntered(_)
            | Effect::Contradiction(_)
            | Effect::CheckBatch { .. } => {
                unreachable!("gathered before anything is let out")
            }
        }
        Ok(())
    }

    async fn execute(
        &mut self,
        sequence: SequenceNumber,
        timestamp_ms: u64,
        batch: &Batch,
    ) -> Result<(), DriverError> {
        let transactions = self
            .batches
            .transactions(&self.pool, sequence, batch)
            .to_vec();
        self.wiring
            .committer
            .execute((sequence, batch.digest()), timestamp_ms, transactions)
            .await
    }
}
