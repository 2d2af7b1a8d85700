//! The chain on disk: what was committed stays, nothing else gets in.

mod common;

use common::{Network, part, rows, write};
use crypto::{Digest, decode, encode};
use ledger::{
    Block, Committed, ContentsError, HistoryPart, KeyPolicy, Ledger, LedgerError, OrderedBatch,
    ReadWriteSet, RecordWrites, Snapshot, StateView, StoreError, Transaction, ValidationCode,
    Version, verify_folder,
};

fn empty_batch(sequence: u64, timestamp_ms: u64) -> OrderedBatch {
    OrderedBatch {
        sequence,
        name: Digest::ZERO,
        timestamp_ms,
        transactions: vec![],
    }
}

#[test]
fn what_was_committed_is_there_after_a_stop_without_notice() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    let before = ledger.tip();
    let blocks: Vec<_> = (0..=4)
        .map(|n| ledger.stored_block(n).unwrap().unwrap())
        .collect();
    drop(ledger);

    let ledger = network.open(folder.path());
    assert_eq!(ledger.tip(), before);
    assert_eq!(ledger.latest_certified(), Some(4));
    for (number, block) in (0..).zip(blocks) {
        assert_eq!(ledger.stored_block(number).unwrap(), Some(block));
    }
    // And the chain goes on from there.
    network.commit(&ledger, &[network.put(20, "a", b"x")]);
    assert_eq!(ledger.tip().number, 5);
}

#[test]
fn every_question_about_the_small_chain_has_its_answer() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    // Once from memory, once from disk.
    ask(&network, &ledger);
    drop(ledger);
    ask(&network, &network.open(folder.path()));
}

fn ask(network: &Network, ledger: &Ledger) {
    use ValidationCode::{DuplicateTransaction, MvccReadConflict, UnknownCreator, Valid};
    let second = ledger.block(2).unwrap().unwrap();
    assert_eq!(
        second.codes().collect::<Vec<_>>(),
        [
            Valid,
            MvccReadConflict,
            DuplicateTransaction,
            UnknownCreator
        ]
    );
    assert_eq!(
        ledger.block_by_hash(&second.header.hash()).unwrap(),
        Some(second.clone())
    );
    assert_eq!(ledger.block_hash(2).unwrap(), second.header.hash());
    assert_eq!(ledger.block_by_hash(&Digest::ZERO).unwrap(), None);
    assert_eq!(ledger.block(5).unwrap(), None);
    assert!(matches!(
        ledger.block_hash(5),
        Err(LedgerError::NoSuchBlock { number: 5 })
    ));

    // A replayed id keeps its first place.
    let replayed = network.checked(&network.put(1, "a", b"1"));
    let found = ledger.transaction(&replayed.id()).unwrap().unwrap();
    assert_eq!((found.location.block, found.location.index), (1, 0));
    assert_eq!(&found.transaction, replayed.transaction());

    let now = ledger.snapshot().unwrap();
    assert_eq!(now.state("kv", "a").unwrap().unwrap().value, b"after");
    assert_eq!(now.state("kv", "b").unwrap(), None);
    let guarded = now.state("kv", "d").unwrap().unwrap();
    assert_eq!((guarded.version.index, guarded.value), (2, vec![4; 260]));
    assert!(guarded.policy.is_some());
    let history: Vec<_> = ledger
        .history("kv", "b", part(10))
        .unwrap()
        .into_iter()
        .map(|entry| (entry.version, entry.value))
        .collect();
    assert_eq!(
        history,
        [
            (Version { block: 1, index: 1 }, Some(b"2".to_vec())),
            (Version { block: 4, index: 0 }, None)
        ]
    );
    assert_eq!(ledger.history("kv", "b", part(1)).unwrap().len(), 1);
    let after_first = HistoryPart {
        from: Version { block: 1, index: 2 },
        ..part(10)
    };
    let rest = ledger.history("kv", "b", after_first).unwrap();
    assert_eq!(rest[0].version, Version { block: 4, index: 0 });
    let few_bytes = HistoryPart {
        max_bytes: 1,
        ..part(10)
    };
    let first = ledger.history("kv", "b", few_bytes).unwrap();
    assert_eq!(first.len(), 1, "one is always read");

    // Whoever asks may ask for anything.
    let (long, key) = ("n".repeat(300), "k".repeat(100_000));
    for (namespace, key) in [("", ""), ("kv", &key), (&long, "a"), ("_x", "\0")] {
        assert_eq!(now.state(namespace, key).unwrap(), None);
        assert!(ledger.history(namespace, key, part(1)).unwrap().is_empty());
    }
}

/// Consensus compares block hashes: execution must not depend on where it happens.
#[test]
fn a_chain_executed_twice_gives_the_same_bytes_on_disk() {
    let network = Network::new();
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    network.small_chain(&network.open(one.path()));
    let ledger = network.open(two.path());
    network.small_chain(&ledger);
    drop(ledger);
    assert_eq!(rows(one.path()), rows(two.path()));
}

#[test]
fn a_received_chain_gives_the_same_bytes_on_disk() {
    let network = Network::new();
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (source, target) = (network.open(one.path()), network.open(two.path()));
    network.small_chain(&source);
    for number in 1..=4 {
        let block = source.block(number).unwrap().unwrap();
        let committed = network.receive(&target, &block).unwrap();
        assert_eq!(committed.hash, source.block_hash(number).unwrap());
        let certificate = source.certificate(number).unwrap().unwrap();
        target.put_certificate(number, &certificate).unwrap();
    }
    drop((source, target));
    assert_eq!(rows(one.path()), rows(two.path()));
}

#[test]
fn an_altered_block_is_refused_and_leaves_no_trace() {
    let network = Network::new();
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let source = network.open(one.path());
    network.small_chain(&source);
    let target = network.open(two.path());
    let first = source.block(1).unwrap().unwrap();
    network.receive(&target, &first).unwrap();
    let tip = target.tip();
    drop(target);
    let before = rows(two.path());

    let target = network.open(two.path());
    let block = source.block(2).unwrap().unwrap();
    let good = encode(&block);
    // The agreed time is the one thing that execution cannot give: it is for the
    // certificate, which the caller has checked.
    let agreed_time = 136..144;
    for at in (0..good.len()).filter(|at| !agreed_time.contains(at)) {
        let mut altered = good.clone();
        altered[at] ^= 1;
        let Ok(altered) = decode::<Block>(&altered, altered.len()) else {
            continue;
        };
        let Ok(altered) = network.checked_block(&altered) else {
            continue;
        };
        let error = target.commit_received(&altered).map(|_| at).unwrap_err();
        assert!(!error.is_store_failure(), "byte {at}: {error}");
    }
    for wrong in [&first, &source.block(3).unwrap().unwrap()] {
        assert!(network.receive(&target, wrong).is_err());
    }
    assert_eq!(target.tip(), tip);
    drop(target);
    assert_eq!(rows(two.path()), before);
    // Nor is the good block any worse for having been altered.
    let target = network.open(two.path());
    network.receive(&target, &block).unwrap();
}

/// A stranger's transaction, or one for another network, cannot come in with a block.
#[test]
fn a_block_with_an_inadmissible_transaction_is_refused() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let source = network.open(folder.path());
    network.commit(&source, &[network.put(1, "a", b"1")]);
    let mut block = source.block(1).unwrap().unwrap();
    block.transactions[0] = encode(&Network::named(2).put(1, "a", b"1")).into();
    assert!(matches!(
        network.checked_block(&block),
        Err(ContentsError::Refused { index: 0, .. })
    ));
}

#[test]
fn time_goes_forward_whatever_was_agreed() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let times = [50, 50, 0, u64::MAX, 0].map(|agreed| {
        let batch = empty_batch(ledger.tip().number + 1, agreed);
        ledger.commit(batch).unwrap().block.header.timestamp_ms
    });
    assert_eq!(times, [50, 51, 52, u64::MAX, u64::MAX]);
}

#[test]
#[should_panic(expected = "once and in order")]
fn a_batch_out_of_turn_is_never_committed() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let _ = ledger.commit(empty_batch(2, 1));
}

#[test]
fn the_second_of_two_blind_writes_in_a_block_stands() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let Committed { block, .. } = network.commit(
        &ledger,
        &[
            network.put(1, "a", b"1"),
            network.delete(2, "a"),
            network.put(3, "a", b"3"),
        ],
    );
    assert_eq!(
        block.codes().collect::<Vec<_>>(),
        [ValidationCode::Valid; 3]
    );
    let now = ledger.snapshot().unwrap();
    let value = now.state("kv", "a").unwrap().unwrap();
    assert_eq!((value.version.index, value.value), (2, b"3".to_vec()));
    assert_eq!(ledger.history("kv", "a", part(10)).unwrap().len(), 3);
}

#[test]
fn a_snapshot_does_not_see_what_is_committed_after_it() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.commit(
        &ledger,
        &[network.put(1, "a", b"1"), network.put(2, "ab", b"2")],
    );
    let snapshot = ledger.snapshot().unwrap();
    network.commit(
        &ledger,
        &[network.put(3, "a", b"3"), network.put(4, "aa", b"4")],
    );
    assert_eq!(snapshot.number(), 1);
    assert_eq!(snapshot.get("kv", "a").unwrap().unwrap().value, b"1");
    let keys = |start, end| -> Vec<String> {
        let rows = snapshot.range("kv", start, end);
        rows.map(|row| row.unwrap().0).collect()
    };
    assert_eq!(keys("", ""), ["a", "ab"]);
    assert_eq!(keys("aa", ""), ["ab"]);
    assert_eq!(keys("", "ab"), ["a"]);
    assert_eq!(keys("b", "a"), [""; 0]);
    let version = |block| Some(Version { block, index: 0 });
    let asked = [("kv", "a"), ("kv", "aa")];
    let versions = |snapshot: &Snapshot<'_>| -> Vec<_> {
        let rows = snapshot.rows(&asked).into_iter().map(Result::unwrap);
        rows.map(|row| row.map(|row| row.version)).collect()
    };
    assert_eq!(versions(&snapshot), [version(1), None]);
    let now = ledger.snapshot().unwrap();
    let second = Some(Version { block: 2, index: 1 });
    assert_eq!(versions(&now), [version(2), second]);
}

/// A key's own policy is asked for from the next transaction on, though no key of the
/// contract ever had one: where nothing else is asked for, it would be passed by.
#[test]
fn the_first_policy_of_a_key_holds_in_its_own_block_and_in_all_that_follow() {
    let network = Network::new();
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (ledger, receiver) = (network.open(folder.path()), network.open(other.path()));
    let guarded = ReadWriteSet {
        policies: vec![KeyPolicy {
            key: "a".to_owned(),
            policy: Some("'org2.peer'".parse().unwrap()),
        }],
        ..ReadWriteSet::default()
    };
    let guard = network.transaction_with(&network.client, 2, guarded);
    let codes = |ledger: &Ledger, transactions: &[Transaction]| {
        let committed = network.commit(ledger, transactions);
        network.receive(&receiver, &committed.block).unwrap();
        committed.block.codes().collect::<Vec<_>>()
    };
    let (valid, refused) = (
        ValidationCode::Valid,
        ValidationCode::EndorsementPolicyFailure,
    );
    let [put, again, beside] =
        [(1, "a"), (3, "a"), (4, "b")].map(|(nonce, key)| network.put(nonce, key, b"1"));
    let first = codes(&ledger, &[put, guard, again, beside]);
    assert_eq!(first, [valid, valid, refused, valid]);
    assert_eq!(codes(&ledger, &[network.put(5, "a", b"2")]), [refused]);
    drop(ledger);
    let ledger = network.open(folder.path());
    assert_eq!(codes(&ledger, &[network.put(6, "a", b"3")]), [refused]);
    drop((ledger, receiver));
    for folder in [folder, other] {
        let report = verify_folder(folder.path(), &network.genesis).unwrap();
        assert_eq!((report.problem, report.height), (None, 3));
    }
}

#[test]
fn a_certificate_waits_for_its_block_and_survives() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let certificate = network.certificate(&[0, 1], 1, &Digest::ZERO);
    for number in [0, 1] {
        let early = ledger.put_certificate(number, &certificate);
        assert!(matches!(early, Err(LedgerError::NoSuchBlock { .. })));
    }
    assert_eq!(ledger.latest_certified(), None);
    network.commit(&ledger, &[]);
    network.commit_certified(&ledger, &[]);
    network.commit(&ledger, &[]);
    drop(ledger);
    let ledger = network.open(folder.path());
    assert_eq!(ledger.latest_certified(), Some(2));
    assert_eq!(ledger.uncertified(0, u64::MAX, 10).unwrap(), [1, 3]);
    assert_eq!(ledger.uncertified(0, u64::MAX, 1).unwrap(), [1]);
}

#[test]
fn the_folder_of_another_network_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (Network::named(1), Network::named(2));
    drop(there.open(folder.path()));
    match Ledger::open(folder.path(), &here.genesis).map(|_| ()) {
        Err(LedgerError::Store(StoreError::OtherNetwork {
            expected, found, ..
        })) => {
            assert_eq!((expected, found), (here.id(), there.id()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_in_use_is_refused_to_a_second_opener() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let first = network.open(folder.path());
    let second = Ledger::open(folder.path(), &network.genesis).map(|_| ());
    assert!(matches!(
        second,
        Err(LedgerError::Store(StoreError::InUse { .. }))
    ));
    let verified = ledger::verify_folder(folder.path(), &network.genesis);
    assert!(matches!(verified, Err(StoreError::InUse { .. })));
    drop(first);
    network.open(folder.path());
}

/// What a failed write left on disk is not known before a restart, so nothing
/// may be written on top of it.
#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let data = folder.path().join("data");
    let ledger = network.open(&data);
    network.commit(&ledger, &[network.put(1, "a", b"1")]);
    std::fs::remove_dir_all(&data).unwrap();
    assert!(ledger.flush().is_err());
    assert!(ledger.is_poisoned());
    let poisoned = |error| matches!(error, LedgerError::Store(StoreError::Poisoned { .. }));
    assert!(poisoned(ledger.commit(empty_batch(2, 1)).unwrap_err()));
    assert!(poisoned(
        ledger.write_records(RecordWrites::default()).unwrap_err()
    ));
    assert!(poisoned(ledger.flush().unwrap_err()));
    assert_eq!(ledger.tip().number, 1);
}

#[test]
fn what_the_valid_transactions_announced_comes_out() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let conflicting = network.put_after(1, "a", Some(Version { block: 9, index: 9 }));
    let valid = network.transaction_by(&network.client, 2, vec![], vec![write("a", None)]);
    let committed = network.commit(&ledger, &[conflicting, valid.clone()]);
    let announced: Vec<_> = committed.events.iter().map(|(id, _)| *id).collect();
    assert_eq!(announced, [valid.proposal.id()]);
}
