//! What consensus records, and what becomes of it when there are blocks.

mod common;

use std::path::Path;

use common::{Network, rows};
use crypto::{Digest, encode};
use ledger::{Ledger, OrderedBatch, RecordWrites, Transaction, verify_folder};

#[test]
fn records_are_kept_in_the_order_they_were_changed() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let mut writes = RecordWrites::default();
    for key in ["a1", "a2", "b1"] {
        writes.put(key.into(), b"old".to_vec());
    }
    ledger.write_records(writes).unwrap();
    let mut writes = RecordWrites::default();
    writes.delete_range(b"a".to_vec(), b"b".to_vec());
    writes.put(b"a2".to_vec(), b"new".to_vec());
    ledger.write_records(writes).unwrap();
    drop(ledger);
    let found = network.open(folder.path()).read_records().unwrap();
    let row = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(found, [row("a2", "new"), row("b1", "old")]);
}

/// The batches that no block has: block number and name.
fn recorded(folder: &Path) -> Vec<(u64, Digest)> {
    let rows = rows(folder).into_iter();
    let rows = rows.filter(|(family, ..)| family == "batches");
    let place = |key: &[u8]| {
        let (number, name) = key.split_first_chunk().unwrap();
        (
            u64::from_be_bytes(*number),
            Digest(name.try_into().unwrap()),
        )
    };
    rows.map(|(_, key, _)| place(&key)).collect()
}

fn record(ledger: &Ledger, batches: &[(u64, Digest, &[Transaction])]) {
    let mut writes = RecordWrites::default();
    for (number, name, transactions) in batches {
        let bodies: Vec<Vec<u8>> = transactions.iter().map(encode).collect();
        writes.put_bodies(*number, *name, encode(&bodies));
    }
    ledger.write_records(writes).unwrap();
}

/// What was recorded before a vote is on disk: the block only refers to it.
#[test]
fn a_block_takes_up_the_batch_that_was_recorded_for_it_and_no_other_stays() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let [first, second] = [network.put(1, "a", b"1"), network.put(2, "b", b"2")].map(|it| [it]);
    let [chosen, other, next] = [1, 2, 3].map(|byte| Digest([byte; 32]));
    record(
        &ledger,
        &[
            (1, chosen, &first),
            (1, other, &second),
            (2, chosen, &second),
            (2, next, &[]),
        ],
    );
    let commit = |ledger: &Ledger, name, transactions: &[Transaction]| {
        let sequence = ledger.tip().number + 1;
        let checked = transactions.iter().map(|each| network.checked(each));
        let batch = OrderedBatch {
            sequence,
            name,
            timestamp_ms: 1000 * sequence,
            transactions: checked.collect(),
        };
        ledger.commit(batch).unwrap()
    };
    let committed = commit(&ledger, chosen, &first);
    drop(ledger);
    assert_eq!(recorded(folder.path()), [(2, chosen), (2, next)]);

    let ledger = network.open(folder.path());
    assert_eq!(ledger.block(1).unwrap().as_ref(), Some(&*committed.block));
    let batches = ledger.recorded_batches().unwrap();
    let names = batches.iter().map(|batch| (batch.number, batch.name));
    assert_eq!(names.collect::<Vec<_>>(), [(2, chosen), (2, next)]);
    assert_eq!(batches[0].bodies, encode(&vec![encode(&second[0])]));
    record(&ledger, &[(1, other, &second), (3, next, &[])]);

    // Of the second block another batch than those was agreed on.
    commit(&ledger, other, &first);
    drop(ledger);
    assert_eq!(recorded(folder.path()), [(3, next)]);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 2));

    let ledger = network.open(folder.path());
    ledger.discard_recorded(1).unwrap();
    assert_eq!(ledger.recorded_batches().unwrap().len(), 1);
    ledger.discard_recorded(3).unwrap();
    assert_eq!(ledger.recorded_batches().unwrap(), []);
    drop(ledger);
    assert_eq!(recorded(folder.path()), []);
}

/// Whoever votes on a batch that others have executed asks them for what it names.
#[test]
fn transactions_are_found_by_hash_as_long_as_their_block_has_no_certificate() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let all = [1, 2, 3].map(|nonce| network.put(nonce, "a", &[nonce]));
    network.commit(&ledger, &all[..1]);
    network.commit_certified(&ledger, &all[1..2]);
    network.commit(&ledger, &all[2..]);
    let checked = all.each_ref().map(|each| network.checked(each));
    let hashes = checked.iter().map(|each| each.hash()).collect();
    let bodies = checked.map(|each| each.bytes().to_vec());
    let found = |ledger: &Ledger, bytes| ledger.recent_transactions(&hashes, bytes).unwrap();
    assert_eq!(found(&ledger, usize::MAX), bodies);
    assert_eq!(found(&ledger, bodies[0].len() + 1), bodies[..2]);
    drop(ledger);
    let ledger = network.open(folder.path());
    assert_eq!(found(&ledger, usize::MAX), bodies[2..]);
}
