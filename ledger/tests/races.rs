//! Many threads at one ledger: whoever looks, whoever records and whoever commits.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Network, write};
use crypto::{Digest, encode};
use ledger::{
    Ledger, OrderedBatch, RecordWrites, StateRow, StateView, Transaction, Verdict, verify_folder,
};

/// Ends what others do meanwhile, also when something has failed: they are waited for.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ids are looked for while blocks come, some ordered here and some received.
#[test]
fn no_id_takes_effect_twice_however_lookups_and_commits_interleave() {
    let network = Network::new();
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (ledger, source) = (network.open(folder.path()), network.open(other.path()));
    let put = |nonce| network.put(nonce, "a", &[nonce]);
    let all: Vec<_> = (0..60_u8).map(put).collect();
    let ids: Vec<_> = all.iter().map(|each| network.checked(each).id()).collect();
    let stop = AtomicBool::new(false);
    let look = || {
        while !stop.load(Ordering::Relaxed) {
            for id in &ids {
                ledger.location(id).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..4 {
            scope.spawn(look);
        }
        // Each comes in four blocks, one after the other.
        for (round, which) in (0..60).flat_map(|at| [at; 4]).enumerate() {
            let transactions = &all[which..=which];
            let committed = network.commit(&source, transactions);
            let made = if round % 2 == 0 {
                network.commit(&ledger, transactions)
            } else {
                network.receive(&ledger, &committed.block).unwrap()
            };
            assert_eq!(made.hash, committed.hash);
            let is_valid = made.block.verdicts[0] == Verdict::VALID;
            assert_eq!(is_valid, round % 4 == 0, "{round}");
        }
    });
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 240));
}

/// The transaction of the block with this number.
fn transaction(network: &Network, number: u64) -> [Transaction; 1] {
    let nonce = u8::try_from(number % 250).unwrap();
    [network.put(nonce, "a", &[nonce])]
}

/// One of two batches for this number: that with its transaction, or an empty one.
fn name(number: u64, which: u8) -> Digest {
    let mut name = [which; 32];
    name[..8].copy_from_slice(&number.to_le_bytes());
    Digest(name)
}

fn record(ledger: &Ledger, number: u64, which: u8, transactions: &[Transaction]) {
    let bodies: Vec<Vec<u8>> = transactions.iter().map(encode).collect();
    let mut writes = RecordWrites::default();
    writes.put_bodies(number, name(number, which), encode(&bodies));
    ledger.write_records(writes).unwrap();
}

/// Votes are recorded for numbers that are committed at that moment.
#[test]
fn recording_beside_commits_leaves_one_batch_for_every_block() {
    let network = Network::new();
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (ledger, source) = (network.open(folder.path()), network.open(other.path()));
    let stop = AtomicBool::new(false);
    let record_what_comes = |which: u8| {
        while !stop.load(Ordering::Relaxed) {
            let tip = ledger.tip().number;
            for number in tip.saturating_sub(1)..tip + 4 {
                let transactions = transaction(&network, number);
                let length = usize::from(which == 0);
                record(&ledger, number, which, &transactions[..length]);
            }
        }
    };
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| record_what_comes(0));
        scope.spawn(|| record_what_comes(1));
        for number in 1..200 {
            let transactions = transaction(&network, number);
            let committed = network.commit(&source, &transactions);
            let made = if number % 3 == 0 {
                network.receive(&ledger, &committed.block).unwrap()
            } else {
                let checked = transactions.iter().map(|each| network.checked(each));
                let batch = OrderedBatch {
                    sequence: number,
                    name: name(number, 0),
                    timestamp_ms: committed.block.header.timestamp_ms,
                    transactions: checked.collect(),
                };
                ledger.commit(batch).unwrap()
            };
            assert_eq!(made.hash, committed.hash);
        }
    });
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 199));
    let ledger = network.open(folder.path());
    for number in 0..200 {
        assert_eq!(ledger.block(number).unwrap(), source.block(number).unwrap());
    }
}

/// Rows are asked for while they change: what is at hand of a later block must not show.
#[test]
fn a_snapshot_has_the_rows_of_its_block_however_reads_and_commits_interleave() {
    let network = Network::new();
    let folder = tempfile::tempdir().unwrap();
    let ledger = network.open(folder.path());
    let stop = AtomicBool::new(false);
    let look = || {
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            let snapshot = ledger.snapshot().unwrap();
            let number = snapshot.number();
            let rows = snapshot.rows(&[("kv", "a"), ("kv", "none"), ("kv", "b")]);
            let rows: Vec<_> = rows.into_iter().map(Result::unwrap).collect();
            let [a, none, b] = rows.try_into().unwrap();
            assert_eq!(none, None);
            // `a` is put in every block, `b` in every third one, and deleted in the next.
            let written = |row: Option<StateRow>| row.map(|row| row.version.block);
            let (put_a, put_b) = (number > 0, number > 0 && number.is_multiple_of(3));
            assert_eq!(written(a), put_a.then_some(number));
            assert_eq!(written(b), put_b.then_some(number));
            seen = seen.max(number);
        }
        seen
    };
    std::thread::scope(|scope| {
        let done = Stop(&stop);
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(look)).collect();
        for number in 1..=240_u8 {
            let mut writes = vec![write("a", Some(b"1"))];
            match number % 3 {
                0 => writes.push(write("b", Some(b"2"))),
                1 => writes.push(write("b", None)),
                _ => {}
            }
            let transaction = network.transaction_by(&network.client, number, vec![], writes);
            let committed = network.commit(&ledger, &[transaction]);
            assert_eq!(committed.block.verdicts, [Verdict::VALID]);
        }
        drop(done);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 240));
}
