//! The logs of the database: what is torn is mended, what is damaged is said.

mod common;

use std::path::PathBuf;

use common::{Network, files};
use ledger::{Ledger, RecordWrites, verify_folder};

/// The manifest and the log of a database, with their contents.
fn logs(folder: &std::path::Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = files(&folder.join("rocksdb"));
    all.retain(|(path, _)| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("MANIFEST") || path.extension().is_some_and(|it| it == "log")
    });
    all
}

/// The records of a log or a manifest that is shorter than its blocks.
fn records(log: &[u8]) -> Vec<usize> {
    let mut at = vec![0];
    while let Some([low, high]) = log
        .get(at[at.len() - 1] + 4..)
        .and_then(|it| it.first_chunk())
    {
        at.push(at[at.len() - 1] + 7 + usize::from(u16::from_le_bytes([*low, *high])));
    }
    at.pop();
    at
}

/// The database itself would read such a log for ever.
#[test]
fn a_record_that_claims_to_be_of_a_used_log_is_damage() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    network.small_chain(&network.open(folder.path()));
    let mut tried = 0;
    for (path, contents) in logs(folder.path()) {
        for at in records(&contents) {
            let mut altered = contents.clone();
            altered[at + 6] ^= 4;
            std::fs::write(&path, &altered).unwrap();
            let report = verify_folder(folder.path(), &network.genesis).unwrap();
            let what = report.problem.unwrap().what;
            assert!(what.contains(&format!("at byte {at} ")), "{what}");
            assert!(Ledger::open(folder.path(), &network.genesis).is_err());
            tried += 1;
        }
        std::fs::write(&path, &contents).unwrap();
    }
    assert!(tried > 15, "{tried} records");
}

/// The power goes while something is written that nobody was told is on disk: of its
/// pages the last are there and the first, with the beginning of a record, is not.
#[test]
fn what_follows_a_page_that_was_never_written_is_not_looked_at() {
    const PAGE: usize = 4096;
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    ledger.flush().unwrap();
    let record = |name: u8, bytes: usize| {
        let mut writes = RecordWrites::default();
        // Whatever a peer has put into its message.
        writes.put(vec![name], vec![5; bytes]);
        ledger.write_records(writes).unwrap();
    };
    let newest_log = || {
        let mut newest_first = logs(folder.path()).into_iter().rev();
        let log = newest_first.find(|(path, _)| path.extension().is_some());
        log.unwrap()
    };
    record(1, 1);
    let (path, before) = newest_log();
    let witness = folder.path().join("witness");
    let seen = std::fs::read(&witness).unwrap();
    record(2, 3 * PAGE);
    let (same, mut log) = newest_log();
    assert!(same == path && log[..before.len()] == before[..]);
    assert!(records(&log).contains(&before.len()));
    drop(ledger);
    log[before.len()..before.len().next_multiple_of(PAGE)].fill(0);
    std::fs::write(&path, &log).unwrap();
    std::fs::write(&witness, &seen).unwrap();
    let ledger = network.open(folder.path());
    assert_eq!(ledger.read_records().unwrap().len(), 1);
}
