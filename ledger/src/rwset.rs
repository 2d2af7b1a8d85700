//! What a call reads and would write, as it was when it was simulated.
//!
//! A transaction carries effects, not a program: nodes do not execute it again
//! but check that everything it has read is still as it was.

use std::collections::BTreeMap;

use crypto::codec::{Decode, Encode};
use crypto::{Digest, Domain, encode};
use serde::{Deserialize, Serialize};

use crate::policy::EndorsementPolicy;
use crate::row::{RowWrite, StateRow};

/// Where in the order a value was written. No two writes of a key share one,
/// so that a key that was deleted and made again is not taken for the old one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
pub struct Version {
    /// Block number.
    pub block: u64,
    /// Position of the transaction in the block, from 0.
    pub index: u32,
}

/// A position in a block, as one of a list.
pub(crate) fn index_of(index: u32) -> usize {
    usize::try_from(index).expect("a usize has at least 32 bits")
}

/// A key that was read by name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Read {
    /// The key.
    pub key: String,
    /// The version that was found; none when there was no such key.
    pub version: Option<Version>,
}

/// A range of keys that was read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct RangeRead {
    /// The first key of the range.
    pub start: String,
    /// The key after the range; empty when it goes to the end.
    pub end: String,
    /// Hash of the keys and versions that were found ([`RangeRead::digest`]).
    pub result: Digest,
}

impl RangeRead {
    /// The hash of what a range yields: its keys with their versions, ascending.
    #[must_use]
    pub fn digest(rows: &Vec<(String, Version)>) -> Digest {
        Domain::RangeResult.hash(&encode(rows))
    }
}

/// A key that would be written.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Write {
    /// The key.
    pub key: String,
    /// The value; none deletes the key.
    pub value: Option<WriteValue>,
}

/// A value that would be written. What a call is given to write stands in its proposal,
/// and is not said again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub enum WriteValue {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Those of this argument of the call, from 0. Each may be referred to once.
    Argument(u8),
}

impl WriteValue {
    /// What a call writes of whose arguments these are not written yet; the one that is
    /// the value is no more, afterwards.
    pub(crate) fn of(value: Vec<u8>, free: &mut BTreeMap<u8, &String>) -> Self {
        let found = free.iter().find(|(_, arg)| arg.as_bytes() == value);
        match found.map(|(number, _)| *number) {
            Some(number) => {
                free.remove(&number);
                Self::Argument(number)
            }
            None => Self::Bytes(value),
        }
    }

    /// The value, where the call has these arguments; none when it has no such one.
    #[must_use]
    pub fn bytes<'a>(&'a self, args: &'a [String]) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            Self::Argument(number) => args.get(usize::from(*number)).map(String::as_bytes),
        }
    }
}

impl From<Vec<u8>> for WriteValue {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

/// A key whose endorsement policy would change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct KeyPolicy {
    /// The key.
    pub key: String,
    /// Who must endorse what is done to it from then on; none leaves that to
    /// the contract's policy again.
    pub policy: Option<EndorsementPolicy>,
}

/// The effects of a call on the keys of its contract. Every part is strictly
/// ascending (ranges by start, then end), so that equal effects have equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ReadWriteSet {
    /// Keys read by name.
    pub reads: Vec<Read>,
    /// Ranges read.
    pub ranges: Vec<RangeRead>,
    /// Keys written.
    pub writes: Vec<Write>,
    /// Keys whose policies are set. A key has its policy until it is deleted.
    pub policies: Vec<KeyPolicy>,
}

impl ReadWriteSet {
    /// The keys that are written or whose policies are set, ascending.
    #[must_use]
    pub fn touched(&self) -> Vec<&str> {
        let written = self.writes.iter().map(|write| write.key.as_str());
        let guarded = self.policies.iter().map(|policy| policy.key.as_str());
        let mut touched: Vec<_> = written.chain(guarded).collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// What is written to a key.
    pub(crate) fn written(&self, key: &str) -> Option<&Write> {
        let writes = &self.writes;
        let at = writes.binary_search_by(|write| write.key.as_str().cmp(key));
        at.ok().map(|at| &writes[at])
    }

    /// What a touched key holds from `version` on, when its row was `before` and the
    /// call has these arguments.
    pub(crate) fn applied(
        &self,
        args: &[String],
        key: &str,
        version: Version,
        before: Option<StateRow>,
    ) -> RowWrite {
        let set = self
            .policies
            .binary_search_by(|set| set.key.as_str().cmp(key));
        let set = set.ok().map(|at| self.policies[at].policy.clone());
        let written = self.written(key).map(|write| &write.value);
        match (written, before) {
            (Some(Some(value)), before) => {
                let policy = set.unwrap_or_else(|| before?.policy);
                let value = value.bytes(args);
                let value = value.expect("a write refers to an argument that there is");
                RowWrite::value(value, version, policy)
            }
            (None, Some(before)) => {
                let policy = set.unwrap_or_else(|| before.policy.clone());
                RowWrite::policy(before, version, policy)
            }
            (Some(None), _) | (None, None) => RowWrite::DELETED,
        }
    }
}

/// Something a contract announces to whoever watches the chain.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Event {
    /// What kind of event it is.
    pub name: String,
    /// What there is to say about it.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::LONG_VALUE;

    /// A deposit that is divided, say.
    #[test]
    fn a_value_that_is_written_twice_and_was_given_once_is_said_the_second_time() {
        let (mut free, arg) = (BTreeMap::new(), "v".to_owned());
        free.insert(3, &arg);
        let values = [b"v".to_vec(), b"v".to_vec()].map(|value| WriteValue::of(value, &mut free));
        let expected = [WriteValue::Argument(3), WriteValue::Bytes(b"v".to_vec())];
        assert_eq!(values, expected);
    }

    /// Whether a value is said or referred to tells nothing to the state.
    #[test]
    fn a_write_has_the_same_effect_however_its_value_is_said() {
        for arg in ["v".to_owned(), "v".repeat(LONG_VALUE)] {
            let effect = |value| {
                let write = Write {
                    key: "a".to_owned(),
                    value: Some(value),
                };
                let rwset = ReadWriteSet {
                    writes: vec![write],
                    ..ReadWriteSet::default()
                };
                let version = Version { block: 1, index: 2 };
                rwset.applied(std::slice::from_ref(&arg), "a", version, None)
            };
            let said = effect(WriteValue::Bytes(arg.clone().into_bytes()));
            assert_eq!(effect(WriteValue::Argument(0)), said);
            assert!(said.row.is_some());
        }
    }
}
