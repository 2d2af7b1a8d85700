//! A network of replicas in one thread, moved by hand: nothing happens that the
//! test does not ask for. Messages pass the door on the way in.

#![allow(dead_code, reason = "each test binary uses a part of it")]

mod node;
pub(crate) mod show;
pub(crate) mod words;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(crate) use node::Node;

use consensus::journal::{self, Replay};
use consensus::message::{Body, Checkpoint, PrePrepare, Proposed, Signed, Status};
use consensus::{
    Batch, CheckpointCertificate, CheckpointDigest, Config, Effect, Input, Message, Record,
    Replica, ReplicaId, ReplicaSet, RequestDigest, SequenceNumber, Signer, Start, Verifier, View,
};
use crypto::{Digest, Domain, SigningKey};

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: ReplicaId,
    pub(crate) to: ReplicaId,
    pub(crate) message: Message,
}

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Vec<Envelope>,
    pub(crate) names: show::Names,
    /// Whether a replica has lost its disk.
    pub(crate) wiped: bool,
    /// What has happened since it was last looked at.
    pub(crate) log: Vec<String>,
}

#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) replicas: u8,
    pub(crate) interval: u64,
    pub(crate) window: u64,
    pub(crate) in_flight: u64,
}

impl Sizes {
    pub(crate) fn of(replicas: u8) -> Self {
        Self {
            replicas,
            interval: 1,
            window: 8,
            in_flight: 4,
        }
    }
}

pub(crate) const NETWORK: Digest = Digest([7; 32]);

pub(crate) fn key(of: u8) -> SigningKey {
    SigningKey::from_seed(&[of + 1; 32])
}

pub(crate) fn sign<B: Body>(body: B, signer: ReplicaId) -> Signed<B> {
    let index = u8::try_from(signer.0).unwrap();
    Signed::sign(body, signer, &key(index), &NETWORK)
}

/// What a replica says that has done nothing yet, in a view whose primary it suspects or
/// does not.
pub(crate) fn status(view: View, suspects: bool) -> Message {
    Message::Status(Status {
        view,
        changing: None,
        suspects,
        listening: false,
        last_executed: SequenceNumber::GENESIS,
        low: SequenceNumber::GENESIS,
        asks: false,
        slots: Vec::new(),
        uncertified: Vec::new(),
    })
}

pub(crate) fn request(name: &str) -> RequestDigest {
    RequestDigest(Domain::Transaction.hash(name.as_bytes()))
}

pub(crate) fn config(sizes: Sizes, id: u8) -> Config {
    let keys = (0..sizes.replicas).map(|i| key(i).public()).collect();
    Config {
        id: ReplicaId(id.into()),
        replicas: ReplicaSet::new(keys).unwrap(),
        network: NETWORK,
        checkpoint_interval: sizes.interval,
        log_window: sizes.window,
        max_in_flight: sizes.in_flight,
        max_batch_requests: 4,
        status_interval: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        request_timeout_cap: Duration::from_secs(8),
    }
}

impl World {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let mut world = Self {
            nodes: Vec::new(),
            network: Vec::new(),
            names: show::Names::default(),
            wiped: false,
            log: Vec::new(),
        };
        for id in 0..sizes.replicas {
            world.nodes.push(Node {
                config: config(sizes, id),
                replica: None,
                records: BTreeMap::new(),
                chain: BTreeMap::new(),
                certificates: BTreeMap::new(),
                checks: VecDeque::new(),
                executions: VecDeque::new(),
                crash_after: None,
                sent: Vec::new(),
                journal: Vec::new(),
            });
            world.start(ReplicaId(id.into()));
        }
        world.log.clear();
        world
    }

    pub(crate) fn node(&mut self, id: ReplicaId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    pub(crate) fn replica(&self, id: u8) -> &Replica {
        self.nodes[usize::from(id)].replica.as_ref().unwrap()
    }

    pub(crate) fn batch(&mut self, requests: &[&str], timestamp_ms: u64) -> Batch {
        let batch = Batch {
            timestamp_ms,
            requests: requests.iter().copied().map(request).collect(),
        };
        self.names.learn(&batch, requests);
        batch
    }

    /// A PRE-PREPARE signed by the primary of `view`, or whoever else.
    pub(crate) fn proposed(
        signer: ReplicaId,
        view: View,
        sequence: SequenceNumber,
        batch: Batch,
    ) -> Proposed {
        let digest = batch.digest();
        let pre_prepare = sign(
            PrePrepare {
                view,
                sequence,
                digest,
            },
            signer,
        );
        Proposed { pre_prepare, batch }
    }

    /// Starts a replica from what it finds.
    pub(crate) fn start(&mut self, id: ReplicaId) {
        let node = self.node(id);
        let start = Start::Recovered {
            position: node.position(),
            records: node.records.values().cloned().collect(),
        };
        self.start_as(id, start);
    }

    /// Starts a replica that has lost its disk.
    pub(crate) fn start_empty(&mut self, id: ReplicaId) {
        self.wiped = true;
        let node = self.node(id);
        node.records.clear();
        node.chain.clear();
        node.certificates.clear();
        self.start_as(id, Start::Amnesiac);
    }

    fn start_as(&mut self, id: ReplicaId, start: Start) {
        let node = self.node(id);
        node.checks.clear();
        node.executions.clear();
        let key = key(u8::try_from(id.0).unwrap());
        let made = Vec::new();
        node.journal.push(journal::started(&node.config, &start));
        let signer = Signer::Recorded { key, made };
        let (mut replica, effects) = Replica::start(node.config.clone(), signer, start);
        replica.check_invariants();
        node.journal
            .push(journal::done(replica.take_signatures(), &effects));
        node.replica = Some(replica);
        self.apply(id, effects);
    }

    /// One step of one replica, if it runs, with all that it asks for.
    pub(crate) fn step(&mut self, id: ReplicaId, input: Input) {
        let node = self.node(id);
        let Some(replica) = &mut node.replica else {
            return;
        };
        node.journal.push(journal::input(&input));
        let effects = replica.step(input);
        replica.check_invariants();
        node.journal
            .push(journal::done(replica.take_signatures(), &effects));
        self.apply(id, effects);
    }

    fn apply(&mut self, id: ReplicaId, effects: Vec<Effect>) {
        let crash_after = self.node(id).crash_after.take();
        let happen = crash_after.unwrap_or(usize::MAX);
        for effect in effects.into_iter().take(happen) {
            self.log
                .push(format!("{id}: {}", self.names.effect(&effect)));
            self.do_effect(id, effect);
        }
        if crash_after.is_some() {
            self.log.push(format!("{id}: crashes"));
            self.node(id).replica = None;
        }
    }

    fn do_effect(&mut self, id: ReplicaId, effect: Effect) {
        if let Effect::Broadcast(message) | Effect::Send { message, .. } = &effect {
            self.node(id).assert_durable(message);
        }
        let ids: Vec<_> = self.nodes[0].config.replicas.ids().collect();
        let node = self.node(id);
        match effect {
            Effect::Persist(record) => {
                node.records.insert(record.key(), record);
            }
            Effect::Broadcast(message) => {
                node.sent.push(message.clone());
                for to in ids.into_iter().filter(|to| *to != id) {
                    let message = message.clone();
                    self.network.push(Envelope {
                        from: id,
                        to,
                        message,
                    });
                }
            }
            Effect::Send { to, message } => {
                node.sent.push(message.clone());
                self.network.push(Envelope {
                    from: id,
                    to,
                    message,
                });
            }
            Effect::CheckBatch {
                view,
                sequence,
                digest,
                ..
            } => node.checks.push_back((view, sequence, digest)),
            Effect::Execute {
                sequence,
                timestamp_ms,
                batch,
            } => node.executions.push_back((sequence, timestamp_ms, batch)),
            Effect::Certified(certificate) => {
                let sequence = certificate.checkpoint.sequence;
                let before = node.certificates.insert(sequence, certificate);
                assert!(before.is_none(), "certified once");
            }
            Effect::Truncate(certificate) => {
                let through = certificate.checkpoint.sequence.0.to_be_bytes();
                let stable = Record::Stable(certificate);
                node.records.insert(stable.key(), stable);
                node.records
                    .retain(|key, _| key[..8] == [0; 8] || key[..8] > through[..]);
            }
            Effect::ViewEntered(_)
            | Effect::Contradiction(_)
            | Effect::CatchUp { .. }
            | Effect::SetTimer { .. }
            | Effect::Reject { .. }
            | Effect::Halt { .. } => {}
        }
    }

    /// Brings a message to its receiver, through the door.
    pub(crate) fn deliver(&mut self, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        let verifier = Verifier::new(&self.node(to).config);
        match verifier.verify(message) {
            Ok(message) => self.step(to, Input::Message { from, message }),
            Err(reason) => self
                .log
                .push(format!("{to}: refused at the door: {reason}")),
        }
    }

    /// Answers the oldest `CheckBatch` of a replica.
    pub(crate) fn check(&mut self, id: ReplicaId, verdict: Result<(), String>) {
        let asked = self.node(id).checks.pop_front();
        let (view, sequence, digest) = asked.expect("a batch is to be checked");
        let input = Input::BatchChecked {
            view,
            sequence,
            digest,
            verdict,
        };
        self.step(id, input);
    }

    /// Executes the oldest batch that a replica was asked to, honestly or to
    /// another outcome.
    pub(crate) fn execute(&mut self, id: ReplicaId, outcome: Option<&str>) {
        let asked = self.node(id).executions.pop_front();
        let (sequence, time, batch) = asked.expect("a batch is to be executed");
        let genesis = (SequenceNumber::GENESIS, CheckpointDigest(Digest::ZERO));
        let newest = self.node(id).chain.last_key_value();
        let (last, previous) = newest.map_or(genesis, |(at, (digest, _))| (*at, *digest));
        assert_eq!(sequence, last.next(), "executed in order");
        let digest = match outcome {
            Some(name) => self.names.outcome_named(name),
            None => self.names.outcome(previous, &batch),
        };
        self.node(id).chain.insert(sequence, (digest, time));
        self.step(id, Input::Executed { sequence, digest });
    }

    /// Copies what `source` has executed and certified up to `through`, and says so.
    pub(crate) fn caught_up(&mut self, id: ReplicaId, source: ReplicaId, through: SequenceNumber) {
        let chain = self.node(source).chain.clone();
        let certificates = self.node(source).certificates.clone();
        let node = self.node(id);
        let last = node.last();
        for (sequence, block) in chain.range(..=through) {
            node.chain.entry(*sequence).or_insert(*block);
        }
        for (sequence, certificate) in certificates.range(last.next()..) {
            if *sequence <= through {
                let certificate = certificate.clone();
                node.certificates.insert(*sequence, certificate);
            }
        }
        let position = node.position();
        node.executions
            .retain(|(at, ..)| *at > position.last_executed);
        self.step(id, Input::CaughtUp(position));
    }

    /// Whatever happened, each replica does the same once more.
    pub(crate) fn replay(&self) {
        for node in &self.nodes {
            let mut replay = Replay::default();
            for frame in &node.journal {
                replay.take(frame).unwrap();
            }
            let report = replay.finish().unwrap();
            assert_eq!(report.unanswered, 0);
            if let Some(replica) = &node.replica {
                assert_eq!(report.view, replica.view());
                assert_eq!(report.last_executed, replica.last_executed());
            }
        }
    }

    /// Until nothing is under way: everything is delivered, found sound and
    /// executed. To and in the replicas `without` nothing happens, and what is
    /// sent to them is lost.
    pub(crate) fn run(&mut self, without: &[ReplicaId]) {
        let ids = self.nodes[0].config.replicas.ids();
        let ids: Vec<_> = ids.filter(|id| !without.contains(id)).collect();
        loop {
            let envelopes = std::mem::take(&mut self.network);
            let mut idle = envelopes.is_empty();
            for envelope in envelopes {
                if ids.contains(&envelope.to) {
                    self.deliver(envelope);
                }
            }
            for id in ids.iter().copied() {
                while !self.node(id).checks.is_empty() {
                    idle = false;
                    self.check(id, Ok(()));
                }
                while !self.node(id).executions.is_empty() {
                    idle = false;
                    self.execute(id, None);
                }
            }
            if idle {
                return;
            }
        }
    }
}

/// A certificate signed by `signers`, in the order given.
pub(crate) fn certificate(
    sequence: SequenceNumber,
    digest: CheckpointDigest,
    signers: &[u32],
) -> CheckpointCertificate {
    let checkpoint = Checkpoint { sequence, digest };
    CheckpointCertificate {
        checkpoint,
        signatures: signers
            .iter()
            .map(|signer| {
                (
                    ReplicaId(*signer),
                    sign(checkpoint, ReplicaId(*signer)).signature,
                )
            })
            .collect(),
    }
}
