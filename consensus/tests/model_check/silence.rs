//! Which moments need not be looked at.
//!
//! A step of a replica is *silent* when it says nothing by it that is not known
//! and nothing new is executed or certified: nobody else can notice it, and no
//! property asks for it. It takes nothing from anybody, and what can be delivered
//! only becomes more. So it may as well come later: just before the next step
//! of the same replica that is not silent, or never, if there is none. Hence:
//!
//! * Steps are taken together up to the first that is not silent.
//! * Of what can come of that, nothing is looked at that silent steps can
//!   lead to from something else that can come of it.
//! * Only votes of one kind need to have arrived in silence before a step: it
//!   depends on no others, and what comes of those comes of them afterwards, or
//!   never if the step has left their view.
//!
//! That nothing is missed by it is tested where looking at every moment is feasible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::Message;

use crate::tables::{Happening, Known, LocalState, Tables};

/// What can happen to a replica until something comes of it that others can
/// notice, and what there is then.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) happenings: Vec<Happening>,
    pub(crate) state: Arc<LocalState>,
    pub(crate) known: Arc<Known>,
}

/// A state to which silent steps lead.
#[derive(Clone)]
struct Silence {
    state: Arc<LocalState>,
    kind: Option<&'static str>,
    way: Vec<Happening>,
}

impl Tables {
    /// Every way in which something comes of a replica in this state while this
    /// is known: one step after another if `reduced` is false.
    pub(crate) fn steps(
        &self,
        state: &Arc<LocalState>,
        known: &Arc<Known>,
        reduced: bool,
    ) -> Arc<[Step]> {
        if let Some(steps) = state.steps.read().unwrap().get(&known.number) {
            return Arc::clone(steps);
        }
        let steps: Arc<[Step]> = if reduced {
            self.steps_until_noticed(state, known).into()
        } else {
            self.single_steps(state, known).into()
        };
        let mut all = state.steps.write().unwrap();
        all.insert(known.number, Arc::clone(&steps));
        steps
    }

    fn steps_until_noticed(&self, state: &Arc<LocalState>, known: &Arc<Known>) -> Vec<Step> {
        let mut noticed = BTreeMap::new();
        for silence in self.silences(state, known) {
            for mut step in self.single_steps(&silence.state, known) {
                if !is_silent(&step, state, known) {
                    step.happenings.splice(0..0, silence.way.iter().copied());
                    let name = (step.known.number, step.state.number);
                    noticed.entry(name).or_insert(step);
                }
            }
        }
        let mut later = BTreeSet::new();
        for (name, step) in &noticed {
            if noticed.len() > 1 && !later.contains(name) {
                let silences = self.silences(&step.state, &step.known).into_iter();
                let numbers = silences.map(|of| of.state.number);
                let others = numbers.filter(|number| *number != name.1);
                later.extend(others.map(|number| (name.0, number)));
            }
        }
        noticed.retain(|name, _| !later.contains(name));
        noticed.into_values().collect()
    }

    /// Where silent steps lead, this state first.
    fn silences(&self, state: &Arc<LocalState>, known: &Arc<Known>) -> Vec<Silence> {
        let mut reached = BTreeSet::from([(state.number, None)]);
        let mut silences = vec![Silence {
            state: Arc::clone(state),
            kind: None,
            way: Vec::new(),
        }];
        let mut done = 0;
        while let Some(from) = silences.get(done).cloned() {
            done += 1;
            for step in self.single_steps(&from.state, known) {
                let kind = self.kind_of_vote(step.happenings[0]).or(from.kind);
                let of_one_kind = from.kind.is_none() || kind == from.kind;
                if of_one_kind
                    && is_silent(&step, state, known)
                    && reached.insert((step.state.number, kind))
                {
                    let way = [from.way.as_slice(), &step.happenings].concat();
                    let state = step.state;
                    silences.push(Silence { state, kind, way });
                }
            }
        }
        silences
    }

    /// What can happen to a replica next, and changes anything.
    fn single_steps(&self, state: &LocalState, known: &Arc<Known>) -> Vec<Step> {
        use Happening::{Arrives, Examines, Executes, Leaves, Proposes};
        let arrivals = known.messages.iter().map(|id| Arrives(*id));
        let happenings = arrivals.chain([Examines, Executes, Leaves, Proposes]);
        happenings
            .filter_map(|happening| self.step(state, known, happening))
            .collect()
    }

    fn kind_of_vote(&self, happening: Happening) -> Option<&'static str> {
        let Happening::Arrives(id) = happening else {
            return None;
        };
        let message = self.message(id);
        let message = message.message();
        let is_vote = matches!(
            message,
            Message::Prepare(_)
                | Message::Commit(_)
                | Message::Checkpoint(_)
                | Message::ViewChange(_)
        );
        is_vote.then(|| message.name())
    }
}

/// Whether nobody can notice a step from `state` while this was known.
fn is_silent(step: &Step, state: &LocalState, known: &Known) -> bool {
    step.known.number == known.number && step.state.outcome() == state.outcome()
}
