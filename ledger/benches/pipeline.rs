//! What a transaction costs a node, stage by stage: `make micro-bench`.
//!
//! Each stage is measured by itself, on transactions as the benchmark of the whole
//! network makes them with `--sign-alone`: `kv put` of 512 bytes, one endorsement.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::sync::Arc;

use common::Network;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crypto::{Digest, encode, merkle};
use ledger::{
    Budget, CheckedTransaction, EndorsementPolicy, Identity, Limits, OrderedBatch, Transaction,
    UncheckedTransaction, check_transactions, validate,
};

/// As many as a block has under load, and as can be made that differ.
const BLOCK: usize = 256;

const VALUE: [u8; 512] = [7; 512];

fn transactions(network: &Network) -> Vec<Transaction> {
    (0..=u8::MAX)
        .map(|nonce| network.put(nonce, &format!("key/{nonce}"), &VALUE))
        .collect()
}

fn unchecked(network: &Network, transaction: &Transaction) -> UncheckedTransaction {
    let bytes = encode(transaction);
    UncheckedTransaction::decode(&bytes, &network.id(), &Limits::default()).unwrap()
}

fn checked(network: &Network) -> Vec<Arc<CheckedTransaction>> {
    let all = transactions(network);
    all.iter().map(|each| network.checked(each)).collect()
}

/// The creator's signature and one endorser's, of so many transactions together.
fn signatures(criterion: &mut Criterion) {
    let network = Network::new();
    let all: Vec<_> = transactions(&network)
        .iter()
        .map(|each| unchecked(&network, each))
        .collect();
    let mut group = criterion.benchmark_group("signatures of a transaction");
    for together in [1, 16, 64, BLOCK] {
        group.throughput(Throughput::Elements(together as u64));
        group.bench_function(format!("{together} together"), |bencher| {
            let setup = || all[..together].to_vec();
            bencher.iter_batched(setup, check_transactions, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let network = Network::new();
    let transaction = network.put(1, "key", &VALUE);
    let bytes = encode(&transaction);
    let mut group = criterion.benchmark_group("one transaction");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode(black_box(&transaction)));
    });
    group.bench_function("decode, form, id and hash", |bencher| {
        let (id, limits) = (network.id(), Limits::default());
        bencher.iter(|| UncheckedTransaction::decode(black_box(&bytes), &id, &limits));
    });
    group.finish();
}

fn trees_and_policies(criterion: &mut Criterion) {
    let leaves = vec![Digest([3; 32]); BLOCK];
    criterion.bench_function("Merkle root of a block", |bencher| {
        bencher.iter(|| merkle::root(black_box(&leaves)));
    });
    let policy: EndorsementPolicy = "3 of (org1, org2, org3, org4)".parse().unwrap();
    let endorsers: Vec<Identity> = (1..=3_u8)
        .map(|org| Identity {
            name: format!("node{org}"),
            organisation: format!("org{org}").parse().unwrap(),
            role: ledger::Role::Peer,
            key: crypto::SigningKey::from_seed(&[org; 32]).public(),
        })
        .collect();
    criterion.bench_function("3 of 4 organisations", |bencher| {
        bencher.iter(|| policy.satisfied_by(black_box(&endorsers)));
    });
}

/// Policy, versions and ids, on the state of a ledger that holds nothing yet.
fn validation(criterion: &mut Criterion) {
    let network = Network::new();
    let transaction = network.checked(&network.put(1, "key", &VALUE));
    let folder = tempfile::tempdir().unwrap();
    let ledger = network.open(folder.path());
    let state = ledger.snapshot().unwrap();
    criterion.bench_function("validate one transaction", |bencher| {
        bencher.iter(|| validate(&state, black_box(&transaction), 1, &mut Budget::default()));
    });
}

/// Everything that follows from the order: validation, the state digest, the roots,
/// and one synced write.
fn blocks(criterion: &mut Criterion) {
    let network = Network::new();
    let all = checked(&network);
    let mut group = criterion.benchmark_group("commit a block");
    group.sample_size(20);
    for size in [1, 16, BLOCK] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("of {size}"), |bencher| {
            let setup = || {
                let folder = tempfile::tempdir().unwrap();
                let ledger = network.open(folder.path());
                let batch = OrderedBatch {
                    sequence: 1,
                    name: crypto::Digest::ZERO,
                    timestamp_ms: 1,
                    transactions: all[..size].to_vec(),
                };
                (folder, ledger, batch)
            };
            let commit = |(folder, ledger, batch): (_, ledger::Ledger, _)| {
                ledger.commit(batch).unwrap();
                (folder, ledger)
            };
            bencher.iter_batched(setup, commit, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(
    stages,
    signatures,
    encoding,
    trees_and_policies,
    validation,
    blocks
);
criterion_main!(stages);
