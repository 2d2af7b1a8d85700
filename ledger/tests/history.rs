//! What was written to a key, wherever it stands.

mod common;

use common::{Network, guards, part, raw, rows};
use ledger::{HistoryPart, Version};

/// Long values stand where they were written alone, and are found there.
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
    network.commit(
        &ledger,
        &[network.transaction_with(&network.client, 5, guards("b"))],
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
        max_bytes: 5200,
        ..part(10)
    };
    assert_eq!(ledger.history("kv", "b", few_bytes).unwrap().len(), 2);
    let state = ledger.snapshot().unwrap();
    let now = state.state("kv", "b").unwrap().unwrap();
    assert_eq!((now.version, now.value), (place(3, 0), long(3)));
    drop(state);
    drop(ledger);
    let stored = rows(folder.path()).into_iter();
    let (of_history, others): (Vec<_>, Vec<_>) = stored.partition(|row| row.0 == "history");
    let long_ones = of_history.iter().filter(|row| row.2.len() >= 5000);
    assert_eq!(
        long_ones.count(),
        3,
        "none for the policy, which was set on one"
    );
    let others = others.iter().filter(|row| row.2.len() >= 5000);
    assert!(others.map(|row| &row.0).all(|family| family == "bodies"));
}

/// Whoever has the disk can put another value there, which is not believed.
#[test]
fn a_long_value_is_held_against_the_hash_in_its_row() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let value = vec![7; 1000];
    network.commit(&ledger, &[network.put(1, "a", &value)]);
    drop(ledger);
    let stored = rows(folder.path()).into_iter();
    let mut long_ones = stored.filter(|row| row.0 == "history" && row.2.len() > 1000);
    let (_, key, row) = long_ones.next().unwrap();
    let mut altered = row.clone();
    let at = row.iter().rposition(|byte| *byte == 7).unwrap();
    altered[at] = 8;
    let read = |stored: Option<&[u8]>| {
        let database = raw(folder.path());
        let history = database.cf_handle("history").unwrap();
        match stored {
            Some(row) => database.put_cf(history, &key, row).unwrap(),
            None => database.delete_cf(history, &key).unwrap(),
        }
        drop(database);
        let ledger = network.open(folder.path());
        let state = ledger.snapshot().unwrap();
        let found = state.state("kv", "a").map_err(|error| error.to_string());
        found.map(|found| found.unwrap().value)
    };
    let told = read(Some(&altered)).unwrap_err();
    assert!(told.contains("not the value that has the hash"), "{told}");
    let told = read(None).unwrap_err();
    assert!(told.contains("missing"), "{told}");
    assert_eq!(read(Some(&row)), Ok(value));
}
