//! Random blocks against a reference that knows nothing of versions: it keeps a
//! copy of the state as each block left it, remembers which transaction wrote
//! each key, and compares what a transaction saw with what there is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Chain, Draft, ValidationCode};
use crate::rwset::{RangeRead, Read, Version, Write};
use crate::state::{MemoryState, StateView};

const KEYS: [&str; 5] = ["a", "b", "ba", "c", "d"];
const ENDS: [&str; 4] = ["", "b", "bb", "d"];

/// A call, simulated on the state that some block left.
#[derive(Clone, Debug)]
struct Call {
    /// How many blocks ago that was.
    behind: usize,
    reads: BTreeSet<usize>,
    ranges: BTreeSet<(usize, usize)>,
    /// Whether to put or to delete, by key.
    writes: BTreeMap<usize, bool>,
    /// Whether to send it once more, in the next block.
    again: bool,
}

fn calls() -> impl Strategy<Value = Call> {
    let key = 0..KEYS.len();
    let range = (0..ENDS.len(), 0..ENDS.len());
    let range = range.prop_filter("a range that can hold something", |&(start, end)| {
        end == 0 || ENDS[start] < ENDS[end]
    });
    (
        0..4_usize,
        prop::collection::btree_set(key.clone(), 0..3),
        prop::collection::btree_set(range, 0..2),
        prop::collection::btree_map(key, prop::bool::weighted(0.7), 0..3),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(behind, reads, ranges, writes, again)| Call {
            behind,
            reads,
            ranges,
            writes,
            again,
        })
}

/// Key to the number of the transaction that wrote it.
type Writers = BTreeMap<&'static str, u64>;

fn within(writers: &Writers, (start, end): (usize, usize)) -> Vec<(&'static str, u64)> {
    let (start, end) = (ENDS[start], ENDS[end]);
    let rows = writers.iter().map(|(key, writer)| (*key, *writer));
    rows.filter(|(key, _)| *key >= start && (end.is_empty() || *key < end))
        .collect()
}

struct Reference {
    /// The state after each block, from block 0 on.
    after: Vec<Writers>,
    now: Writers,
    seen: BTreeSet<u64>,
}

impl Reference {
    fn verdict(&mut self, number: u64, call: &Call, simulated_on: usize) -> ValidationCode {
        if !self.seen.insert(number) {
            return ValidationCode::DuplicateTransaction;
        }
        let then = &self.after[simulated_on];
        let same = |key: &usize| then.get(KEYS[*key]) == self.now.get(KEYS[*key]);
        if !call.reads.iter().all(same) {
            return ValidationCode::MvccReadConflict;
        }
        let same = |range: &(usize, usize)| within(then, *range) == within(&self.now, *range);
        if !call.ranges.iter().all(same) {
            return ValidationCode::PhantomReadConflict;
        }
        for (key, put) in &call.writes {
            if *put {
                self.now.insert(KEYS[*key], number);
            } else {
                self.now.remove(KEYS[*key]);
            }
        }
        ValidationCode::Valid
    }
}

fn version_of(state: &MemoryState, key: &str) -> Option<Version> {
    state.get("kv", key).unwrap().map(|found| found.version)
}

/// What an endorser on `state` makes of the call.
fn simulate(number: u64, call: &Call, state: &MemoryState) -> Draft {
    let mut draft = Draft::new(number);
    draft.rwset.reads = call
        .reads
        .iter()
        .map(|&key| Read {
            key: KEYS[key].to_owned(),
            version: version_of(state, KEYS[key]),
        })
        .collect();
    draft.rwset.ranges = call
        .ranges
        .iter()
        .map(|&(start, end)| {
            let (start, end) = (ENDS[start].to_owned(), ENDS[end].to_owned());
            let rows = state.range("kv", &start, &end).map(Result::unwrap);
            let rows = rows.map(|(key, found)| (key, found.version)).collect();
            let result = RangeRead::digest(&rows);
            RangeRead { start, end, result }
        })
        .collect();
    draft.rwset.writes = call
        .writes
        .iter()
        .map(|(&key, put)| Write {
            key: KEYS[key].to_owned(),
            value: put.then(|| number.to_be_bytes().to_vec().into()),
        })
        .collect();
    draft
}

fn writers(state: &MemoryState) -> Writers {
    let written_by = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    KEYS.into_iter()
        .filter_map(|key| {
            let found = state.get("kv", key).unwrap()?;
            Some((key, written_by(&found.value)))
        })
        .collect()
}

proptest! {
    #[test]
    fn every_verdict_and_state_is_that_of_a_naive_serial_execution(
        blocks in vec(vec(calls(), 0..6), 1..8)
    ) {
        let mut chain = Chain::new();
        let mut snapshots = vec![chain.state.clone()];
        let mut reference = Reference {
            after: vec![Writers::new()],
            now: Writers::new(),
            seen: BTreeSet::new(),
        };
        let (mut numbers, mut repeated) = (0.., Vec::new());
        for calls in blocks {
            let newest = snapshots.len() - 1;
            let mut block = std::mem::take(&mut repeated);
            for call in calls {
                let simulated_on = newest.saturating_sub(call.behind);
                let number = numbers.next().unwrap();
                let draft = simulate(number, &call, &snapshots[simulated_on]);
                let transaction = draft.checked();
                if call.again {
                    repeated.push((number, call.clone(), simulated_on, transaction.clone()));
                }
                block.push((number, call, simulated_on, transaction));
            }
            let expected: Vec<_> = block
                .iter()
                .map(|(number, call, simulated_on, _)| {
                    reference.verdict(*number, call, *simulated_on)
                })
                .collect();
            let transactions = block.into_iter().map(|(.., transaction)| transaction).collect();
            prop_assert_eq!(chain.commit(transactions), expected);
            prop_assert_eq!(&writers(&chain.state), &reference.now);
            reference.after.push(reference.now.clone());
            snapshots.push(chain.state.clone());
        }
    }
}
