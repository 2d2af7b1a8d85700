//! Whether members meet a policy.
//!
//! Members of one role of one organisation are interchangeable, so all that
//! matters is how many there are of each kind. Meeting an expression is two
//! questions: which of its nested expressions to meet, and whether the members
//! then suffice for all principals that are to be filled, each member for one.
//! The second is a flow, answered exactly. The first is a search that in
//! ordinary policies ends at the first try; it is bounded, and a policy at which the
//! bound is reached counts as not met, on every node alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{Principal, Rule};
use crate::identity::Identity;

/// Steps of the search for every policy: a transaction may write a thousand keys, each
/// with an ordinary one of its own, whatever the others of its block take.
const STEPS_EACH: usize = 32;

/// Further steps for all policies of a transaction together.
const MAX_STEPS: usize = 4096;

/// How far it is still searched for the policies of one transaction, beyond the steps
/// that each has, and for those of a block.
pub(crate) struct Effort<'b> {
    steps: usize,
    of_block: &'b mut usize,
}

impl<'b> Effort<'b> {
    /// For a transaction of a block that has so many steps left.
    pub(crate) fn within(of_block: &'b mut usize) -> Self {
        Self {
            steps: MAX_STEPS,
            of_block,
        }
    }
}

/// How many there are, or may be, of each kind of member.
type Amounts<'a> = BTreeMap<&'a Principal, usize>;

/// Whether distinct `endorsers`, each for one principal at most, meet `rule`.
pub(super) fn meets<'a>(
    rule: &Rule,
    endorsers: impl IntoIterator<Item = &'a Identity>,
    effort: &mut Effort<'_>,
) -> bool {
    let mut keys = BTreeSet::new();
    let members: Vec<Principal> = endorsers
        .into_iter()
        .filter(|endorser| keys.insert(endorser.key))
        .map(Principal::of)
        .collect();
    let mut supply = Amounts::new();
    for member in &members {
        *supply.entry(member).or_default() += 1;
    }
    let further = effort.steps.min(*effort.of_block);
    let mut search = Search {
        supply,
        steps: further + STEPS_EACH,
    };
    let met = search.supply_can_meet(rule)
        && if is_flat(rule) {
            // Nothing competes, so what the supply could meet it meets.
            search.step()
        } else {
            search.solve(Attempt {
                open: vec![rule],
                demands: Vec::new(),
            })
        };
    let taken = further.saturating_sub(search.steps);
    effort.steps -= taken;
    *effort.of_block -= taken;
    met
}

/// Whether nothing is nested in `rule`.
fn is_flat(rule: &Rule) -> bool {
    match rule {
        Rule::Principal(_) => true,
        Rule::And(parts) | Rule::Or(parts) | Rule::OutOf(_, parts) => {
            let is_principal = |part| matches!(part, &Rule::Principal(_));
            parts.iter().all(is_principal)
        }
    }
}

/// Some number of principals that are to be filled, each of which may stand in
/// several places.
#[derive(Clone)]
struct Demand<'a> {
    count: usize,
    places: Amounts<'a>,
}

/// A choice of nested expressions, as far as it is made.
#[derive(Clone)]
struct Attempt<'a> {
    /// Expressions to meet that were not looked into yet.
    open: Vec<&'a Rule>,
    /// What those looked into ask for.
    demands: Vec<Demand<'a>>,
}

struct Search<'a> {
    supply: Amounts<'a>,
    steps: usize,
}

/// An expression as what it is: some number out of principals and expressions.
fn parts(rule: &Rule) -> (usize, Amounts<'_>, Vec<&Rule>) {
    let (count, rules) = match rule {
        Rule::Principal(principal) => return (1, Amounts::from([(principal, 1)]), Vec::new()),
        Rule::And(rules) => (rules.len(), rules),
        Rule::Or(rules) => (1, rules),
        Rule::OutOf(count, rules) => (usize::try_from(*count).unwrap_or(usize::MAX), rules),
    };
    let (mut places, mut nested) = (Amounts::new(), Vec::new());
    for rule in rules {
        match rule {
            Rule::Principal(principal) => *places.entry(principal).or_default() += 1,
            _ => nested.push(rule),
        }
    }
    (count, places, nested)
}

impl<'a> Search<'a> {
    /// How many of these places the supply could fill, if nothing else needed it.
    fn fillable(&self, places: &Amounts<'_>) -> usize {
        let of = |principal| self.supply.get(principal).copied().unwrap_or(0);
        places
            .iter()
            .map(|(principal, places)| of(*principal).min(*places))
            .sum()
    }

    /// Whether the supply could meet `rule`, if nothing else needed it and its
    /// parts did not compete.
    fn supply_can_meet(&self, rule: &Rule) -> bool {
        let (count, places, nested) = parts(rule);
        let met = nested.iter().filter(|rule| self.supply_can_meet(rule));
        self.fillable(&places) + met.count() >= count
    }

    /// Takes a step; false once the bound is reached.
    fn step(&mut self) -> bool {
        let left = self.steps.checked_sub(1);
        self.steps = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether the attempt can be brought to an end.
    fn solve(&mut self, mut attempt: Attempt<'a>) -> bool {
        let Some(rule) = attempt.open.pop() else {
            return self.suffices(&attempt.demands);
        };
        let (count, places, mut nested) = parts(rule);
        nested.retain(|rule| self.supply_can_meet(rule));
        // Principals of its own first; nested expressions for what they leave open.
        let fewest = count.saturating_sub(self.fillable(&places));
        (fewest..=count.min(nested.len())).any(|chosen| {
            let mut attempt = attempt.clone();
            attempt.demands.push(Demand {
                count: count - chosen,
                places: places.clone(),
            });
            self.choose(attempt, &nested, chosen)
        })
    }

    /// Whether some `chosen` of the `nested` expressions lead to an end.
    fn choose(&mut self, attempt: Attempt<'a>, nested: &[&'a Rule], chosen: usize) -> bool {
        if nested.len() < chosen || !self.step() {
            return false;
        }
        match nested.split_first() {
            Some((first, rest)) if chosen > 0 => {
                let mut with = attempt.clone();
                with.open.push(first);
                self.choose(with, rest, chosen - 1) || self.choose(attempt, rest, chosen)
            }
            _ => self.solve(attempt),
        }
    }

    /// Whether the supply fills all demands together.
    fn suffices(&self, demands: &[Demand<'a>]) -> bool {
        let mut assignment = Assignment {
            supply: &self.supply,
            demands,
            given: vec![Amounts::new(); demands.len()],
        };
        (0..demands.len()).all(|demand| {
            (0..demands[demand].count).all(|_| assignment.fill(demand, &mut BTreeSet::new()))
        })
    }
}

/// Which kinds of members fill which demands: a flow that grows one by one.
struct Assignment<'s, 'a> {
    supply: &'s Amounts<'a>,
    demands: &'s [Demand<'a>],
    given: Vec<Amounts<'a>>,
}

impl<'a> Assignment<'_, 'a> {
    fn given(&self, demand: usize, kind: &Principal) -> usize {
        self.given[demand].get(kind).copied().unwrap_or(0)
    }

    /// Gives one more member to a demand, if need be by giving another demand
    /// one of another kind. Kinds in `tried` have led nowhere.
    fn fill(&mut self, demand: usize, tried: &mut BTreeSet<&'a Principal>) -> bool {
        let demands = self.demands;
        for (&kind, &places) in &demands[demand].places {
            let Some(&supply) = self.supply.get(kind) else {
                continue;
            };
            if self.given(demand, kind) == places || !tried.insert(kind) {
                continue;
            }
            let used: usize = (0..demands.len()).map(|each| self.given(each, kind)).sum();
            let mut holders = (0..demands.len()).filter(|&each| each != demand);
            let is_free = used < supply
                || holders
                    .any(|each| self.given(each, kind) > 0 && self.give_up(each, kind, tried));
            if is_free {
                *self.given[demand].entry(kind).or_default() += 1;
                return true;
            }
        }
        false
    }

    /// Has a demand take a member of another kind instead of one of `kind`.
    fn give_up(
        &mut self,
        demand: usize,
        kind: &'a Principal,
        tried: &mut BTreeSet<&'a Principal>,
    ) -> bool {
        if !self.fill(demand, tried) {
            return false;
        }
        *self.given[demand].entry(kind).or_default() -= 1;
        true
    }
}
