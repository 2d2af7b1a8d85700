//! How much room a ledger takes on disk.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{Network, write};
use ledger::ReadWriteSet;

/// Bytes that no compression makes fewer.
fn value(name: &str, round: u8) -> Vec<u8> {
    let mut bytes = vec![0; 2000];
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes()).update(&[round]);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// How many bytes the files of long values have. One may go while it is looked at.
fn values(folder: &Path) -> u64 {
    let all = std::fs::read_dir(folder.join("rocksdb")).unwrap();
    let all = all.map(|entry| entry.unwrap());
    let all = all.filter(|entry| entry.path().extension().is_some_and(|it| it == "blob"));
    all.map(|entry| entry.metadata().map_or(0, |it| it.len()))
        .sum()
}

/// In each file of values nearly all are overwritten soon, and one never is.
#[test]
fn the_room_of_overwritten_values_is_had_again() {
    const OVERWRITTEN: usize = 20;
    const MORE_BLOCKS: usize = 5_000;
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let mut of_blocks: u64 = 0;
    for round in 0..=u8::MAX {
        let names = (0..OVERWRITTEN).map(|key| format!("overwritten-{key}"));
        let names: BTreeSet<_> = names.chain([format!("kept-{round}")]).collect();
        let writes = names.iter();
        let writes = writes.map(|name| write(name, Some(&value(name, round))));
        let rwset = ReadWriteSet {
            writes: writes.collect(),
            ..ReadWriteSet::default()
        };
        let transaction = network.transaction_with(&network.client, round, rwset);
        let committed = network.commit(&ledger, &[transaction]);
        of_blocks += committed.block.transactions[0].len() as u64;
        ledger.flush().unwrap();
    }
    // Tables are merged, and files removed, behind what is seen of the ledger.
    let is_enough = || values(folder.path()) < of_blocks + of_blocks / 2;
    let had = (0..MORE_BLOCKS).any(|_| {
        network.commit(&ledger, &[]);
        ledger.flush().unwrap();
        is_enough()
    });
    let all = values(folder.path());
    assert!(had, "{all} bytes, {of_blocks} of them of blocks");
}
