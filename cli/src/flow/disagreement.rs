//! Endorsers that do not agree: who says what, and where they part.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crypto::encode;
use ledger::{ProposalResponse, Version};

use crate::network::Network;

/// How many differences are told of one group of endorsers.
const SHOWN: usize = 8;

/// Answers by what they say, those of most endorsers first.
fn groups(responses: &[ProposalResponse]) -> Vec<Vec<&ProposalResponse>> {
    let mut alike: BTreeMap<Vec<u8>, Vec<&ProposalResponse>> = BTreeMap::new();
    for response in responses {
        let said = encode(&(response.rwset.clone(), response.response.clone()));
        alike.entry(said).or_default().push(response);
    }
    let mut groups: Vec<_> = alike.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
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

fn version(version: Option<&Version>) -> String {
    version.map_or("nothing".to_owned(), |of| {
        format!("the write of block {} position {}", of.block, of.index)
    })
}

fn value(value: Option<&Option<Vec<u8>>>) -> String {
    match value {
        None => "no write".to_owned(),
        Some(None) => "a deletion".to_owned(),
        Some(Some(bytes)) => format!("{:.60?}", String::from_utf8_lossy(bytes)),
    }
}

fn differences(one: &ProposalResponse, other: &ProposalResponse) -> Differences {
    let mut found = Differences::default();
    let reads = |of: &ProposalResponse| -> BTreeMap<String, Option<Version>> {
        let reads = of.rwset.reads.iter();
        reads.map(|read| (read.key.clone(), read.version)).collect()
    };
    let (here, there) = (reads(one), reads(other));
    for (key, seen) in &here {
        let also = there.get(key);
        if also.is_some_and(|also| also != seen) {
            found.other_state = true;
            let (a, b) = (seen.as_ref(), also.and_then(Option::as_ref));
            let (a, b) = (version(a), version(b));
            found
                .lines
                .push(format!("{key:?}: read as {a}, and as {b}"));
        }
    }
    if one.rwset.ranges != other.rwset.ranges {
        found.other_state = true;
        found.lines.push("a range was read differently".to_owned());
    }
    let writes = |of: &ProposalResponse| -> BTreeMap<String, Option<Vec<u8>>> {
        let writes = of.rwset.writes.iter();
        writes
            .map(|write| (write.key.clone(), write.value.clone()))
            .collect()
    };
    let (here, there) = (writes(one), writes(other));
    let keys: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    for key in keys {
        let (a, b) = (here.get(key), there.get(key));
        if a != b {
            found.other_effects = true;
            let (a, b) = (value(a), value(b));
            found.lines.push(format!("{key:?}: {a}, and {b}"));
        }
    }
    if one.response.payload != other.response.payload {
        found.other_effects = true;
        let [a, b] = [one, other].map(|of| value(Some(&Some(of.response.payload.clone()))));
        found.lines.push(format!("the answer: {a}, and {b}"));
    }
    if one.response.events != other.response.events {
        found.other_effects = true;
        found.lines.push("other events".to_owned());
    }
    found
}

/// Tells who says what, and names the usual suspects.
pub(crate) fn describe(network: &Network, responses: &[ProposalResponse]) -> String {
    let groups = groups(responses);
    let names = |group: &[&ProposalResponse]| -> String {
        let names = group.iter().map(|of| name(network, of));
        names.collect::<Vec<_>>().join(", ")
    };
    let Some((most, rest)) = groups.split_first() else {
        return String::new();
    };
    let mut text = format!("alike: {}", names(most));
    for group in rest {
        let found = differences(most[0], group[0]);
        let _ = write!(text, "\n    otherwise: {}", names(group));
        for line in found.lines.iter().take(SHOWN) {
            let _ = write!(text, "\n      {line}");
        }
        let suspect = match (found.other_state, found.other_effects) {
            (true, _) => "they have executed it at different heights: one of them is behind",
            (false, true) => {
                "on the same state they do different things: the contract is not deterministic, \
                 the nodes are of different versions, or one of them lies"
            }
            (false, false) => "they read different keys",
        };
        let _ = write!(text, "\n      {suspect}");
    }
    text
}

fn name(network: &Network, response: &ProposalResponse) -> String {
    let endorser = response.endorsement.endorser;
    let mut members = network.genesis().members().iter();
    let member = members.find(|member| member.key == endorser);
    member.map_or_else(|| endorser.to_string(), |member| member.name.clone())
}

#[cfg(test)]
mod tests {
    use crypto::{Digest, SigningKey};
    use ledger::{EndorsedAction, Read, ReadWriteSet, Response, TransactionId, Write};

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
                    value: Some(write.as_bytes().to_vec()),
                }],
                policies: Vec::new(),
            },
            response: Response::default(),
        };
        let key = SigningKey::from_seed(&[seed; 32]);
        ProposalResponse::endorse(action, &Digest([7; 32]), &key)
    }

    #[test]
    fn equal_answers_stand_together_and_the_most_come_first() {
        let answers = [answer(1, 3, "x"), answer(2, 4, "x"), answer(3, 4, "x")];
        let groups = groups(&answers);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn one_that_is_behind_is_told_from_one_that_does_something_else() {
        let behind = differences(&answer(1, 4, "x"), &answer(2, 3, "y"));
        assert!(behind.other_state);
        let line = "\"a\": read as the write of block 4 position 0, and as the write of block 3 position 0";
        assert_eq!(behind.lines[0], line);
        let liar = differences(&answer(1, 4, "x"), &answer(2, 4, "y"));
        assert!(!liar.other_state && liar.other_effects);
        assert_eq!(liar.lines, ["\"b\": \"x\", and \"y\""]);
    }
}
