//! One replica of the world, and what of it survives a crash.

use std::collections::{BTreeMap, VecDeque};

use consensus::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Config, Message, Position, Record,
    RecordKey, Replica, SequenceNumber, View,
};

/// A replica and what survives its crash.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) replica: Option<Replica>,
    pub(crate) records: BTreeMap<RecordKey, Record>,
    /// What was executed: outcome and time.
    pub(crate) chain: BTreeMap<SequenceNumber, (CheckpointDigest, u64)>,
    pub(crate) certificates: BTreeMap<SequenceNumber, CheckpointCertificate>,
    /// Batches it was asked to examine.
    pub(crate) checks: VecDeque<(View, SequenceNumber, BatchDigest)>,
    /// Batches it was asked to execute.
    pub(crate) executions: VecDeque<(SequenceNumber, u64, Batch)>,
    /// It crashes after so many effects of its next step.
    pub(crate) crash_after: Option<usize>,
    /// Everything it ever sent, to find contradictions.
    pub(crate) sent: Vec<Message>,
    /// Everything that happened to it, and what it asked for.
    pub(crate) journal: Vec<Vec<u8>>,
}

impl Node {
    /// What a message commits its sender to is on disk before it leaves, and it
    /// contradicts nothing that left before.
    pub(crate) fn assert_durable(&self, message: &Message) {
        let own = self.config.id;
        let place = |sequence: SequenceNumber, kind: u8| {
            let record = |key: &&RecordKey| key[..8] == sequence.0.to_be_bytes() && key[8] == kind;
            assert!(self.records.keys().any(|key| record(&key)), "{message:?}");
        };
        let said = |sent: &Message| match (sent, message) {
            (Message::PrePrepare(a), Message::PrePrepare(b)) => {
                let (a, b) = (&a.pre_prepare, &b.pre_prepare);
                let same = a.body.view == b.body.view && a.body.sequence == b.body.sequence;
                b.signer != own || !same || a == b
            }
            (Message::Prepare(a), Message::Prepare(b)) => {
                let same = a.body.view == b.body.view && a.body.sequence == b.body.sequence;
                !same || a == b
            }
            (Message::Commit(a), Message::Commit(b)) => {
                let same = a.body.view == b.body.view && a.body.sequence == b.body.sequence;
                !same || a == b
            }
            (Message::Checkpoint(a), Message::Checkpoint(b)) => {
                a.body.sequence != b.body.sequence || a == b
            }
            (Message::ViewChange(a), Message::ViewChange(b)) => {
                a.signer != own || a.body.view != b.body.view || a == b
            }
            (Message::NewView(a), Message::NewView(b)) => {
                a.signer != own || a.body.view != b.body.view || a == b
            }
            _ => true,
        };
        assert!(
            self.sent.iter().all(said),
            "contradicts itself: {message:?}"
        );
        match message {
            Message::PrePrepare(of) if of.pre_prepare.signer == own => {
                let body = of.pre_prepare.body;
                let begun = |record: &Record| match record {
                    Record::NewView(of) => of.body.pre_prepares.iter().any(|of| of.body == body),
                    _ => false,
                };
                if !self.records.values().any(begun) {
                    place(body.sequence, 1);
                }
            }
            Message::ViewChange(of) => {
                let record = Record::ViewChange(of.clone());
                assert!(self.records.values().any(|known| *known == record));
            }
            Message::NewView(of) => {
                let record = Record::NewView(of.clone());
                assert!(self.records.values().any(|known| *known == record));
            }
            Message::Prepare(of) => place(of.body.sequence, 1),
            Message::Commit(of) => place(of.body.sequence, 2),
            Message::PrePrepare(_)
            | Message::Checkpoint(_)
            | Message::CheckpointCertificate(_)
            | Message::Status(_) => {}
        }
    }

    pub(crate) fn last(&self) -> SequenceNumber {
        self.chain
            .last_key_value()
            .map(|(at, _)| *at)
            .unwrap_or_default()
    }

    /// How far it has executed, as its disk has it.
    pub(crate) fn position(&self) -> Position {
        let last = self.chain.last_key_value();
        let stable = self.certificates.values().next_back().cloned();
        let above = stable
            .as_ref()
            .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence)
            .next();
        Position {
            last_executed: self.last(),
            timestamp_ms: last.map_or(0, |(_, (_, time))| *time),
            stable,
            outcomes: self
                .chain
                .range(above..)
                .map(|(at, (digest, _))| (*at, *digest))
                .collect(),
        }
    }
}
