//! What was written to a key, wherever it stands.

mod common;

use common::{Network, part, rows};
use ledger::{HistoryPart, KeyPolicy, ReadWriteSet, Version};

/// Long values stand in their block alone, and are found there.
#[test]
fn a_history_tells_long_values_and_short_ones_alike() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let long = |byte: u8| vec![byte; 5000];
    network.commit(
        &ledger,
        &[network.put(1, "a", &long(1)), network.put(2, "b", &long(2))],
    );
    network.commit(
        &ledger,
        &[network.put(3, "c", b"short"), network.put(4, "b", &long(3))],
    );
    let place = |block, index| Version { block, index };
    let guarded = ReadWriteSet {
        policies: vec![KeyPolicy {
            key: "b".to_owned(),
            policy: Some("org1".parse().unwrap()),
        }],
        ..ReadWriteSet::default()
    };
    network.commit(
        &ledger,
        &[network.transaction_with(&network.client, 5, guarded)],
    );
    network.commit(&ledger, &[network.delete(6, "a")]);
    let told = |key| -> Vec<_> {
        let entries = ledger.history("kv", key, part(10)).unwrap().into_iter();
        entries.map(|entry| (entry.version, entry.value)).collect()
    };
    assert_eq!(
        told("b"),
        [
            (place(1, 1), Some(long(2))),
            (place(2, 1), Some(long(3))),
            (place(3, 0), Some(long(3)))
        ]
    );
    assert_eq!(
        told("a"),
        [(place(1, 0), Some(long(1))), (place(4, 0), None)]
    );
    assert_eq!(told("c"), [(place(2, 0), Some(b"short".to_vec()))]);
    let last = ledger.last_write("kv", "b", place(2, 1)).unwrap().unwrap();
    assert_eq!(last.value, Some(long(2)));
    let few_bytes = HistoryPart {
        max_bytes: 5000,
        ..part(10)
    };
    assert_eq!(ledger.history("kv", "b", few_bytes).unwrap().len(), 1);
    // A block is read whole, however little of it is told.
    let few_blocks = HistoryPart {
        max_block_bytes: 10_000,
        ..part(10)
    };
    assert_eq!(ledger.history("kv", "b", few_blocks).unwrap().len(), 1);
    assert_eq!(ledger.history("kv", "c", few_blocks).unwrap().len(), 1);
    drop(ledger);
    let stored = rows(folder.path()).into_iter();
    let of_history = stored.filter(|(family, ..)| family == "history");
    let long_ones = of_history.filter(|(.., value)| value.len() >= 5000);
    assert_eq!(long_ones.count(), 1, "what the policy was set on");
}
