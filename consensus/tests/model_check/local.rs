//! One correct replica with the part of the world that is its own: what it was
//! asked to examine and to execute, and what came of it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use consensus::{
    Batch, BatchDigest, CheckpointDigest, Effect, Evidence, Input, Message, Position, Replica,
    ReplicaId, SequenceNumber, Start, Verified, Verifier, View,
};
use crypto::{Digest, Domain};

use crate::world::{self, Sizes};

/// A correct replica and what its world knows.
#[derive(Clone)]
pub(crate) struct Local {
    replica: Replica,
    world: Surroundings,
    /// What it has said since that was last asked for.
    said: Vec<Message>,
    /// What it has found others to have said in contradiction.
    contradictions: Vec<Evidence>,
}

/// What was asked of the world and what came of it.
#[derive(Clone, Debug, Default, Hash)]
struct Surroundings {
    checks: VecDeque<(View, SequenceNumber, BatchDigest)>,
    /// With the view in which that was asked for.
    executions: VecDeque<(SequenceNumber, Batch, View)>,
    proposed: bool,
    outcome: Outcome,
}

/// What came of it so far.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub(crate) struct Outcome {
    /// The digests of what was executed, from sequence number 1 on, each with
    /// the view in which it committed.
    pub(crate) executed: Vec<(CheckpointDigest, View)>,
    /// What it holds certificates of.
    pub(crate) certified: BTreeMap<SequenceNumber, CheckpointDigest>,
    /// Whether it was asked for an execution out of order, or for one again.
    pub(crate) disorderly: bool,
    /// Whether a quorum attests another outcome than its own.
    pub(crate) halted: bool,
}

/// What executing `batch` after `previous` leads to.
pub(crate) fn executed(previous: CheckpointDigest, batch: &Batch) -> CheckpointDigest {
    let mut bytes = previous.0.as_bytes().to_vec();
    bytes.extend_from_slice(batch.digest().0.as_bytes());
    CheckpointDigest(Domain::BlockHeader.hash(&bytes))
}

/// What the correct primary of a view proposes, later than whatever others do.
pub(crate) fn proposal(view: View) -> Batch {
    Batch {
        timestamp_ms: 9 + view.0,
        requests: vec![world::request(&format!("of view {view}"))],
    }
}

/// Before anything was executed.
pub(crate) const GENESIS: CheckpointDigest = CheckpointDigest(Digest::ZERO);

/// The bytes that make up a hash: no two states share them.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the bytes are wanted, all of them")
    }
}

/// What makes a thing the same as another.
pub(crate) fn identity(of: &impl Hash) -> Digest {
    let mut bytes = Bytes::default();
    of.hash(&mut bytes);
    Domain::State.hash(&bytes.0)
}

impl Local {
    /// A replica at its beginning.
    pub(crate) fn new(sizes: Sizes, id: ReplicaId) -> Self {
        let index = u8::try_from(id.0).unwrap();
        let position = Position {
            last_executed: SequenceNumber::GENESIS,
            timestamp_ms: 0,
            stable: None,
            outcomes: Vec::new(),
        };
        let records = Vec::new();
        let start = Start::Recovered { position, records };
        let (replica, _) = Replica::start(world::config(sizes, index), world::key(index), start);
        Self {
            replica,
            world: Surroundings::default(),
            said: Vec::new(),
            contradictions: Vec::new(),
        }
    }

    /// Everything that what it does from now on depends on.
    pub(crate) fn identity(&self) -> Digest {
        assert!(self.said.is_empty() && self.contradictions.is_empty());
        identity(&(self.replica.id(), &self.replica, &self.world))
    }

    pub(crate) fn outcome(&self) -> &Outcome {
        &self.world.outcome
    }

    pub(crate) fn has_to_examine(&self) -> bool {
        !self.world.checks.is_empty()
    }

    pub(crate) fn has_to_execute(&self) -> bool {
        !self.world.executions.is_empty()
    }

    /// Whether it may suspect the primary, in a view before the last one.
    pub(crate) fn may_leave(&self, last_view: View) -> bool {
        let replica = &self.replica;
        replica.view() < last_view && replica.is_active() && !replica.is_primary()
    }

    /// Whether it is the primary, may propose, and has not done so yet.
    pub(crate) fn may_propose(&self) -> bool {
        !self.world.proposed && self.replica.room() > 0
    }

    /// What was said since this was last asked.
    pub(crate) fn take_said(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.said)
    }

    pub(crate) fn take_contradictions(&mut self) -> Vec<Evidence> {
        std::mem::take(&mut self.contradictions)
    }

    /// A message arrives from whoever answers for it.
    pub(crate) fn arrive(&mut self, message: Verified) {
        let from = speaks(message.message()).unwrap_or(self.someone_else());
        self.step(Input::Message { from, message });
    }

    /// The oldest batch that it was asked to examine is sound.
    pub(crate) fn examine(&mut self) {
        let asked = self.world.checks.pop_front();
        let (view, sequence, digest) = asked.expect("a batch is to be examined");
        let verdict = Ok(());
        self.step(Input::BatchChecked {
            view,
            sequence,
            digest,
            verdict,
        });
    }

    /// The oldest batch that it was asked to execute is executed.
    pub(crate) fn execute(&mut self) {
        let asked = self.world.executions.pop_front();
        let (sequence, batch, view) = asked.expect("a batch is to be executed");
        let chain = &mut self.world.outcome.executed;
        let previous = chain.last().map_or(GENESIS, |(digest, _)| *digest);
        let digest = executed(previous, &batch);
        chain.push((digest, view));
        self.step(Input::Executed { sequence, digest });
    }

    /// A request has waited too long, and another replica suspects the primary
    /// too: it leaves the view.
    pub(crate) fn leave(&mut self) {
        let view = self.replica.view();
        self.step(Input::Overdue(true));
        let message = Verifier::new(&world::config(Sizes::of(4), 0))
            .verify(world::status(view, true))
            .unwrap();
        let from = self.someone_else();
        self.step(Input::Message { from, message });
        assert!(self.replica.view() > view, "it has left");
    }

    /// The primary proposes what it alone proposes in this view.
    pub(crate) fn propose(&mut self) {
        self.world.proposed = true;
        let Batch {
            timestamp_ms,
            requests,
        } = proposal(self.replica.view());
        self.step(Input::Propose {
            timestamp_ms,
            requests,
        });
    }

    fn someone_else(&self) -> ReplicaId {
        ReplicaId(u32::from(self.replica.id().0 == 0))
    }

    fn step(&mut self, input: Input) {
        let effects = self.replica.step(input);
        self.replica.check_invariants();
        for effect in effects {
            self.take_effect(effect);
        }
    }

    fn take_effect(&mut self, effect: Effect) {
        let outcome = &mut self.world.outcome;
        match effect {
            Effect::Broadcast(message) | Effect::Send { message, .. } => self.said.push(message),
            Effect::CheckBatch {
                view,
                sequence,
                digest,
                ..
            } => self.world.checks.push_back((view, sequence, digest)),
            Effect::Execute {
                sequence, batch, ..
            } => {
                let before = outcome.executed.len() + self.world.executions.len();
                outcome.disorderly |= sequence != SequenceNumber(before as u64 + 1);
                let view = self.replica.view();
                self.world.executions.push_back((sequence, batch, view));
            }
            Effect::Certified(certificate) => {
                let of = certificate.checkpoint;
                let known = outcome.certified.insert(of.sequence, of.digest);
                assert_eq!(known, None, "certified once");
            }
            Effect::Contradiction(evidence) => self.contradictions.push(evidence),
            Effect::Halt { .. } => outcome.halted = true,
            Effect::CatchUp { .. } => unreachable!("nothing lies beyond the window"),
            Effect::Persist(_)
            | Effect::Truncate(_)
            | Effect::ViewEntered(_)
            | Effect::SetTimer { .. }
            | Effect::Reject { .. } => {}
        }
    }
}

/// Who answers for a message; nobody for what a quorum says.
pub(crate) fn speaks(message: &Message) -> Option<ReplicaId> {
    match message {
        Message::PrePrepare(of) => Some(of.pre_prepare.signer),
        Message::Prepare(of) => Some(of.signer),
        Message::Commit(of) => Some(of.signer),
        Message::Checkpoint(of) => Some(of.signer),
        Message::ViewChange(of) => Some(of.signer),
        Message::NewView(of) => Some(of.signer),
        Message::CheckpointCertificate(_) | Message::Status(_) => None,
    }
}
