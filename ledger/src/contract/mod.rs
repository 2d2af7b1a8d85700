//! Contracts: programs whose every effect passes through a [`Context`].
//!
//! A contract is executed by endorsers, on a snapshot, and its effects are what
//! is ordered. It must do the same wherever it runs: it gets no clock, no
//! randomness and no way out, and answers in JSON whose bytes depend on the
//! values alone. `docs/contracts.md` shows how one is written, and [`testing`] how
//! it is tested.

mod args;
mod asset;
mod context;
mod kv;
mod smallbank;
mod system;
pub mod testing;
mod token;

use std::collections::BTreeMap;

use serde::Serialize;

pub use asset::AssetContract;
pub use context::Context;
pub use kv::KvContract;
pub use smallbank::SmallbankContract;
pub(crate) use system::{ORGANISATIONS, admins_key, name_key, system};
pub use token::TokenContract;

use crate::names::MAX_NAME_BYTES;
use crate::store::StoreError;

/// A function of a contract, for people and for documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What its arguments are called.
    pub args: &'static [&'static str],
}

/// A program that transactions call.
pub trait Contract: Send + Sync {
    /// The name it is called by, which is also the namespace of its keys.
    fn name(&self) -> &'static str;

    /// Its version, raised with every change of what a call does. All endorsers
    /// of a transaction must have executed the version that the network has
    /// agreed on.
    fn version(&self) -> u32 {
        1
    }

    /// Its functions. Calls of others, or with another number of arguments, do
    /// not reach it.
    fn functions(&self) -> &'static [Function];

    /// Executes one call; what comes back is its answer.
    ///
    /// # Errors
    ///
    /// When the call fails, and then has no effect.
    fn invoke(
        &self,
        context: &mut Context<'_>,
        function: &str,
        args: &[String],
    ) -> Result<Vec<u8>, ContractError>;
}

/// Why a call of a contract failed. The wording is what the caller is shown,
/// and where it is Fabric's, programs may know it.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The contract has no such function.
    #[error("Function {function} not found in contract {contract}")]
    NoSuchFunction {
        /// The contract.
        contract: &'static str,
        /// The function asked for.
        function: String,
    },
    /// Another number of arguments than the function takes.
    #[error("Incorrect number of params. Expected {expected}, received {received}")]
    WrongArguments {
        /// How many it takes.
        expected: usize,
        /// How many came.
        received: usize,
    },
    /// The contract itself says no.
    #[error("{0}")]
    Failed(String),
    /// More than a transaction may do.
    #[error("{what}: {found}, and at most {limit} are allowed")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there would be.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// A policy for a key that does not exist.
    #[error("the key {key} does not exist, so it has no policy")]
    NothingToGuard {
        /// The key.
        key: String,
    },
    /// A policy that nobody could meet, or that is none.
    #[error("{reason}")]
    BadPolicy {
        /// What is wrong with it.
        reason: String,
    },
    /// A key that cannot be one.
    #[error("key must not be an empty string")]
    EmptyKey,
    /// The name of an event that cannot be one.
    #[error(
        "{name:?} cannot be the name of an event: 1 to {MAX_NAME_BYTES} letters, digits, hyphens, underscores, dots \
         and colons can"
    )]
    BadEventName {
        /// The name.
        name: String,
    },
    /// The state cannot be read: not the contract's fault, nor the caller's.
    #[error("failed to read from world state: {0}")]
    State(#[from] StoreError),
}

impl ContractError {
    /// The contract itself says no, for this reason.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }
}

/// An answer, an event or a value as JSON, whose bytes depend on the value alone
/// as long as it holds no map of an order of its own.
///
/// # Panics
///
/// When `value` has no form in JSON: its type is wrong then, and not its contents.
#[must_use]
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("what contracts answer has a form in JSON")
}

/// The contracts a node can execute, by name.
#[derive(Default)]
pub struct Contracts {
    by_name: BTreeMap<&'static str, Box<dyn Contract>>,
}

impl Contracts {
    /// The contracts that come with the ledger.
    #[must_use]
    pub fn built_in() -> Self {
        let mut contracts = Self::default();
        contracts.add(Box::new(AssetContract));
        contracts.add(Box::new(KvContract));
        contracts.add(Box::new(SmallbankContract));
        contracts.add(Box::new(TokenContract));
        contracts
    }

    /// Adds a contract.
    ///
    /// # Panics
    ///
    /// When there is one of its name.
    pub fn add(&mut self, contract: Box<dyn Contract>) {
        let name = contract.name();
        let replaced = self.by_name.insert(name, contract);
        assert!(replaced.is_none(), "two contracts are called {name}");
    }

    /// The contract of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&dyn Contract> {
        self.by_name.get(name).map(Box::as_ref)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Contract> {
        self.by_name.values().map(Box::as_ref)
    }
}

/// Calls `function` after checking that it is one of the contract's.
pub(crate) fn call(
    contract: &dyn Contract,
    context: &mut Context<'_>,
    function: &str,
    args: &[String],
) -> Result<Vec<u8>, ContractError> {
    let functions = contract.functions();
    let Some(known) = functions.iter().find(|known| known.name == function) else {
        return Err(ContractError::NoSuchFunction {
            contract: contract.name(),
            function: function.to_owned(),
        });
    };
    if known.args.len() != args.len() {
        return Err(ContractError::WrongArguments {
            expected: known.args.len(),
            received: args.len(),
        });
    }
    contract.invoke(context, function, args)
}
