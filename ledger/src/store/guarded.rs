//! Where keys may have endorsement policies of their own.
//!
//! Nearly no key has one, but whoever endorses a write has to tell its client of it.
//! In a namespace where no key was ever given one, nothing has to be read for that.

use std::sync::{PoisonError, RwLock};

use crypto::codec::{Decode, Encode};

use super::StateChange;

/// The namespaces in which a key was ever given a policy of its own, ascending: at most
/// as many as there are contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GuardedNamespaces(Vec<String>);

impl GuardedNamespaces {
    /// Notes what a block has changed.
    pub(crate) fn note(&mut self, changes: &[StateChange]) {
        for change in changes {
            let row = change.write.row.as_ref();
            if row.is_some_and(|row| row.policy.is_some())
                && let Err(place) = self.0.binary_search(&change.namespace)
            {
                self.0.insert(place, change.namespace.clone());
            }
        }
    }

    fn contains(&self, namespace: &str) -> bool {
        let found = self
            .0
            .binary_search_by(|known| known.as_str().cmp(namespace));
        found.is_ok()
    }
}

/// The namespaces as all readers know them: never fewer than those of any state that
/// can be read.
#[derive(Debug, Default)]
pub(super) struct Guarded(RwLock<GuardedNamespaces>);

impl Guarded {
    /// Whether a key of this namespace may have a policy of its own.
    pub(super) fn contains(&self, namespace: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(namespace)
    }

    pub(super) fn set(&self, namespaces: GuardedNamespaces) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = namespaces;
    }

    /// Notes what a block will have changed, before it is written, and returns all of
    /// them.
    pub(super) fn note(&self, changes: &[StateChange]) -> GuardedNamespaces {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.note(changes);
        known.clone()
    }
}
