//! A world for one contract, for tests of whoever writes it: calls by whom one
//! likes, and their effects applied at once.
//!
//! Every call is executed twice, and must do the same both times: what does not
//! would not be endorsed alike by two nodes.

use crypto::{Digest, SigningKey, encode};

use super::{Context, Contract, ContractError, ORGANISATIONS, call};
use crate::endorsement::Response;
use crate::identity::{Identity, OrgId, Role};
use crate::proposal::TransactionId;
use crate::row::VersionedValue;
use crate::rwset::{Event, ReadWriteSet, Version};
use crate::state::{CONTRACTS, MemoryState, StateView};

/// A world with one contract in it and the organisations `org1` and `org2`.
pub struct World<'a> {
    contract: &'a dyn Contract,
    creator: Identity,
    state: MemoryState,
    block: u64,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened yet. The client alice of org1 calls.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn new(contract: &'a dyn Contract) -> Self {
        let [org1, org2] = ["org1", "org2"].map(organisation);
        let mut world = Self {
            contract,
            creator: Identity {
                name: "alice".to_owned(),
                organisation: org1.clone(),
                role: Role::Client,
                key: SigningKey::from_seed(&[1; 32]).public(),
            },
            state: MemoryState::default(),
            block: 0,
        };
        world.write_to(CONTRACTS, ORGANISATIONS, &encode(&vec![org1, org2]));
        world
    }

    /// Whoever calls from now on.
    ///
    /// # Panics
    ///
    /// When no organisation can be called so.
    pub fn act_as(&mut self, name: &str, of: &str, role: Role) {
        name.clone_into(&mut self.creator.name);
        self.creator.organisation = organisation(of);
        self.creator.role = role;
    }

    /// What a call would do and answer, without doing it.
    ///
    /// # Errors
    ///
    /// When the contract says no.
    ///
    /// # Panics
    ///
    /// When the contract does something else the second time.
    pub fn simulate(
        &self,
        function: &str,
        args: &[&str],
    ) -> Result<(ReadWriteSet, Response), ContractError> {
        let (first, second) = (self.once(function, args), self.once(function, args));
        match (&first, &second) {
            (Ok(one), Ok(other)) => assert_eq!(one, other, "executed twice, it did two things"),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            _ => panic!("executed twice, it failed once: {first:?}, {second:?}"),
        }
        first
    }

    fn once(
        &self,
        function: &str,
        args: &[&str],
    ) -> Result<(ReadWriteSet, Response), ContractError> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let id = TransactionId(Digest([7; 32]));
        let mut context = Context::new(&self.state, self.contract.name(), &self.creator, id);
        let payload = call(self.contract, &mut context, function, &args)?;
        let (rwset, events) = context.finish(&args);
        Ok((rwset, Response { payload, events }))
    }

    /// Calls, applies the effects, and gives answer and events; nothing is changed
    /// where the contract says no.
    ///
    /// # Errors
    ///
    /// When the contract says no.
    pub fn attempt(
        &mut self,
        function: &str,
        args: &[&str],
    ) -> Result<(String, Vec<Event>), ContractError> {
        let (rwset, response) = self.simulate(function, args)?;
        let version = self.next_version();
        let name = self.contract.name();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        for key in rwset.touched() {
            let before = self.state.row(name, key)?;
            let write = rwset.applied(&args, key, version, before);
            self.state.apply(name, key, &write);
        }
        let answer = String::from_utf8_lossy(&response.payload).into_owned();
        Ok((answer, response.events))
    }

    /// The answer of a call that is to succeed, its effects applied.
    ///
    /// # Panics
    ///
    /// When the contract says no.
    #[track_caller]
    pub fn submit(&mut self, function: &str, args: &[&str]) -> String {
        match self.attempt(function, args) {
            Ok((answer, _)) => answer,
            Err(error) => panic!("{function} {args:?}: {error}"),
        }
    }

    /// The answer of a call that is to succeed, without its effects.
    ///
    /// # Panics
    ///
    /// When the contract says no.
    #[must_use]
    #[track_caller]
    pub fn evaluate(&self, function: &str, args: &[&str]) -> String {
        match self.simulate(function, args) {
            Ok((_, response)) => String::from_utf8_lossy(&response.payload).into_owned(),
            Err(error) => panic!("{function} {args:?}: {error}"),
        }
    }

    /// Sees to it that a call fails for this reason.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn fails(&self, function: &str, args: &[&str], reason: &str) {
        match self.simulate(function, args) {
            Ok((_, response)) => panic!("{function} {args:?} answered {response:?}"),
            Err(error) => assert_eq!(error.to_string(), reason),
        }
    }

    /// Writes a key past the contract, as enough endorsers could who agree on it.
    pub fn write(&mut self, key: &str, value: &[u8]) {
        self.write_to(self.contract.name(), key, value);
    }

    fn write_to(&mut self, namespace: &str, key: &str, value: &[u8]) {
        let row = VersionedValue {
            version: self.next_version(),
            value: value.to_vec(),
            policy: None,
        };
        self.state.write(namespace, key, Some(row));
    }

    fn next_version(&mut self) -> Version {
        self.block += 1;
        Version {
            block: self.block,
            index: 0,
        }
    }
}

fn organisation(name: &str) -> OrgId {
    name.parse().expect("the name of an organisation")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::Function;
    use super::*;

    /// A contract that counts how often it was called, in memory of its own.
    struct Counting(AtomicU8);

    impl Contract for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }

        fn functions(&self) -> &'static [Function] {
            &[Function {
                name: "count",
                args: &[],
            }]
        }

        fn invoke(
            &self,
            _: &mut Context<'_>,
            _: &str,
            _: &[String],
        ) -> Result<Vec<u8>, ContractError> {
            Ok(vec![self.0.fetch_add(1, Ordering::Relaxed)])
        }
    }

    #[test]
    #[should_panic(expected = "it did two things")]
    fn what_does_two_things_is_noticed() {
        let counting = Counting(AtomicU8::new(0));
        World::new(&counting).submit("count", &[]);
    }
}
