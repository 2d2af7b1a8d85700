//! The digest of the world state: an `LtHash` over its rows.
//!
//! Each row, as it is kept ([`StateRow`]: a long value by its hash), is expanded with
//! its namespace and its key by BLAKE3 into
//! 1024 lanes of 16 bits; the accumulator is the lane-wise sum over all rows,
//! modulo 2^16. A write adds one row and takes the old one away, so the cost
//! follows the writes of a block and not the size of the state, and the order
//! of writes within a block does not matter. The digest that stands in a header
//! is the SHA-256 of the 2048 bytes of the sum.
//!
//! The construction is that of Lewi, Kim, Maykov and Weis, *Securing Update
//! Propagation with Homomorphic Hashing* (2019), with the parameters they give
//! for 200 bits of security (`lthash16`).
//!
//! What deliberately does not live here: which rows exist. That every row is
//! added once and removed as it was added is the duty of whoever holds the state.

use std::fmt;

use crypto::{Digest, Domain, encode};

use crate::row::StateRow;

const LANES: usize = 1024;

/// Length of an accumulator as bytes.
pub const ACCUMULATOR_BYTES: usize = 2 * LANES;

/// The running sum over the rows of a state.
#[derive(Clone, PartialEq, Eq)]
pub struct StateAccumulator {
    lanes: Box<[u16; LANES]>,
}

/// The bytes that stand for a row in the sum.
fn expand(namespace: &str, key: &str, row: &StateRow) -> [u8; ACCUMULATOR_BYTES] {
    let tag = Domain::State.tag().as_bytes();
    let length = u8::try_from(tag.len()).expect("tags are shorter than 256 bytes");
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[length]);
    hasher.update(tag);
    hasher.update(&encode(&(namespace, key, row)));
    let mut bytes = [0; ACCUMULATOR_BYTES];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

impl Default for StateAccumulator {
    fn default() -> Self {
        Self::empty()
    }
}

impl StateAccumulator {
    /// The accumulator of a state without rows.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            lanes: Box::new([0; LANES]),
        }
    }

    /// Takes up a row that was written.
    pub fn add(&mut self, namespace: &str, key: &str, row: &StateRow) {
        self.combine(&expand(namespace, key, row), u16::wrapping_add);
    }

    /// Takes out a row that was overwritten or deleted, as it was when it was added.
    pub fn remove(&mut self, namespace: &str, key: &str, row: &StateRow) {
        self.combine(&expand(namespace, key, row), u16::wrapping_sub);
    }

    fn combine(&mut self, bytes: &[u8; ACCUMULATOR_BYTES], with: impl Fn(u16, u16) -> u16) {
        for (lane, pair) in self.lanes.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = with(*lane, u16::from_le_bytes(*pair));
        }
    }

    /// The digest that a block header commits to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Domain::State.hash(&self.to_bytes())
    }

    /// The lanes, little-endian, in order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lanes
            .iter()
            .flat_map(|lane| lane.to_le_bytes())
            .collect()
    }

    /// The accumulator whose [`Self::to_bytes`] these are; `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != ACCUMULATOR_BYTES {
            return None;
        }
        let mut accumulator = Self::empty();
        for (lane, pair) in accumulator.lanes.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = u16::from_le_bytes(*pair);
        }
        Some(accumulator)
    }
}

impl fmt::Debug for StateAccumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateAccumulator({:?})", self.digest())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::row::{LONG_VALUE, RowValue};
    use crate::rwset::Version;

    type Row = (String, String, u64, u32, Vec<u8>);

    fn row(row: &Row) -> StateRow {
        let version = Version {
            block: row.2,
            index: row.3,
        };
        StateRow {
            version,
            value: RowValue::of(&row.4, version),
            policy: None,
        }
    }

    fn add(accumulator: &mut StateAccumulator, each: &Row) {
        accumulator.add(&each.0, &each.1, &row(each));
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let one = (
            "[a-z]{1,3}",
            ".{0,4}",
            any::<u64>(),
            any::<u32>(),
            prop::collection::vec(any::<u8>(), 0..2 * LONG_VALUE),
        );
        prop::collection::vec(one, 0..12)
    }

    fn sum(rows: &[Row]) -> StateAccumulator {
        let mut accumulator = StateAccumulator::empty();
        for each in rows {
            add(&mut accumulator, each);
        }
        accumulator
    }

    proptest! {
        #[test]
        fn the_order_of_writes_does_not_matter(
            (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
        ) {
            prop_assert_eq!(sum(&rows), sum(&shuffled));
        }

        #[test]
        fn removing_inverts_adding(base in rows(), extra in rows()) {
            let before = sum(&base);
            let mut after = before.clone();
            for each in &extra {
                add(&mut after, each);
            }
            prop_assert_eq!(after == before, extra.is_empty());
            for each in extra.iter().rev() {
                after.remove(&each.0, &each.1, &row(each));
            }
            prop_assert_eq!(after, before);
        }

        #[test]
        fn bytes_round_trip(rows in rows()) {
            let accumulator = sum(&rows);
            prop_assert_eq!(StateAccumulator::from_bytes(&accumulator.to_bytes()), Some(accumulator));
        }
    }

    #[test]
    fn every_field_of_a_row_is_part_of_the_digest() {
        let base: Row = ("kv".into(), "ab".into(), 1, 2, b"v".to_vec());
        let long = |last| [vec![7; LONG_VALUE], vec![last]].concat();
        let others: [Row; 8] = [
            ("kw".into(), "ab".into(), 1, 2, b"v".to_vec()),
            ("kva".into(), "b".into(), 1, 2, b"v".to_vec()),
            ("kv".into(), "ac".into(), 1, 2, b"v".to_vec()),
            ("kv".into(), "ab".into(), 2, 2, b"v".to_vec()),
            ("kv".into(), "ab".into(), 1, 3, b"v".to_vec()),
            ("kv".into(), "ab".into(), 1, 2, b"w".to_vec()),
            ("kv".into(), "ab".into(), 1, 2, long(1)),
            ("kv".into(), "ab".into(), 1, 2, long(2)),
        ];
        let digest = sum(std::slice::from_ref(&base)).digest();
        let digests = others.iter().map(std::slice::from_ref);
        let digests: BTreeSet<_> = digests.map(|other| sum(other).digest()).collect();
        assert_eq!(digests.len(), others.len());
        assert!(!digests.contains(&digest));
        let policy = "org1".parse().unwrap();
        let mut guarded = StateAccumulator::empty();
        let row = StateRow {
            policy: Some(policy),
            ..row(&base)
        };
        guarded.add(&base.0, &base.1, &row);
        assert_ne!(guarded.digest(), digest);
    }

    #[test]
    fn another_length_is_no_accumulator() {
        assert_eq!(
            StateAccumulator::from_bytes(&[0; ACCUMULATOR_BYTES - 1]),
            None
        );
        assert_eq!(
            StateAccumulator::from_bytes(&[0; ACCUMULATOR_BYTES + 1]),
            None
        );
    }
}
