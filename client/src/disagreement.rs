//! Endorsers that do not agree: who says what, and where they part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ledger::{ProposalResponse, Version, Write};

use crate::endorse::Answer;

/// How many differences are told of one group of endorsers.
const SHOWN: usize = 8;

/// Endorsers who say the same.
#[derive(Clone, Debug)]
pub struct Group {
    /// Their names.
    pub endorsers: Vec<String>,
    /// What the first of them answered; the others only sign otherwise.
    pub response: ProposalResponse,
}

/// What endorsers say that do not agree. As text it tells where they part, and
/// names the usual suspects.
#[derive(Clone, Debug, Default)]
pub struct Disagreement {
    /// The endorsers by what they say, the largest group first.
    pub groups: Vec<Group>,
    /// The arguments of the call.
    args: Vec<String>,
}

impl Disagreement {
    /// Between those who say the same of a call with these arguments, group by group.
    pub(crate) fn between(groups: Vec<Vec<Answer<'_>>>, args: &[String]) -> Self {
        let groups = groups.into_iter().filter_map(|group| {
            let endorsers = group.iter().map(|(node, _)| node.name().to_owned());
            Some(Group {
                endorsers: endorsers.collect(),
                response: group.into_iter().next()?.1,
            })
        });
        let mut groups: Vec<Group> = groups.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.endorsers.len()));
        Self {
            groups,
            args: args.to_vec(),
        }
    }
}

/// Where one answer parts from another.
#[derive(Default)]
struct Differences {
    lines: Vec<String>,
    /// The two have seen different states.
    other_state: bool,
    /// They say different things of what they have seen alike.
    other_effects: bool,
}

fn version(version: Option<Version>) -> String {
    version.map_or("nothing".to_owned(), |of| {
        format!("the write of block {} position {}", of.block, of.index)
    })
}

/// What an answer writes to a key.
#[derive(PartialEq, Eq)]
enum Written<'a> {
    Nothing,
    Deletion,
    Value(&'a [u8]),
    /// An argument, of which the call has no such one.
    NoArgument,
}

impl<'a> Written<'a> {
    fn of(write: Option<&'a Write>, args: &'a [String]) -> Self {
        match write.map(|write| &write.value) {
            None => Self::Nothing,
            Some(None) => Self::Deletion,
            Some(Some(value)) => value.bytes(args).map_or(Self::NoArgument, Self::Value),
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no write"),
            Self::Deletion => f.write_str("a deletion"),
            Self::Value(value) => f.write_str(&text(value)),
            Self::NoArgument => f.write_str("an argument that there is not"),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    format!("{:.60?}", String::from_utf8_lossy(bytes))
}

fn reads(of: &ProposalResponse) -> BTreeMap<&str, Option<Version>> {
    let reads = of.rwset.reads.iter();
    reads
        .map(|read| (read.key.as_str(), read.version))
        .collect()
}

fn writes(of: &ProposalResponse) -> BTreeMap<&str, &Write> {
    let writes = of.rwset.writes.iter();
    writes.map(|write| (write.key.as_str(), write)).collect()
}

fn differences(one: &ProposalResponse, other: &ProposalResponse, args: &[String]) -> Differences {
    let mut found = Differences::default();
    let there = reads(other);
    for (key, seen) in reads(one) {
        if let Some(&also) = there.get(key).filter(|also| **also != seen) {
            found.other_state = true;
            let (a, b) = (version(seen), version(also));
            let line = format!("{key:?}: read as {a}, and as {b}");
            found.lines.push(line);
        }
    }
    if one.rwset.ranges != other.rwset.ranges {
        found.other_state = true;
        found.lines.push("a range was read differently".to_owned());
    }
    let (here, there) = (writes(one), writes(other));
    let keys: BTreeSet<&str> = here.keys().chain(there.keys()).copied().collect();
    for key in keys {
        let (a, b) = (here.get(key).copied(), there.get(key).copied());
        if a != b {
            found.other_effects = true;
            let (a, b) = (Written::of(a, args), Written::of(b, args));
            let line = match &a {
                Written::Value(_) if a == b => "the same value, said otherwise".to_owned(),
                _ => format!("{a}, and {b}"),
            };
            found.lines.push(format!("{key:?}: {line}"));
        }
    }
    if one.response.payload != other.response.payload {
        found.other_effects = true;
        let [a, b] = [one, other].map(|of| text(&of.response.payload));
        found.lines.push(format!("the answer: {a}, and {b}"));
    }
    if one.response.events != other.response.events {
        found.other_effects = true;
        found.lines.push("other events".to_owned());
    }
    found
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((most, rest)) = self.groups.split_first() else {
            return Ok(());
        };
        write!(f, "alike: {}", most.endorsers.join(", "))?;
        for group in rest {
            let found = differences(&most.response, &group.response, &self.args);
            write!(f, "\n    otherwise: {}", group.endorsers.join(", "))?;
            for line in found.lines.iter().take(SHOWN) {
                write!(f, "\n      {line}")?;
            }
            let suspect = match (found.other_state, found.other_effects) {
                (true, _) => "they have executed it at different heights: one of them is behind",
                (false, true) => {
                    "on the same state they do different things: the contract is not \
                     deterministic, the nodes are of different versions, or one of them lies"
                }
                (false, false) => "they read different keys",
            };
            write!(f, "\n      {suspect}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crypto::{Digest, SigningKey};
    use ledger::{EndorsedAction, Read, ReadWriteSet, Response, TransactionId, WriteValue};

    use super::*;

    fn answer(seed: u8, read: u64, write: &str) -> ProposalResponse {
        let action = EndorsedAction {
            transaction_id: TransactionId(Digest([1; 32])),
            contract_version: 1,
            rwset: ReadWriteSet {
                reads: vec![Read {
                    key: "a".to_owned(),
                    version: Some(Version {
                        block: read,
                        index: 0,
                    }),
                }],
                ranges: Vec::new(),
                writes: vec![Write {
                    key: "b".to_owned(),
                    value: Some(WriteValue::Bytes(write.as_bytes().to_vec())),
                }],
                policies: Vec::new(),
            },
            response: Response::default(),
        };
        let key = SigningKey::from_seed(&[seed; 32]);
        ProposalResponse::endorse(action, &Digest([7; 32]), &key)
    }

    #[test]
    fn one_that_is_behind_is_told_from_one_that_does_something_else() {
        let behind = differences(&answer(1, 4, "x"), &answer(2, 3, "y"), &[]);
        assert!(behind.other_state);
        let line = "\"a\": read as the write of block 4 position 0, and as the write of block 3 position 0";
        assert_eq!(behind.lines[0], line);
        let liar = differences(&answer(1, 4, "x"), &answer(2, 4, "y"), &[]);
        assert!(!liar.other_state && liar.other_effects);
        assert_eq!(liar.lines, ["\"b\": \"x\", and \"y\""]);
        let mut refers = answer(2, 4, "x");
        refers.rwset.writes[0].value = Some(WriteValue::Argument(0));
        let line = |args: &[String]| differences(&answer(1, 4, "x"), &refers, args).lines;
        let same = "\"b\": the same value, said otherwise";
        assert_eq!(line(&["x".to_owned()]), [same]);
        assert_eq!(line(&["y".to_owned()]), ["\"b\": \"x\", and \"y\""]);
        let none = "\"b\": \"x\", and an argument that there is not";
        assert_eq!(line(&[]), [none]);
    }

    #[test]
    fn the_text_says_who_parts_from_the_most_and_what_that_may_mean() {
        let group = |endorsers: &[&str], response| Group {
            endorsers: endorsers.iter().map(ToString::to_string).collect(),
            response,
        };
        let disagreement = Disagreement {
            groups: vec![
                group(&["node0", "node2"], answer(1, 4, "x")),
                group(&["node1"], answer(2, 3, "x")),
            ],
            args: Vec::new(),
        };
        let text = "alike: node0, node2\n    otherwise: node1\n      \"a\": read as the write of \
                    block 4 position 0, and as the write of block 3 position 0\n      they have \
                    executed it at different heights: one of them is behind";
        assert_eq!(disagreement.to_string(), text);
    }
}
