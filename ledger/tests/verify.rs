//! Verification finds whatever is wrong with a chain, and changes nothing.

mod common;

use std::path::Path;

use common::{FAMILIES, Network, copy, files, raw, rows};
use crypto::{Digest, SigningKey};
use ledger::{ChainReport, Ledger, StoreError, StoredBlock, verify_chain, verify_folder};

fn small_chain(network: &Network, folder: &Path) -> Vec<StoredBlock> {
    let ledger = network.open(folder);
    network.small_chain(&ledger);
    let mut writes = ledger::RecordWrites::default();
    writes.put(b"vote".to_vec(), vec![7; 300]);
    writes.put_bodies(5, Digest([5; 32]), vec![8; 300]);
    ledger.write_records(writes).unwrap();
    (0..=4)
        .map(|n| ledger.stored_block(n).unwrap().unwrap())
        .collect()
}

fn problem(report: &ChainReport) -> (Option<u64>, &str) {
    let problem = report.problem.as_ref().expect("the chain was altered");
    (problem.block, &problem.what)
}

#[test]
fn a_chain_that_holds_verifies_from_blocks_and_from_a_folder_and_nothing_is_written() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let mut blocks = small_chain(&network, folder.path());
    let before = files(folder.path());
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!(files(folder.path()), before);
    assert_eq!(report.problem, None);
    assert_eq!(
        (report.height, report.blocks_verified, report.transactions),
        (4, 5, 9)
    );
    assert_eq!(
        (report.uncertified_tip, report.attested_by_successors),
        (0, 0)
    );
    assert_eq!(verify_chain(&mut blocks, &network.genesis), report);
}

/// Attestations come after the block, and a crash may come between.
#[test]
fn the_newest_blocks_may_wait_for_their_certificates() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.commit(&ledger, &[network.put(1, "a", b"1")]);
    network.commit_certified(&ledger, &[]);
    network.commit(&ledger, &[]);
    network.commit(&ledger, &[]);
    drop(ledger);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!(report.problem, None);
    assert_eq!(
        (report.uncertified_tip, report.attested_by_successors),
        (2, 1)
    );
}

#[test]
fn a_folder_without_a_ledger_or_of_another_network_is_not_called_damaged() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let nothing = verify_folder(folder.path(), &network.genesis);
    assert!(matches!(nothing, Err(StoreError::NoLedger { .. })));
    drop(Network::named(2).open(folder.path()));
    let other = verify_folder(folder.path(), &network.genesis);
    assert!(matches!(other, Err(StoreError::OtherNetwork { .. })));
}

/// A database of the layout before this one, which had the transactions in it.
fn of_an_earlier_layout(folder: &Path) {
    let mut database = raw(folder);
    database.drop_cf("batches").unwrap();
    let options = rocksdb::Options::default();
    database.create_cf("bodies", &options).unwrap();
    let meta = database.cf_handle("meta").unwrap();
    database
        .put_cf(meta, "format", 9_u32.to_le_bytes())
        .unwrap();
}

/// The version that wrote it can still open it afterwards: not a file has changed.
#[test]
fn a_database_of_another_layout_is_refused_by_its_number_and_left_as_it_is() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    of_an_earlier_layout(folder.path());
    let before = files(folder.path());
    let opened = Ledger::open(folder.path(), &network.genesis).map(|_| ());
    let Err(ledger::LedgerError::Store(error)) = opened else {
        panic!("{opened:?}");
    };
    let verified = verify_folder(folder.path(), &network.genesis).unwrap_err();
    for error in [error, verified] {
        let told = error.to_string();
        assert!(
            told.contains("has layout 9, and this version reads layout 12"),
            "{told}"
        );
        assert!(told.contains("use the version that wrote it"), "{told}");
    }
    assert_eq!(files(folder.path()), before);
}

/// Someone with access to the disk rewrites a value through the database, so
/// that its own checksums are right: what the ledger checks itself must find it.
#[test]
fn any_altered_byte_of_any_stored_value_is_found() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    for (family, key, value) in rows(folder.path()) {
        assert!(!value.is_empty());
        // Opened anew for each row, or each look would replay an ever longer log.
        let database = raw(folder.path());
        let handle = database.cf_handle(&family).unwrap();
        // Of long rows every third, or it would take too long.
        let step = if value.len() < 256 { 1 } else { 3 };
        for at in (0..value.len()).step_by(step) {
            let mut altered = value.clone();
            altered[at] ^= 1 << (at % 8);
            database.put_cf(handle, &key, &altered).unwrap();
            let found = verify_folder(folder.path(), &network.genesis);
            let named = match &found {
                Ok(report) => report.problem.is_some(),
                Err(error) => matches!(
                    error,
                    StoreError::OtherNetwork { .. } | StoreError::OtherFormat { .. }
                ),
            };
            assert!(named, "{family} {key:02x?}, byte {at}: {found:?}");
            if ["blocks", "batches", "certificates"].contains(&&*family) {
                let number = u64::from_be_bytes(*key.first_chunk().unwrap());
                let report = found.unwrap();
                assert_eq!(problem(&report).0, Some(number), "byte {at}: {report:?}");
            }
        }
        database.put_cf(handle, &key, &value).unwrap();
    }
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!(report.problem, None);
}

fn put(folder: &Path, family: &str, key: &[u8], value: &[u8]) {
    let database = raw(folder);
    let handle = database.cf_handle(family).unwrap();
    database.put_cf(handle, key, value).unwrap();
}

#[test]
fn any_missing_or_additional_row_is_found() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    for (family, key, value) in rows(folder.path()) {
        let database = raw(folder.path());
        let handle = database.cf_handle(&family).unwrap();
        database.delete_cf(handle, &key).unwrap();
        drop(database);
        let found = verify_folder(folder.path(), &network.genesis);
        let report = found.unwrap_or_else(|error| panic!("{family} {key:02x?}: {error}"));
        // A certificate that is gone looks like one that never came.
        if family == "certificates" {
            assert_eq!(report.uncertified_tip + report.attested_by_successors, 1);
        } else if family == "batches" {
            // What was voted for is for consensus to miss, whose records are opaque.
            assert_eq!(report.problem, None);
        } else {
            assert!(
                report.problem.is_some(),
                "{family} {key:02x?} is not missed"
            );
        }
        put(folder.path(), &family, &key, &value);
    }
    for family in FAMILIES {
        let other_batch = [&3_u64.to_be_bytes()[..], &[9; 32]].concat();
        for key in [&b"\0\0\0\0\0\0\0\x09"[..], b"\x02kvzz", b"x", &other_batch] {
            put(folder.path(), family, key, b"more");
            let report = verify_folder(folder.path(), &network.genesis).unwrap();
            assert!(
                report.problem.is_some(),
                "{family} {key:02x?} is not noticed"
            );
            let database = raw(folder.path());
            let handle = database.cf_handle(family).unwrap();
            database.delete_cf(handle, key).unwrap();
        }
    }
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    assert_eq!(report.problem, None);
}

#[test]
fn a_swapped_missing_or_foreign_block_is_named() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let good = small_chain(&network, folder.path());
    let verify = |blocks: &[StoredBlock]| verify_chain(&mut blocks.to_vec(), &network.genesis);

    let mut swapped = good.clone();
    swapped.swap(2, 3);
    assert_eq!(problem(&verify(&swapped)).0, Some(2));

    let mut hole = good.clone();
    hole.remove(3);
    assert_eq!(problem(&verify(&hole)).0, Some(3));

    // A block that executes well but is not the one that was attested.
    let elsewhere = tempfile::tempdir().unwrap();
    let ledger = network.open(elsewhere.path());
    let forged = network.commit(&ledger, &[network.put(1, "a", b"stolen")]);
    let mut foreign = good.clone();
    foreign[1].block = forged.block.as_ref().clone();
    let report = verify(&foreign);
    let (block, what) = problem(&report);
    assert_eq!(block, Some(1));
    assert!(what.contains("certificate"), "{what}");

    // Without the certificate, its successor gives it away.
    foreign[1].certificate = None;
    assert_eq!(problem(&verify(&foreign)).0, Some(2));

    assert_eq!(verify(&good[..3]).problem, None);
    assert_eq!(problem(&verify(&[])).0, None);
}

#[test]
fn a_certificate_that_is_short_repeated_foreign_or_of_another_block_is_named() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let good = small_chain(&network, folder.path());
    let hash = good[3].block.header.hash();
    let mut stranger = network.certificate(&[0, 1], 3, &hash);
    let body = ledger::attested_bytes(3, &hash);
    let key = SigningKey::from_seed(&[66; 32]);
    stranger.signatures[1].1 = key.sign(crypto::Domain::Checkpoint, &network.id(), &body);
    let bad = [
        network.certificate(&[], 3, &hash),
        network.certificate(&[1], 3, &hash),
        network.certificate(&[1, 1], 3, &hash),
        network.certificate(&[2, 0], 3, &hash),
        network.certificate(&[0, 1], 2, &hash),
        network.certificate(&[0, 1], 3, &Digest::ZERO),
        Network::named(2).certificate(&[0, 1], 3, &hash),
        stranger,
    ];
    for (case, certificate) in bad.into_iter().enumerate() {
        // Network::named(2) signs with the same keys, for another network.
        let mut blocks = good.clone();
        blocks[3].certificate = Some(certificate);
        let report = verify_chain(&mut blocks, &network.genesis);
        let (block, what) = problem(&report);
        assert_eq!(block, Some(3), "case {case}");
        assert!(what.contains("certificate"), "{what}");
    }
}

#[test]
fn a_chain_cut_short_of_what_meta_says_is_named() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    let database = raw(folder.path());
    let handle = database.cf_handle("blocks").unwrap();
    database.delete_cf(handle, 4_u64.to_be_bytes()).unwrap();
    drop(database);
    let report = verify_folder(folder.path(), &network.genesis).unwrap();
    let (block, what) = problem(&report);
    assert_eq!((block, report.blocks_verified), (Some(4), 4));
    assert!(what.contains("missing"), "{what}");
    let opened = Ledger::open(folder.path(), &network.genesis);
    assert!(opened.is_err());
}

/// Nobody can say what is right about a chain whose blocks a quorum did not sign:
/// a node that lost its database must not quietly begin a new one.
#[test]
fn a_database_that_vanished_is_not_replaced_by_an_empty_one() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    std::fs::remove_dir_all(folder.path().join("rocksdb")).unwrap();
    match Ledger::open(folder.path(), &network.genesis).map(|_| ()) {
        Err(ledger::LedgerError::Store(StoreError::LostWrites { witnessed, .. })) => {
            assert_eq!(witnessed, 4);
        }
        other => panic!("{other:?}"),
    }
}

/// A disk turns single bits in the files of a node that stopped without notice
/// (all in the log) or cleanly (all in table files). Either the flip is found,
/// or everything reads as it did; never is the chain silently another one.
#[test]
fn a_flipped_bit_in_any_file_is_found_or_harmless() {
    let network = Network::new();
    for clean_stop in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        small_chain(&network, folder.path());
        if clean_stop {
            network.open(folder.path()).flush().unwrap();
        }
        let good = verify_folder(folder.path(), &network.genesis).unwrap();
        assert_eq!(good.problem, None);
        for (path, contents) in files(folder.path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            // The database's diary and its notes on how it was opened.
            if ["LOG", "OPTIONS", "IDENTITY", "LOCK"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                continue;
            }
            let (mut flips, mut found) = (0, 0);
            for at in sampled(contents.len()) {
                flips += 1;
                found += u32::from(flip(&network, folder.path(), &path, at, &good));
            }
            // A file of rows has a few bytes that nobody reads back.
            let harmless = if path.extension().is_some_and(|kind| kind == "sst") {
                flips / 20
            } else {
                0
            };
            assert!(found + harmless >= flips, "{name}: {found} of {flips}");
        }
    }
}

/// Offsets at which a file is tried: a prime step, and both ends closely.
fn sampled(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| at % 61 == 0 || *at < 32 || at + 64 > length)
}

fn flip(network: &Network, folder: &Path, path: &Path, at: usize, good: &ChainReport) -> bool {
    let mut contents = std::fs::read(path).unwrap();
    contents[at] ^= 1 << (at % 8);
    std::fs::write(path, &contents).unwrap();
    let found = match verify_folder(folder, &network.genesis) {
        Err(_) => true,
        Ok(report) if report.problem.is_some() => true,
        Ok(report) => {
            assert_eq!(&report, good, "{} at {at}", path.display());
            false
        }
    };
    contents[at] ^= 1 << (at % 8);
    std::fs::write(path, &contents).unwrap();
    found
}

/// A crash while the last record was written loses that record and nothing else.
#[test]
fn a_torn_log_is_mended_and_a_log_that_lost_synced_blocks_is_refused() {
    let network = Network::new();
    let folder = tempfile::tempdir().unwrap();
    small_chain(&network, folder.path());
    let log = files(folder.path())
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|name| name == "log"))
        .max_by_key(|(_, contents)| contents.len())
        .unwrap();
    let work = tempfile::tempdir().unwrap();
    for cut in (1..log.1.len()).step_by(97) {
        let copied = work.path().join(cut.to_string());
        copy(folder.path(), &copied);
        let torn = copied.join(log.0.strip_prefix(folder.path()).unwrap());
        std::fs::write(&torn, &log.1[..cut]).unwrap();
        // The witness knows that all of it was on disk.
        assert!(
            Ledger::open(&copied, &network.genesis).is_err(),
            "cut at {cut}"
        );
        std::fs::remove_dir_all(&copied).unwrap();
    }
    for cut in (1..log.1.len()).step_by(97) {
        let copied = work.path().join(cut.to_string());
        copy(folder.path(), &copied);
        let torn = copied.join(log.0.strip_prefix(folder.path()).unwrap());
        std::fs::write(&torn, &log.1[..cut]).unwrap();
        // Had it never been synced, there would be no witness of it.
        std::fs::remove_file(copied.join("witness")).unwrap();
        let ledger = network.open(&copied);
        let height = ledger.tip().number;
        network.commit(&ledger, &[network.put(40, "z", b"on")]);
        drop(ledger);
        let report = verify_folder(&copied, &network.genesis).unwrap();
        assert_eq!((report.problem.as_ref(), report.height), (None, height + 1));
        std::fs::remove_dir_all(&copied).unwrap();
    }
}

/// A length that points past the end of the log looks like a torn last record,
/// and the database drops what follows without a word.
#[test]
fn a_damaged_length_in_the_log_does_not_pass_for_a_torn_end() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    small_chain(&network, folder.path());
    let (path, log) = files(folder.path())
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|kind| kind == "log"))
        .unwrap();
    // A record is a checksum (4 bytes), a length (2), a type (1) and that many bytes.
    let (mut at, mut silently_shorter) = (0, 0);
    while at < log.len() {
        let length = u16::from_le_bytes([log[at + 4], log[at + 5]]);
        let mut damaged = log.clone();
        damaged[at + 5] ^= 0x80;
        std::fs::write(&path, &damaged).unwrap();
        let report = verify_folder(folder.path(), &network.genesis).unwrap();
        assert!(report.problem.is_some(), "record at {at}");

        let alone = tempfile::tempdir().unwrap();
        copy(folder.path(), alone.path());
        assert!(Ledger::open(alone.path(), &network.genesis).is_err());
        std::fs::remove_file(alone.path().join("witness")).unwrap();
        let unwitnessed = verify_folder(alone.path(), &network.genesis);
        let lost = unwitnessed.is_ok_and(|report| report.problem.is_none() && report.height < 4);
        silently_shorter += u32::from(lost);
        at += 7 + usize::from(length);
    }
    assert!(silently_shorter > 0, "then the witness would not be needed");
}
