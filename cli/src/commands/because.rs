//! Why a transaction is not valid, in words.

use node::api::types::{PolicyAnswer, ReasonAnswer, VersionAnswer, WriteAnswer};

/// The reason, line by line.
pub(crate) fn lines(reason: &ReasonAnswer) -> Vec<String> {
    match reason {
        ReasonAnswer::Read {
            key,
            read,
            found,
            written,
        } => {
            let seen = read.map_or("nothing".to_owned(), |seen| {
                format!("what was written at {}", at(seen))
            });
            let there = match (found, written) {
                (_, None) => "nothing".to_owned(),
                (Some(_), Some(write)) => format!("what {} wrote", by(write)),
                (None, Some(write)) => format!("nothing, since {}", by(write)),
            };
            vec![
                format!("the key {key:?}"),
                format!("  its endorsers saw {seen}"),
                format!("  in its place there was {there}"),
            ]
        }
        ReasonAnswer::Range { start, end, newest } => {
            let end = if end.is_empty() { "the end" } else { end };
            let mut lines = vec![format!("the range from {start:?} to {end} has changed")];
            lines.extend(
                newest.map(|newest| format!("  its newest row was written at {}", at(newest))),
            );
            lines
        }
        ReasonAnswer::Policy {
            key,
            policy,
            since,
            tree,
            strangers,
            revoked,
        } => {
            let whose = match key {
                Some(key) => format!("the policy of the key {key:?}"),
                None => "the contract's policy".to_owned(),
            };
            let mut lines = vec![
                format!("{whose} is {policy}"),
                format!("  since {}", by(since)),
            ];
            branches(tree, 1, &mut lines);
            lines.extend(in_vain("not a member", strangers));
            lines.extend(in_vain("the key had been revoked", revoked));
            lines
        }
        ReasonAnswer::Earlier { place } => {
            vec![format!("its id stands already at {}", at(*place))]
        }
        ReasonAnswer::Member { since } => {
            vec![format!("so it is since {}", by(since))]
        }
        ReasonAnswer::Contract {
            executed,
            agreed,
            since,
        } => vec![
            format!("its endorsers executed version {executed} of the contract"),
            format!("  version {agreed} was agreed on by {}", by(since)),
        ],
    }
}

/// Endorsers who did not count.
fn in_vain(why: &str, endorsers: &[String]) -> Option<String> {
    let named = endorsers.join(", ");
    (!endorsers.is_empty()).then(|| format!("  endorsed in vain by {named}: {why}"))
}

fn branches(tree: &PolicyAnswer, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match tree {
        PolicyAnswer::Principal { principal, met_by } => {
            let met = match met_by {
                Some(endorser) => format!("met by {endorser}"),
                None => "not met".to_owned(),
            };
            lines.push(format!("{indent}{principal}: {met}"));
        }
        PolicyAnswer::OutOf { needed, met, of } => {
            let met = if *met { "met" } else { "not met" };
            lines.push(format!("{indent}{needed} of {}: {met}", of.len()));
            for part in of {
                branches(part, depth + 1, lines);
            }
        }
    }
}

fn at(place: VersionAnswer) -> String {
    format!("block {} position {}", place.block, place.index)
}

fn by(write: &WriteAnswer) -> String {
    match &write.transaction_id {
        Some(id) => format!("transaction {id} at {}", at(write.place)),
        None => "genesis".to_owned(),
    }
}
