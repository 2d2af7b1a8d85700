//! What was written to a key, wherever it stands.

mod common;

use common::{Network, files, guards, part, raw, rows, write};
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
    let longest = rows(folder.path()).into_iter().map(|row| row.2.len()).max();
    assert!(longest < Some(5000), "it stands in its transaction alone");
}

/// A transaction is read for a value only where it is not much longer.
#[test]
fn long_values_of_longer_transactions_stand_in_the_history() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let (short_of_it, most_of_it) = (vec![1; 300], vec![2; 9000]);
    let writes = vec![
        write("a", Some(&short_of_it)),
        write("b", Some(&most_of_it)),
    ];
    let both = network.transaction_by(&network.client, 1, vec![], writes);
    network.commit(&ledger, &[both]);
    let state = ledger.snapshot().unwrap();
    for (key, value) in [("a", &short_of_it), ("b", &most_of_it)] {
        assert_eq!(&state.state("kv", key).unwrap().unwrap().value, value);
        let told = ledger.history("kv", key, part(1)).unwrap();
        assert_eq!(told[0].value.as_ref(), Some(value));
    }
    drop(state);
    drop(ledger);
    let rows = rows(folder.path()).into_iter();
    let rows = rows.filter(|row| row.0 == "history" && row.1.starts_with(b"\x02kv"));
    let is_there: Vec<_> = rows.map(|row| row.2.len() >= 300).collect();
    assert_eq!(is_there, [true, false]);
}

/// Whoever has the disk can put another value there, which is not believed.
#[test]
fn a_long_value_is_held_against_its_hash() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let value = vec![7; 1000];
    network.commit(&ledger, &[network.put(1, "a", &value)]);
    let (path, sound) = files(&folder.path().join("bodies")).remove(0);
    let read = |contents: &[u8]| {
        std::fs::write(&path, contents).unwrap();
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let state = ledger.snapshot().unwrap();
        let now = state.state("kv", "a").map_err(|error| told(&error));
        let then = ledger.history("kv", "a", part(1));
        let then = then.map_err(|error| told(&error));
        let now = now.map(|found| found.unwrap().value);
        let then = then.map(|mut entries| entries.remove(0).value.unwrap());
        assert_eq!(now, then);
        now
    };
    assert_eq!(read(&sound), Ok(value));
    let mut altered = sound.clone();
    let at = sound.windows(2).rposition(|bytes| bytes == [7; 2]).unwrap();
    altered[at] = 8;
    let told = read(&altered).unwrap_err();
    assert!(told.contains("has another value for it"), "{told}");
    let told = read(&sound[..at]).unwrap_err();
    assert!(told.contains("it ends before that"), "{told}");
}

/// Nor another row.
#[test]
fn a_row_of_the_state_is_held_against_that_of_the_history() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let puts = [1, 2].map(|byte| network.put(byte, "a", &[byte; 1000]));
    for put in puts {
        network.commit(&ledger, &[put]);
    }
    drop(ledger);
    let stored = rows(folder.path()).into_iter();
    let [(_, _, first), (_, key, second)] = stored
        .filter(|row| row.0 == "history" && row.1.starts_with(b"\x02kv"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
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
    let told = read(Some(&first)).unwrap_err();
    assert!(told.contains("has another value for it"), "{told}");
    let told = read(None).unwrap_err();
    assert!(told.contains("missing"), "{told}");
    assert_eq!(read(Some(&second)), Ok(vec![2; 1000]));
}
