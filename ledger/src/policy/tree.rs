//! A policy as a tree, with what met its principals: for those who ask why.

use std::collections::{BTreeMap, BTreeSet};

use super::{Principal, Rule};
use crate::identity::Identity;

/// A policy or a part of it, and whether it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyTree {
    /// Any one member of this kind.
    Principal {
        /// The kind of member.
        principal: Principal,
        /// The endorsement that met it, if one did.
        met_by: Option<u8>,
    },
    /// Some number of these.
    OutOf {
        /// How many.
        needed: usize,
        /// Of what.
        of: Vec<PolicyTree>,
    },
}

impl PolicyTree {
    /// Whether it was met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self {
            Self::Principal { met_by, .. } => met_by.is_some(),
            Self::OutOf { needed, of } => of.iter().filter(|part| part.is_met()).count() >= *needed,
        }
    }

    pub(super) fn new(rule: &Rule, met: &[(u8, u8)]) -> Self {
        let met = met.iter().copied().collect();
        Self::part(rule, &met, &mut 0)
    }

    fn part(rule: &Rule, met: &BTreeMap<u8, u8>, position: &mut u8) -> Self {
        let (needed, rules) = match rule {
            Rule::Principal(principal) => {
                let met_by = met.get(position).copied();
                // There are at most 64 principals.
                *position = position.saturating_add(1);
                let principal = principal.clone();
                return Self::Principal { principal, met_by };
            }
            Rule::And(rules) => (rules.len(), rules),
            Rule::Or(rules) => (1, rules),
            Rule::OutOf(count, rules) => (usize::try_from(*count).unwrap_or(usize::MAX), rules),
        };
        let of = rules.iter().map(|rule| Self::part(rule, met, position));
        Self::OutOf {
            needed,
            of: of.collect(),
        }
    }
}

/// As many principals as these endorsers can meet, from left to right, each with
/// the number of the endorser that meets it. A principal is met by members of one
/// kind only, so that none is taken away from another by going from left to right.
pub(super) fn assign(rule: &Rule, endorsers: &[(u8, Identity)]) -> Vec<(u8, u8)> {
    let mut principals = Vec::new();
    rule.collect(&mut principals);
    let mut keys = BTreeSet::new();
    let mut free: Vec<(u8, Principal)> = endorsers
        .iter()
        .filter(|(_, endorser)| keys.insert(endorser.key))
        .map(|(number, endorser)| (*number, Principal::of(endorser)))
        .collect();
    let mut met = Vec::new();
    for (principal, position) in principals.into_iter().zip(0..) {
        if let Some(at) = free.iter().position(|(_, free)| free == principal) {
            met.push((position, free.remove(at).0));
        }
    }
    met
}
