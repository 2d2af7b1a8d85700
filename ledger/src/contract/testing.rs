//! A world for one contract: calls, and their effects applied at once.

use crypto::{Digest, SigningKey};

use super::{Context, Contract, ContractError, call};
use crate::identity::{Identity, Role};
use crate::proposal::TransactionId;
use crate::rwset::{ReadWriteSet, Version};
use crate::state::MemoryState;

pub(super) struct World {
    contract: &'static dyn Contract,
    creator: Identity,
    state: MemoryState,
    block: u64,
}

impl World {
    pub(super) fn new(contract: &'static dyn Contract) -> Self {
        Self {
            contract,
            creator: Identity {
                name: "alice".to_owned(),
                organisation: "org1".parse().unwrap(),
                role: Role::Client,
                key: SigningKey::from_seed(&[1; 32]).public(),
            },
            state: MemoryState::default(),
            block: 0,
        }
    }

    /// Whoever calls from now on.
    pub(super) fn act_as(&mut self, name: &str, organisation: &str, role: Role) {
        name.clone_into(&mut self.creator.name);
        self.creator.organisation = organisation.parse().unwrap();
        self.creator.role = role;
    }

    /// Calls without applying.
    pub(super) fn call(
        &self,
        function: &str,
        args: &[&str],
    ) -> Result<(ReadWriteSet, String), ContractError> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let id = TransactionId(Digest([7; 32]));
        let mut context = Context::new(&self.state, self.contract.name(), &self.creator, id);
        let payload = call(self.contract, &mut context, function, &args)?;
        let (rwset, _) = context.finish();
        Ok((rwset, String::from_utf8(payload).unwrap()))
    }

    /// Calls, applies the effects and gives the answer.
    #[track_caller]
    pub(super) fn submit(&mut self, function: &str, args: &[&str]) -> String {
        self.attempt(function, args).unwrap()
    }

    /// Calls, and applies the effects unless the contract says no.
    pub(super) fn attempt(
        &mut self,
        function: &str,
        args: &[&str],
    ) -> Result<String, ContractError> {
        let (rwset, payload) = self.call(function, args)?;
        let version = self.next_version();
        for write in rwset.writes {
            let name = self.contract.name();
            self.state.write(name, &write.key, version, write.value);
        }
        Ok(payload)
    }

    /// Writes past the contract.
    pub(super) fn write(&mut self, key: &str, value: &[u8]) {
        let version = self.next_version();
        let name = self.contract.name();
        self.state.write(name, key, version, Some(value.to_vec()));
    }

    fn next_version(&mut self) -> Version {
        self.block += 1;
        Version {
            block: self.block,
            index: 0,
        }
    }

    pub(super) fn fails(&self, function: &str, args: &[&str], message: &str) {
        let error = self.call(function, args).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
