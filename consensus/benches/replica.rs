//! What it costs four replicas to decide one batch: `make micro-bench`.
//!
//! Every message of the normal case is there, from the PRE-PREPARE to the CHECKPOINTs
//! of all: signed once, verified at every other's door, handled. No disk, no network.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark looks at the clock"
)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consensus::{
    CheckpointDigest, Config, Effect, Input, Message, Position, Replica, ReplicaId, ReplicaSet,
    RequestDigest, SequenceNumber, Start, Verifier,
};
use criterion::{Criterion, criterion_group, criterion_main};
use crypto::{Digest, Domain, SigningKey};

const REPLICAS: u8 = 4;

fn key(of: u8) -> SigningKey {
    SigningKey::from_seed(&[of + 1; 32])
}

fn config(id: u8) -> Config {
    let keys = (0..REPLICAS).map(|of| key(of).public()).collect();
    Config {
        id: ReplicaId(id.into()),
        replicas: ReplicaSet::new(keys).unwrap(),
        network: Digest([7; 32]),
        checkpoint_interval: 1,
        log_window: 128,
        max_in_flight: 8,
        max_batch_requests: 1000,
        status_interval: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        request_timeout_cap: Duration::from_secs(8),
    }
}

/// Where the time goes.
#[derive(Default)]
struct Spent {
    /// Verifying what comes.
    door: Duration,
    /// Handling it, and signing what follows.
    machine: Duration,
}

type Part = fn(&Spent) -> Duration;

struct Node {
    replica: Replica,
    verifier: Verifier,
}

/// Replicas whose messages all arrive, one after the other.
struct Replicas {
    nodes: Vec<Node>,
    under_way: VecDeque<(ReplicaId, usize, Message)>,
    executed: usize,
    spent: Spent,
}

impl Replicas {
    fn new() -> Self {
        let node = |id| {
            let start = Start::Recovered {
                position: Position {
                    last_executed: SequenceNumber::GENESIS,
                    timestamp_ms: 0,
                    stable: None,
                    outcomes: Vec::new(),
                },
                records: Vec::new(),
            };
            let (replica, _) = Replica::start(config(id), key(id), start);
            let verifier = Verifier::new(&config(id));
            Node { replica, verifier }
        };
        Self {
            nodes: (0..REPLICAS).map(node).collect(),
            under_way: VecDeque::new(),
            executed: 0,
            spent: Spent::default(),
        }
    }

    /// Has all replicas decide and attest one batch.
    fn decide(&mut self, requests: &[RequestDigest]) {
        let before = self.executed;
        let propose = Input::Propose {
            timestamp_ms: 1,
            requests: requests.to_vec(),
        };
        self.step(0, propose);
        while let Some((from, to, message)) = self.under_way.pop_front() {
            let begun = Instant::now();
            let verified = self.nodes[to].verifier.verify(message);
            self.spent.door += begun.elapsed();
            let message = verified.unwrap();
            self.step(to, Input::Message { from, message });
        }
        assert_eq!(self.executed, before + usize::from(REPLICAS));
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let begun = Instant::now();
            let effects = self.nodes[at].replica.step(input);
            self.spent.machine += begun.elapsed();
            let from = self.nodes[at].replica.id();
            for effect in effects {
                match effect {
                    Effect::Broadcast(message) => {
                        let others = (0..self.nodes.len()).filter(|to| *to != at);
                        let sent = others.map(|to| (from, to, message.clone()));
                        self.under_way.extend(sent);
                    }
                    Effect::Send { to, message } => {
                        let to = usize::try_from(to.0).unwrap();
                        self.under_way.push_back((from, to, message));
                    }
                    Effect::CheckBatch {
                        view,
                        sequence,
                        digest,
                        ..
                    } => inputs.push_back(Input::BatchChecked {
                        view,
                        sequence,
                        digest,
                        verdict: Ok(()),
                    }),
                    Effect::Execute { sequence, .. } => {
                        self.executed += 1;
                        let digest =
                            CheckpointDigest(Domain::BlockHeader.hash(&sequence.0.to_le_bytes()));
                        inputs.push_back(Input::Executed { sequence, digest });
                    }
                    _ => {}
                }
            }
        }
    }
}

fn deciding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one batch, decided by four replicas");
    for count in [1_u32, 256, 1000] {
        let request = |number: u32| RequestDigest(Domain::Transaction.hash(&number.to_le_bytes()));
        let requests: Vec<_> = (0..count).map(request).collect();
        let parts: [(&str, Part); 2] = [
            ("verifying messages", |spent| spent.door),
            ("handling and signing them", |spent| spent.machine),
        ];
        for (part, of) in parts {
            group.bench_function(format!("{part}, {count} requests"), |bencher| {
                bencher.iter_custom(|times| {
                    let mut replicas = Replicas::new();
                    for _ in 0..times {
                        replicas.decide(&requests);
                    }
                    of(&replicas.spent)
                });
            });
        }
    }
    group.finish();
}

fn signing(criterion: &mut Criterion) {
    let (key, network) = (key(0), Digest([7; 32]));
    criterion.bench_function("one signature", |bencher| {
        bencher.iter(|| key.sign(Domain::Checkpoint, &network, &[7; 48]));
    });
}

criterion_group!(benches, deciding, signing);
criterion_main!(benches);
