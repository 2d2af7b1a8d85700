//! Where keys may have endorsement policies of their own.
//!
//! Nearly no key has one, but whoever endorses a write has to tell its client of it, and
//! whoever validates it asks for that policy instead of the contract's. In a namespace
//! where no key was ever given one, no key is looked at for that: a namespace that is
//! missing here would let the policies of its keys be passed by.

use std::sync::{PoisonError, RwLock};

use crypto::codec::{Decode, Encode};

use super::StateChange;

/// The namespaces in which a key was ever given a policy of its own, ascending: at most
/// as many as there are contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GuardedNamespaces(Vec<String>);

impl GuardedNamespaces {
    /// Whether they ascend, without which they would be looked for in vain.
    pub(crate) fn ascend(&self) -> bool {
        self.0.is_sorted_by(|one, next| one < next)
    }

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
/// can be read, which are all as long as nobody has read which they are.
#[derive(Debug, Default)]
pub(super) struct Guarded(RwLock<Option<GuardedNamespaces>>);

impl Guarded {
    /// Whether a key of this namespace may have a policy of its own.
    pub(super) fn contains(&self, namespace: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref();
        known.is_none_or(|known| known.contains(namespace))
    }

    pub(super) fn set(&self, namespaces: GuardedNamespaces) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(namespaces);
    }

    /// Notes what a block will have changed, before it is written, and returns all of
    /// them. The first block of a store may be the first that is known of it.
    pub(super) fn note(&self, changes: &[StateChange]) -> GuardedNamespaces {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        known.note(changes);
        known.clone()
    }
}
