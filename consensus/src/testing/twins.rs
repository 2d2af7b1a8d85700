//! Twins: a faulty replica that is two correct ones under one key, each with
//! its own disk and state, of which the others meet one or the other or both
//! (Bano et al., "Twins: BFT Systems Made Robust", OPODIS '21).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::dice::Dice;
use crate::{ReplicaId, ReplicaSet};

/// Where a process of a replica runs: a twin's run in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) id: ReplicaId,
    pub(crate) copy: Copy,
}

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Copy {
    /// The one that every replica has.
    First,
    /// The one that only a twin has.
    Second,
}

/// Which copies each replica has to do with.
type Sides = BTreeMap<ReplicaId, BTreeSet<Copy>>;

/// The twins, and who meets which of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Twins {
    ids: BTreeSet<ReplicaId>,
    sides: Sides,
}

impl Place {
    pub(crate) fn first(id: ReplicaId) -> Self {
        let copy = Copy::First;
        Self { id, copy }
    }

    pub(crate) fn second(id: ReplicaId) -> Self {
        let copy = Copy::Second;
        Self { id, copy }
    }
}

impl Twins {
    /// The first copies of all twins are on one side and the second on the
    /// other; everybody else is on either, or on both.
    pub(crate) fn drawn(ids: &BTreeSet<ReplicaId>, replicas: &ReplicaSet, dice: &mut Dice) -> Self {
        let sides = [
            [Copy::First].as_slice(),
            [Copy::Second].as_slice(),
            [Copy::First, Copy::Second].as_slice(),
        ];
        let mut side = |id| (id, sides[dice.below(3)].iter().copied().collect());
        Self {
            ids: ids.clone(),
            sides: replicas.ids().map(&mut side).collect(),
        }
    }

    /// The places of a replica.
    pub(crate) fn places(&self, id: ReplicaId) -> impl Iterator<Item = Place> + use<> {
        let second = self.ids.contains(&id).then(|| Place::second(id));
        [Place::first(id)].into_iter().chain(second)
    }

    /// Whether what leaves one place can come to the other.
    pub(crate) fn meet(&self, from: Place, to: Place) -> bool {
        let on = |place: Place, copy: Copy| {
            if self.ids.contains(&place.id) {
                place.copy == copy
            } else {
                let sides = self.sides.get(&place.id);
                sides.is_none_or(|sides| sides.contains(&copy))
            }
        };
        let apart = !self.ids.contains(&from.id) && !self.ids.contains(&to.id);
        let both = |copy| on(from, copy) && on(to, copy);
        apart || both(Copy::First) || both(Copy::Second)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.copy {
            Copy::First => "",
            Copy::Second => "'",
        };
        write!(f, "{}{mark}", self.id)
    }
}
