//! Effects in words: a batch is shown as its requests and its time, an outcome
//! as the requests that led to it.

use std::collections::BTreeMap;

use consensus::message::{NewView, SlotStatus, Status, ViewChange};
use consensus::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Effect, Message, Record,
    ReplicaId, RequestDigest, SequenceNumber, View,
};
use crypto::{Domain, Signature};

/// What digests stand for.
#[derive(Default)]
pub(crate) struct Names {
    requests: BTreeMap<RequestDigest, String>,
    batches: BTreeMap<BatchDigest, String>,
    outcomes: BTreeMap<CheckpointDigest, String>,
}

impl Names {
    pub(crate) fn learn(&mut self, batch: &Batch, requests: &[&str]) {
        for (digest, name) in batch.requests.iter().zip(requests) {
            self.requests.insert(*digest, (*name).to_owned());
        }
    }

    pub(crate) fn learn_request(&mut self, name: &str) {
        self.requests.insert(super::request(name), name.to_owned());
    }

    /// What executing `batch` after `previous` leads to.
    pub(crate) fn outcome(
        &mut self,
        previous: CheckpointDigest,
        batch: &Batch,
    ) -> CheckpointDigest {
        let mut bytes = previous.0.as_bytes().to_vec();
        bytes.extend_from_slice(batch.digest().0.as_bytes());
        let digest = CheckpointDigest(Domain::BlockHeader.hash(&bytes));
        let names: Vec<_> = batch
            .requests
            .iter()
            .map(|digest| self.requests[digest].as_str())
            .collect();
        let this = format!("<{}>", names.join(" "));
        let before = self.outcomes.get(&previous).cloned().unwrap_or_default();
        self.outcomes.insert(digest, before + &this);
        digest
    }

    /// An outcome that nobody comes to honestly.
    pub(crate) fn outcome_named(&mut self, name: &str) -> CheckpointDigest {
        let digest = CheckpointDigest(Domain::BlockHeader.hash(name.as_bytes()));
        self.outcomes.insert(digest, name.to_owned());
        digest
    }

    /// The outcome of this name, honest or not.
    pub(crate) fn outcome_of(&mut self, name: &str) -> CheckpointDigest {
        let known = self.outcomes.iter().find(|(_, known)| *known == name);
        match known {
            Some((digest, _)) => *digest,
            None => self.outcome_named(name),
        }
    }

    fn batch(&mut self, batch: &Batch) -> String {
        let names: Vec<_> = batch
            .requests
            .iter()
            .map(|digest| self.requests[digest].as_str())
            .collect();
        let shown = format!("[{}]@{}", names.join(" "), batch.timestamp_ms);
        self.batches.insert(batch.digest(), shown.clone());
        shown
    }

    fn digest(&self, digest: BatchDigest) -> String {
        let shown = self.batches.get(&digest);
        shown.cloned().unwrap_or_else(|| digest.to_string())
    }

    fn vote(
        &self,
        name: &str,
        view: View,
        sequence: SequenceNumber,
        digest: BatchDigest,
    ) -> String {
        format!("{name} {view} {sequence} {}", self.digest(digest))
    }

    fn certificate(&self, certificate: &CheckpointCertificate) -> String {
        let checkpoint = certificate.checkpoint;
        let outcome = &self.outcomes[&checkpoint.digest];
        let signers = signers(&certificate.signatures);
        format!("{} {outcome} by {signers}", checkpoint.sequence)
    }

    pub(crate) fn message(&mut self, message: &Message) -> String {
        match message {
            Message::PrePrepare(proposed) => {
                let body = proposed.pre_prepare.body;
                self.batch(&proposed.batch);
                self.vote("PRE-PREPARE", body.view, body.sequence, body.digest)
            }
            Message::Prepare(vote) => {
                let body = vote.body;
                self.vote("PREPARE", body.view, body.sequence, body.digest)
            }
            Message::Commit(vote) => {
                let body = vote.body;
                self.vote("COMMIT", body.view, body.sequence, body.digest)
            }
            Message::Checkpoint(vote) => {
                let outcome = &self.outcomes[&vote.body.digest];
                format!("CHECKPOINT {} {outcome}", vote.body.sequence)
            }
            Message::CheckpointCertificate(of) => format!("CERTIFICATE {}", self.certificate(of)),
            Message::Status(status) => show_status(status),
            Message::ViewChange(vote) => self.view_change(&vote.body),
            Message::NewView(new_view) => self.new_view(&new_view.body),
        }
    }

    /// `VIEW-CHANGE v1 stable n0; n1 [a]@5 of v0`
    fn view_change(&self, body: &ViewChange) -> String {
        let stable = body.stable.as_ref();
        let stable = stable.map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        let prepared = body.prepared.iter().map(|certificate| {
            let body = certificate.pre_prepare.body;
            format!(
                "; {} {} of {}",
                body.sequence,
                self.digest(body.digest),
                body.view
            )
        });
        let prepared: String = prepared.collect();
        format!("VIEW-CHANGE {} stable {stable}{prepared}", body.view)
    }

    /// `NEW-VIEW v1 by 0,1,2; n1 [a]@5`
    fn new_view(&mut self, body: &NewView) -> String {
        self.batch(&Batch::null());
        let signers = body.view_changes.iter().map(|vote| vote.signer.to_string());
        let signers: Vec<_> = signers.collect();
        let begun = body.pre_prepares.iter().map(|signed| {
            let body = signed.body;
            format!("; {} {}", body.sequence, self.digest(body.digest))
        });
        let begun: String = begun.collect();
        format!("NEW-VIEW {} by {}{begun}", body.view, signers.join(","))
    }

    fn record(&mut self, record: &Record) -> String {
        match record {
            Record::VotedBefore { sequence, batches } => {
                let batches: Vec<_> = batches.iter().map(|batch| self.batch(batch)).collect();
                format!("VOTED-BEFORE {sequence} {}", batches.join(" "))
            }
            Record::Stable(certificate) => format!("STABLE {}", self.certificate(certificate)),
            Record::ViewChange(vote) => self.view_change(&vote.body),
            Record::NewView(new_view) => self.new_view(&new_view.body),
            Record::PrePrepared(proposed) => {
                let body = proposed.pre_prepare.body;
                self.batch(&proposed.batch);
                self.vote("PRE-PREPARED", body.view, body.sequence, body.digest)
            }
            Record::Prepared(certificate) => {
                let body = certificate.pre_prepare.body;
                let shown = self.vote("PREPARED", body.view, body.sequence, body.digest);
                format!("{shown} by {}", signers(&certificate.prepares))
            }
            Record::Listening { until } if *until == Record::UNKNOWN => "LISTENING".to_owned(),
            Record::Listening { until } => format!("LISTENING until {until}"),
        }
    }

    pub(crate) fn effect(&mut self, effect: &Effect) -> String {
        match effect {
            Effect::Persist(record) => format!("persist {}", self.record(record)),
            Effect::Broadcast(message) => format!("broadcast {}", self.message(message)),
            Effect::Send { to, message } => format!("send to {to} {}", self.message(message)),
            Effect::CheckBatch {
                view,
                sequence,
                batch,
                ..
            } => format!("check {view} {sequence} {}", self.batch(batch)),
            Effect::Execute {
                sequence,
                timestamp_ms,
                batch,
            } => {
                let at = Some(*timestamp_ms).filter(|time| *time != batch.timestamp_ms);
                let at = at.map_or(String::new(), |time| format!(" at {time}"));
                format!("execute {sequence} {}{at}", self.batch(batch))
            }
            Effect::Certified(certificate) => {
                format!("certified {}", self.certificate(certificate))
            }
            Effect::Truncate(certificate) => {
                format!("truncate through {}", certificate.checkpoint.sequence)
            }
            Effect::ViewEntered(view) => format!("enter {view}"),
            Effect::Contradiction(evidence) => {
                format!("proof that {}", self.named(&evidence.summary()))
            }
            Effect::CatchUp { through } => format!("catch up through {through}"),
            Effect::SetTimer { timer, after } => format!("set timer {timer:?} {after:?}"),
            Effect::Reject { from, reason } => {
                format!("reject {from}: {}", self.named(&reason.to_string()))
            }
            Effect::Halt {
                sequence,
                own,
                attested,
            } => {
                let name = |digest| &self.outcomes[digest];
                let (own, attested) = (name(own), name(attested));
                format!("halt {sequence} own {own} attested {attested}")
            }
        }
    }

    /// Digests in a text become names.
    pub(crate) fn named(&self, text: &str) -> String {
        self.batches
            .iter()
            .fold(text.to_owned(), |text, (digest, name)| {
                text.replace(&digest.to_string(), name)
            })
    }

    /// The batch's digest becomes known by its name.
    pub(crate) fn learn_batch(&mut self, batch: &Batch) {
        self.batch(batch);
    }
}

fn signers(signatures: &[(ReplicaId, Signature)]) -> String {
    let ids: Vec<_> = signatures.iter().map(|(id, _)| id.to_string()).collect();
    ids.join(",")
}

fn show_status(status: &Status) -> String {
    let slot = |slot: &SlotStatus| {
        let has = [
            (slot.pre_prepared, " pre-prepared"),
            (slot.prepared, " prepared"),
            (slot.committed, " committed"),
        ];
        let has: String = has
            .iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| *name)
            .collect();
        let has = if has.is_empty() { " votes" } else { &has };
        format!("; {}{has}", slot.sequence)
    };
    let slots: String = status.slots.iter().map(slot).collect();
    let uncertified: Vec<_> = status.uncertified.iter().map(ToString::to_string).collect();
    let changing = status.changing.as_ref().map(|having| {
        let having: Vec<_> = having.iter().map(ToString::to_string).collect();
        format!(" changing ({})", having.join(","))
    });
    format!(
        "STATUS{} {}{}{}{} executed {} low {}{slots}{}{}",
        if status.asks { "?" } else { "" },
        status.view,
        changing.unwrap_or_default(),
        if status.suspects { " suspects" } else { "" },
        if status.listening { " listening" } else { "" },
        status.last_executed,
        status.low,
        if uncertified.is_empty() {
            ""
        } else {
            "; uncertified "
        },
        uncertified.join(" "),
    )
}
