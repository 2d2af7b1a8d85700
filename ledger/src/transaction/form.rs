//! The form of proposals and transactions: what can be said of them without
//! the state and without cryptography.

use crypto::NetworkId;

use super::{Refusal, Transaction};
use crate::endorsement::{Endorsement, Response};
use crate::names::{
    MAX_ARGS, MAX_ENDORSEMENTS, MAX_EVENTS, MAX_KEY_BYTES, MAX_KEYS, MAX_RANGES, MAX_VALUE_BYTES,
    is_call_name, is_namespace,
};
use crate::proposal::Proposal;
use crate::rwset::{RangeRead, ReadWriteSet, WriteValue};

/// What a contract's name is made of, in words.
const CONTRACT_NAMES: &str = "letters, digits, hyphens and, but for the first, underscores";

/// What the name of a function or an event is made of, in words.
const CALL_NAMES: &str = "letters, digits, hyphens, underscores, dots and colons";

/// Checks the form of a proposal.
pub(crate) fn proposal(proposal: &Proposal, network: &NetworkId) -> Result<(), Refusal> {
    if proposal.network != *network {
        return Err(Refusal::WrongNetwork {
            expected: *network,
            found: proposal.network,
        });
    }
    let contract = &proposal.contract;
    name("a contract", contract, CONTRACT_NAMES, is_namespace)?;
    name("a function", &proposal.function, CALL_NAMES, is_call_name)?;
    at_most("arguments", proposal.args.len(), MAX_ARGS)?;
    for arg in &proposal.args {
        no_longer("an argument", arg.len(), MAX_VALUE_BYTES)?;
    }
    Ok(())
}

/// Checks the form of a transaction.
pub(crate) fn transaction(transaction: &Transaction, network: &NetworkId) -> Result<(), Refusal> {
    proposal(&transaction.proposal, network)?;
    effects(&transaction.rwset, &transaction.response)?;
    values(&transaction.rwset, transaction.proposal.args.len())?;
    endorsements(&transaction.endorsements)
}

/// Checks that there are the arguments whose values are written, each once: were one
/// written under many keys, a small transaction would write very much.
fn values(rwset: &ReadWriteSet, args: usize) -> Result<(), Refusal> {
    let mut free = vec![true; args];
    for write in &rwset.writes {
        if let Some(WriteValue::Argument(number)) = write.value {
            match free.get_mut(usize::from(number)) {
                Some(free) if *free => *free = false,
                _ => return Err(Refusal::BadArgument { number, args }),
            }
        }
    }
    Ok(())
}

/// Checks the form of what a call does and answers.
pub(crate) fn effects(rwset: &ReadWriteSet, response: &Response) -> Result<(), Refusal> {
    read_write_set(rwset)?;
    at_most("events", response.events.len(), MAX_EVENTS)?;
    for event in &response.events {
        name("an event", &event.name, CALL_NAMES, is_call_name)?;
        no_longer("an event", event.payload.len(), MAX_VALUE_BYTES)?;
    }
    Ok(())
}

fn read_write_set(rwset: &ReadWriteSet) -> Result<(), Refusal> {
    at_most("reads", rwset.reads.len(), MAX_KEYS)?;
    at_most("ranges", rwset.ranges.len(), MAX_RANGES)?;
    at_most("writes", rwset.writes.len(), MAX_KEYS)?;
    at_most("policies", rwset.policies.len(), MAX_KEYS)?;
    ascending("reads", &rwset.reads, |read| &read.key)?;
    ascending("ranges", &rwset.ranges, |range| (&range.start, &range.end))?;
    ascending("writes", &rwset.writes, |write| &write.key)?;
    ascending("policies", &rwset.policies, |policy| &policy.key)?;
    for read in &rwset.reads {
        key("the reads", &read.key)?;
    }
    for range in &rwset.ranges {
        range_read(range)?;
    }
    for write in &rwset.writes {
        key("the writes", &write.key)?;
        // An argument may be no longer than a value.
        if let Some(WriteValue::Bytes(value)) = &write.value {
            no_longer("a value", value.len(), MAX_VALUE_BYTES)?;
        }
    }
    for policy in &rwset.policies {
        key("the policies", &policy.key)?;
    }
    Ok(())
}

fn range_read(range: &RangeRead) -> Result<(), Refusal> {
    let RangeRead { start, end, .. } = range;
    no_longer("the start of a range", start.len(), MAX_KEY_BYTES)?;
    no_longer("the end of a range", end.len(), MAX_KEY_BYTES)?;
    if !end.is_empty() && start >= end {
        return Err(Refusal::EmptyRange {
            start: shortened(start),
            end: shortened(end),
        });
    }
    Ok(())
}

fn endorsements(endorsements: &[Endorsement]) -> Result<(), Refusal> {
    if endorsements.is_empty() {
        return Err(Refusal::NotEndorsed);
    }
    at_most("endorsements", endorsements.len(), MAX_ENDORSEMENTS)?;
    ascending("endorsements", endorsements, |each| each.endorser)
}

fn name(
    what: &'static str,
    found: &str,
    allowed: &'static str,
    is_name: fn(&str) -> bool,
) -> Result<(), Refusal> {
    if is_name(found) {
        return Ok(());
    }
    Err(Refusal::BadName {
        what,
        allowed,
        found: shortened(found),
    })
}

fn key(what: &'static str, key: &str) -> Result<(), Refusal> {
    if key.is_empty() {
        return Err(Refusal::EmptyKey { what });
    }
    no_longer("a key", key.len(), MAX_KEY_BYTES)
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found > limit {
        return Err(Refusal::TooMany { what, found, limit });
    }
    Ok(())
}

fn no_longer(what: &'static str, found: usize, limit: usize) -> Result<(), Refusal> {
    if found > limit {
        return Err(Refusal::TooLong { what, found, limit });
    }
    Ok(())
}

fn ascending<'a, T, K: Ord>(
    what: &'static str,
    items: &'a [T],
    by: impl Fn(&'a T) -> K,
) -> Result<(), Refusal> {
    let broken = items.array_windows().position(|[a, b]| by(a) >= by(b));
    match broken {
        None => Ok(()),
        Some(before) => Err(Refusal::NotAscending {
            what,
            position: before + 1,
        }),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
