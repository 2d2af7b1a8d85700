//! Whether members meet a policy.
//!
//! Members of one role of one organisation are interchangeable, so it does not
//! matter who counts for what but only how many of each kind are used up. For
//! each part of the expression the ways to meet it are worked out as such
//! amounts, from the inside out. Only kinds that are scarce (fewer members than
//! places that ask for them) need to be accounted for, which in ordinary
//! policies is none, and only the sparing ways are kept.

use std::collections::{BTreeMap, BTreeSet};

use super::{Principal, Rule};
use crate::identity::Identity;

/// How many ways to meet a part are kept: those that use up least. More than
/// this takes a policy that repeats many principals in many combinations; a
/// set of members that meets it in a wasteful way only may then be refused,
/// but the verdict is the same everywhere, and its cost bounded.
const MAX_WAYS: usize = 64;

/// How many members of each scarce kind are used up.
type Amounts = Vec<u32>;

/// Whether distinct `endorsers`, each for one principal at most, meet `rule`.
pub(super) fn meets(rule: &Rule, endorsers: &[Identity]) -> bool {
    !Supply::new(rule, endorsers).ways(rule).is_empty()
}

struct Supply {
    /// Kinds there are enough of for every place that asks for them.
    plentiful: BTreeSet<Principal>,
    /// Kinds there are some of, with their position in [`Amounts`].
    scarce: BTreeMap<Principal, usize>,
    /// How many there are of each scarce kind.
    available: Amounts,
}

impl Supply {
    fn new(rule: &Rule, endorsers: &[Identity]) -> Self {
        let mut asked: BTreeMap<&Principal, u32> = BTreeMap::new();
        let mut principals = Vec::new();
        rule.collect(&mut principals);
        for principal in principals {
            *asked.entry(principal).or_default() += 1;
        }
        let mut present: BTreeMap<Principal, BTreeSet<_>> = BTreeMap::new();
        for endorser in endorsers {
            let same = present.entry(Principal::of(endorser)).or_default();
            same.insert(endorser.key);
        }
        let mut supply = Self {
            plentiful: BTreeSet::new(),
            scarce: BTreeMap::new(),
            available: Amounts::new(),
        };
        for (principal, members) in present {
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            match asked.get(&principal) {
                None => {}
                Some(places) if *places <= count => {
                    supply.plentiful.insert(principal);
                }
                Some(_) => {
                    supply.scarce.insert(principal, supply.available.len());
                    supply.available.push(count);
                }
            }
        }
        supply
    }

    fn nothing(&self) -> Amounts {
        vec![0; self.available.len()]
    }

    /// The ways to meet `rule` with what there is; none when it cannot be met.
    fn ways(&self, rule: &Rule) -> Vec<Amounts> {
        match rule {
            Rule::Principal(principal) if self.plentiful.contains(principal) => {
                vec![self.nothing()]
            }
            Rule::Principal(principal) => match self.scarce.get(principal) {
                None => Vec::new(),
                Some(&kind) => {
                    let mut one = self.nothing();
                    one[kind] = 1;
                    vec![one]
                }
            },
            Rule::And(rules) => self.out_of(rules.len(), rules),
            Rule::Or(rules) => self.out_of(1, rules),
            Rule::OutOf(count, rules) => match usize::try_from(*count) {
                Ok(count) => self.out_of(count, rules),
                Err(_) => Vec::new(),
            },
        }
    }

    fn out_of(&self, count: usize, rules: &[Rule]) -> Vec<Amounts> {
        // met[n]: the ways to meet n of the rules looked at so far.
        let mut met: Vec<Vec<Amounts>> = vec![Vec::new(); count + 1];
        met[0].push(self.nothing());
        for rule in rules {
            let ways = self.ways(rule);
            // From above, so that no rule is counted twice.
            for fewer in (0..count).rev() {
                let mut more = std::mem::take(&mut met[fewer + 1]);
                more.extend(self.sums(&met[fewer], &ways));
                met[fewer + 1] = sparing(more);
            }
        }
        met.swap_remove(count)
    }

    /// Every way of one with every way of the other, as far as there is enough.
    fn sums<'a>(
        &'a self,
        one: &'a [Amounts],
        other: &'a [Amounts],
    ) -> impl Iterator<Item = Amounts> + 'a {
        one.iter()
            .flat_map(move |a| other.iter().map(move |b| (a, b)))
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect::<Amounts>())
            .filter(|sum| covers(&self.available, sum))
    }
}

/// Whether `large` is at least `small` in every kind.
fn covers(large: &Amounts, small: &Amounts) -> bool {
    small.iter().zip(large).all(|(small, large)| small <= large)
}

/// The ways that no other one undercuts, those that use least first.
fn sparing(mut ways: Vec<Amounts>) -> Vec<Amounts> {
    ways.sort_by_cached_key(|way| (way.iter().sum::<u32>(), way.clone()));
    let mut kept: Vec<Amounts> = Vec::new();
    for way in ways {
        if kept.len() == MAX_WAYS {
            break;
        }
        if !kept.iter().any(|other| covers(&way, other)) {
            kept.push(way);
        }
    }
    kept
}
