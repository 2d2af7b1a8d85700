//! The whole: correct replicas, and a network that may bring them whatever was
//! said or can be said, in any order, late, again, or never.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use consensus::{CheckpointDigest, ReplicaId, Verifier, View};
use crypto::Digest;
use stateright::{Model, Path, Property};

use crate::adversary::Adversary;
use crate::local::{Local, Outcome, identity};
use crate::tables::{Happening, Known, LocalState, Tables, Terms};
use crate::world::{self, Sizes};

/// Four replicas, some of them Byzantine.
pub(crate) struct Network {
    pub(crate) tables: Tables,
    reduced: bool,
    properties: Vec<Property<Self>>,
}

/// What there is at one moment: the states of the correct replicas, and what
/// can be delivered to them.
#[derive(Clone)]
pub(crate) struct State {
    correct: Vec<Arc<LocalState>>,
    known: Arc<Known>,
}

/// What happens to the correct replica of this index: one of its possible steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    of: usize,
    step: usize,
}

impl State {
    /// What tells it from others of the same network.
    pub(crate) fn name(&self) -> Vec<u32> {
        let correct = self.correct.iter().map(|of| of.number);
        correct.chain([self.known.number]).collect()
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.correct.iter().map(|of| of.outcome())
    }

    fn executed(&self) -> impl Iterator<Item = &[(CheckpointDigest, View)]> {
        self.outcomes().map(|of| of.executed.as_slice())
    }
}

impl Eq for State {}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name().hash(hasher);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<_> = self.outcomes().collect();
        write!(f, "{outcomes:?}")
    }
}

impl Model for Network {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let byzantine = &self.tables.adversary().replicas;
        let ids = (0..4).map(ReplicaId).filter(|id| !byzantine.contains(id));
        let start = |id| self.tables.beginning(Local::new(Sizes::of(4), id));
        vec![State {
            correct: ids.map(start).collect(),
            known: self.tables.opening(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (of, local) in state.correct.iter().enumerate() {
            let steps = self.tables.steps(local, &state.known, self.reduced);
            actions.extend((0..steps.len()).map(|step| Action { of, step }));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let steps = self
            .tables
            .steps(&last.correct[action.of], &last.known, self.reduced);
        let step = &steps[action.step];
        let mut next = last.clone();
        next.correct[action.of] = Arc::clone(&step.state);
        next.known = Arc::clone(&step.known);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.clone()
    }
}

impl Network {
    pub(crate) fn new(adversary: Adversary, terms: Terms) -> Self {
        let verifier = Verifier::new(&world::config(Sizes::of(4), 0));
        Self {
            tables: Tables::new(verifier, adversary, terms),
            reduced: true,
            properties: vec![
                Property::always(AGREEMENT, agree),
                Property::always("in order, exactly once", orderly),
                Property::always("nobody correct halts", nobody_halts),
                Property::always("nobody correct contradicts itself", consistent),
            ],
        }
    }

    /// With more properties.
    pub(crate) fn with(mut self, properties: &[Property<Self>]) -> Self {
        self.properties.extend_from_slice(properties);
        self
    }

    /// With every moment looked at.
    pub(crate) fn in_single_steps(mut self) -> Self {
        self.reduced = false;
        self
    }

    /// What others can notice of a state.
    pub(crate) fn noticeable(&self, state: &State) -> Digest {
        let outcomes: Vec<_> = state.outcomes().collect();
        let messages = state.known.messages.iter();
        let messages = messages.map(|id| identity(self.tables.message(*id).message()));
        let messages: BTreeSet<_> = messages.collect();
        identity(&(outcomes, messages))
    }

    /// What happened on a way, for people.
    pub(crate) fn story(&self, path: Path<State, Action>) -> String {
        let mut story = String::new();
        for (state, action) in path.into_vec() {
            let Some(Action { of, step }) = action else {
                writeln!(story, "{state:?}").unwrap();
                continue;
            };
            let steps = self
                .tables
                .steps(&state.correct[of], &state.known, self.reduced);
            for happening in &steps[step].happenings {
                let what = match happening {
                    Happening::Arrives(id) => format!("{:?}", self.tables.message(*id).message()),
                    other => format!("{other:?}"),
                };
                writeln!(story, "correct replica {of}: {what}").unwrap();
            }
        }
        story
    }
}

pub(crate) const AGREEMENT: &str = "agreement";

/// No two correct replicas execute or hold certified different outcomes.
fn agree(_: &Network, state: &State) -> bool {
    let mut pairs = state.outcomes().enumerate();
    pairs.all(|(index, one)| {
        state
            .outcomes()
            .skip(index)
            .all(|other| agree_both(one, other))
    })
}

fn agree_both(one: &Outcome, other: &Outcome) -> bool {
    let mut executed = one.executed.iter().zip(&other.executed);
    let mut certified = one.certified.iter();
    executed.all(|(one, other)| one.0 == other.0)
        && certified.all(|(sequence, digest)| {
            let other = other.certified.get(sequence);
            other.is_none_or(|other| other == digest)
        })
}

fn orderly(_: &Network, state: &State) -> bool {
    state.outcomes().all(|of| !of.disorderly)
}

fn nobody_halts(_: &Network, state: &State) -> bool {
    state.outcomes().all(|of| !of.halted)
}

fn consistent(_: &Network, state: &State) -> bool {
    !state.known.contradictory
}

pub(crate) fn someone_executes(_: &Network, state: &State) -> bool {
    state.executed().any(|of| !of.is_empty())
}

pub(crate) fn all_execute(_: &Network, state: &State) -> bool {
    state.executed().all(|of| !of.is_empty())
}

pub(crate) fn all_certify(_: &Network, state: &State) -> bool {
    state.outcomes().all(|of| !of.certified.is_empty())
}

pub(crate) fn two_executed(_: &Network, state: &State) -> bool {
    state.executed().any(|of| of.len() == 2)
}

fn first_executed_in(state: &State, view: View) -> bool {
    let mut firsts = state.executed().filter_map(|of| of.first());
    firsts.any(|first| first.1 == view)
}

pub(crate) fn executed_in_the_new_view(_: &Network, state: &State) -> bool {
    first_executed_in(state, View(1))
}

/// What one has executed before the change of the view, another executes after it.
pub(crate) fn executed_in_both_views(_: &Network, state: &State) -> bool {
    first_executed_in(state, View(0)) && first_executed_in(state, View(1))
}
