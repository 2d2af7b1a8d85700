//! How names look, and how large the parts of a transaction may be.
//!
//! These bounds hold in every network and do not change: a transaction that one
//! node admits, every node must. What a network agrees on for itself is in
//! [`crate::Limits`].

use crate::state::{CONTRACTS, MEMBERS};

/// Longest name of an organisation, a contract, a function or an event.
pub const MAX_NAME_BYTES: usize = 64;
/// Longest key of the state.
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest value of the state, and longest argument of a function.
pub const MAX_VALUE_BYTES: usize = 128 * 1024;
/// Most arguments of a call.
pub const MAX_ARGS: usize = 64;
/// Most keys a transaction reads one by one, and most it writes.
pub const MAX_KEYS: usize = 1024;
/// Most ranges a transaction reads.
pub const MAX_RANGES: usize = 16;
/// Most rows that the ranges of a transaction may yield together: they are read again
/// by every node when it is validated.
pub const MAX_RANGE_ROWS: usize = 10_000;
/// Most bytes of keys and values that they may yield.
pub const MAX_RANGE_BYTES: usize = 8 * 1024 * 1024;
/// Most events of a transaction.
pub const MAX_EVENTS: usize = 64;
/// Most endorsements of a transaction.
pub const MAX_ENDORSEMENTS: usize = 64;

/// Whether `name` can be an organisation's: lower-case letters, digits, hyphens.
#[must_use]
pub fn is_organisation_name(name: &str) -> bool {
    is_made_of(name, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
    })
}

/// Whether `name` can be a member's: as an organisation's, and a letter first.
#[must_use]
pub fn is_member_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && is_organisation_name(name)
}

/// Whether `name` can be a contract's: letters, digits, `-` and `_`, and not an
/// underscore first, which marks the namespaces of the system.
#[must_use]
pub fn is_contract_name(name: &str) -> bool {
    !name.starts_with('_')
        && is_made_of(name, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
        })
}

/// Whether the state can have a namespace of this name: a contract's or the system's.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    matches!(name, MEMBERS | CONTRACTS) || is_contract_name(name)
}

/// Whether `name` can be a function's or an event's: letters, digits and `-_.:`.
#[must_use]
pub fn is_call_name(name: &str) -> bool {
    is_made_of(name, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
    })
}

fn is_made_of(name: &str, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_never_of_the_system() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        let longer = "a".repeat(MAX_NAME_BYTES + 1);
        for good in ["a", "org-1", &longest] {
            assert!(is_organisation_name(good) && is_contract_name(good) && is_call_name(good));
        }
        for bad in ["", "a b", "a/b", "ä", "a\0", &longer] {
            assert!(!is_organisation_name(bad) && !is_contract_name(bad) && !is_call_name(bad));
        }
        assert!(!is_organisation_name("Org1") && !is_organisation_name("org.1"));
        assert!(is_namespace(MEMBERS) && !is_namespace("_other") && !is_namespace(&longer));
        assert!(!is_contract_name(MEMBERS) && is_contract_name("my_contract"));
    }
}
