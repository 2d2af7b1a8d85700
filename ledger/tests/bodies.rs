//! The files of transactions, beside the database.

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::{Network, files};
use crypto::{Digest, encode};
use ledger::{Ledger, LedgerError, RecordWrites, StoreError, verify_folder};

/// From how many bytes on a file is not appended to any more.
const FILE_BYTES: usize = 64 * 1024 * 1024;

fn names(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("bodies")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    names.sort();
    names
}

fn record(ledger: &Ledger, batches: &[(u64, &[u8])]) -> Result<(), LedgerError> {
    let mut writes = RecordWrites::default();
    for (number, bodies) in batches {
        writes.put_bodies(*number, Digest([7; 32]), bodies.to_vec());
    }
    ledger.write_records(writes)
}

/// How often these bytes stand in the files of a folder.
fn times(folder: &Path, wanted: &[u8]) -> usize {
    let files = files(folder).into_iter();
    let of_file = |contents: &[u8]| {
        let pieces = contents.windows(wanted.len());
        pieces.filter(|piece| *piece == wanted).count()
    };
    files.map(|(_, contents)| of_file(&contents)).sum()
}

#[test]
fn a_transaction_goes_to_disk_once_with_what_it_writes() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let value: Vec<u8> = (0..40_u8)
        .flat_map(|at| network.id().0.map(|byte| byte.wrapping_mul(at)))
        .collect();
    let put = network.put(1, "a", &value);
    let bodies = encode(&vec![encode(&put)]);
    let mut writes = RecordWrites::default();
    writes.put_bodies(1, Digest([7; 32]), bodies);
    ledger.write_records(writes).unwrap();
    let batch = ledger::OrderedBatch {
        sequence: 1,
        name: Digest([7; 32]),
        timestamp_ms: 1000,
        transactions: vec![network.checked(&put)],
    };
    ledger.commit(batch).unwrap();
    // In the log, and then in tables.
    for _ in 0..2 {
        for piece in value.chunks(64) {
            assert_eq!(times(folder.path(), piece), 1);
        }
        ledger.flush().unwrap();
    }
}

/// Who has voted for a batch and was behind when it became a block gets that from others,
/// who do not say what it was called.
#[test]
fn a_block_that_is_received_takes_up_what_was_recorded_of_it() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let other = tempfile::tempdir().unwrap();
    let source = network.open(other.path());
    let put = network.put(1, "a", &[1; 400]);
    let block = network.commit(&source, std::slice::from_ref(&put)).block;
    let ledger = network.open(folder.path());
    record(&ledger, &[(1, &encode(&vec![encode(&put)]))]).unwrap();
    let [path] = names(folder.path()).try_into().unwrap();
    let before = std::fs::read(&path).unwrap();
    network.receive(&ledger, &block).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    drop(ledger);
    let ledger = network.open(folder.path());
    assert_eq!(ledger.block(1).unwrap().as_ref(), Some(&*block));
    assert_eq!(ledger.recorded_batches().unwrap(), []);
}

/// The power goes after transactions were appended and before the row that refers to
/// them is written.
#[test]
fn what_no_row_refers_to_is_passed_over() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    let blocks: Vec<_> = (0..=4)
        .map(|number| ledger.block(number).unwrap())
        .collect();
    drop(ledger);
    let [path] = names(folder.path()).try_into().unwrap();
    let mut contents = std::fs::read(&path).unwrap();
    contents.extend([1; 1000]);
    std::fs::write(&path, &contents).unwrap();
    let ledger = network.open(folder.path());
    let next = network.commit(&ledger, &[network.put(200, "z", b"z")]);
    record(&ledger, &[(6, b"the next")]).unwrap();
    drop(ledger);
    assert!(std::fs::read(&path).unwrap().starts_with(&contents));
    let ledger = network.open(folder.path());
    for (block, number) in blocks.iter().zip(0..) {
        assert_eq!(ledger.block(number).unwrap(), *block);
    }
    assert_eq!(ledger.block(5).unwrap().as_ref(), Some(&*next.block));
    assert_eq!(ledger.recorded_batches().unwrap()[0].bodies, b"the next");
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 5));
}

#[test]
fn a_file_that_is_gone_or_ends_early_is_named_with_the_block_that_needs_it() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    network.small_chain(&network.open(folder.path()));
    let [path] = names(folder.path()).try_into().unwrap();
    let contents = std::fs::read(&path).unwrap();
    // Of block 0 there are 8 bytes, a list of nothing.
    for (left, block) in [
        (None, 0),
        (Some(7), 0),
        (Some(8), 1),
        (Some(contents.len() - 1), 4),
    ] {
        match left {
            None => std::fs::remove_file(&path).unwrap(),
            Some(length) => std::fs::write(&path, &contents[..length]).unwrap(),
        }
        let opened = Ledger::open(folder.path(), &network.genesis).map(|_| ());
        let told = opened.unwrap_err().to_string();
        assert!(told.contains(path.to_str().unwrap()), "{told}");
        let report = verify_folder(folder.path(), &network.genesis).unwrap();
        let problem = report.problem.unwrap();
        assert_eq!(problem.block, Some(block), "{}", problem.what);
        assert!(problem.what.contains(path.to_str().unwrap()));
    }
    std::fs::write(&path, &contents).unwrap();
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 4));
}

/// Where nothing is executed, nothing else takes them away.
#[test]
fn files_are_full_at_last_and_go_when_all_in_them_is_discarded() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let half = vec![5; FILE_BYTES / 2];
    // With block 0, the first two fill a file.
    for number in 1..=5 {
        record(&ledger, &[(number, &half)]).unwrap();
    }
    let all = names(folder.path());
    assert_eq!(all.len(), 3);
    ledger.discard_recorded(3).unwrap();
    assert_eq!(names(folder.path()), all, "a file of which one is left");
    ledger.discard_recorded(5).unwrap();
    let left = names(folder.path());
    let with_block_0_or_open = [all[0].clone(), all[2].clone()];
    assert_eq!(left, with_block_0_or_open);
    record(&ledger, &[(6, b"more")]).unwrap();
    drop(ledger);
    let ledger = network.open(folder.path());
    let recorded = ledger.recorded_batches().unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        (recorded[0].number, &recorded[0].bodies[..]),
        (6, &b"more"[..])
    );
}

/// What it held before it was opened counts, too.
#[test]
fn no_file_goes_that_blocks_stand_in() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    network.small_chain(&network.open(folder.path()));
    let ledger = network.open(folder.path());
    record(&ledger, &[(7, &vec![5; FILE_BYTES])]).unwrap();
    let blocks = [5, 6].map(|nonce| {
        let committed = network.commit_certified(&ledger, &[network.put(200 + nonce, "z", b"z")]);
        committed.block.header.number
    });
    assert_eq!((blocks, names(folder.path()).len()), ([5, 6], 2));
    record(&ledger, &[(8, &vec![5; FILE_BYTES]), (9, b"more")]).unwrap();
    ledger.discard_recorded(9).unwrap();
    assert_eq!(names(folder.path()).len(), 3);
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 6));
    let ledger = network.open(folder.path());
    assert!(ledger.block(6).unwrap().is_some());
}

/// A replica that cannot keep what it votes for must not vote.
#[test]
fn a_disk_without_room_stops_all_writing_and_loses_nothing() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.commit(&ledger, &[network.put(1, "a", b"1")]);
    drop(ledger);
    let next = folder.path().join("bodies").join("00000002.bodies");
    symlink("/dev/full", &next).unwrap();
    let ledger = network.open(folder.path());
    let error = record(&ledger, &[(2, b"bodies")]).unwrap_err().to_string();
    assert!(
        error.contains("No space left") && error.contains(next.to_str().unwrap()),
        "{error}"
    );
    let error = record(&ledger, &[]).unwrap_err();
    assert!(matches!(
        error,
        LedgerError::Store(StoreError::Poisoned { .. })
    ));
    assert!(ledger.is_poisoned());
    drop(ledger);
    std::fs::remove_file(&next).unwrap();
    let ledger = network.open(folder.path());
    assert_eq!(ledger.recorded_batches().unwrap(), []);
    network.commit(&ledger, &[network.put(2, "a", b"2")]);
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!((report.problem, report.height), (None, 2));
}
