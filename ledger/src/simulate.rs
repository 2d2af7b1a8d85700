//! Executing a call on a snapshot: to endorse what it would do, or just to
//! answer it.
//!
//! Nothing here changes anything. The verdict that counts is that of
//! `validation`, in the order; what would certainly fail there is refused here
//! already, so that nobody is led on.

use std::sync::Arc;

use crypto::merkle::leaf_hash;
use crypto::{Digest, NetworkId, SigningKey, encode};

use crate::contract::{self, Context, Contract, ContractError, Contracts, call};
use crate::endorsement::{EndorsedAction, Endorsement, ProposalResponse, Response};
use crate::identity::Identity;
use crate::members::Member;
use crate::policy::EndorsementPolicy;
use crate::proposal::{Proposal, SignedProposal, TransactionId};
use crate::rwset::ReadWriteSet;
use crate::state::StateView;
use crate::store::StoreError;
use crate::transaction::{Limits, Refusal, form};

/// What an endorser knows when a proposal comes.
#[derive(Clone, Copy)]
pub struct Simulation<'a> {
    /// The network it endorses for.
    pub network: &'a NetworkId,
    /// The network's limits.
    pub limits: &'a Limits,
    /// The contracts it can execute.
    pub contracts: &'a Contracts,
    /// The state after the newest block.
    pub view: &'a dyn StateView,
    /// The number of that block.
    pub height: u64,
}

/// What a proposal would do, and the leaf under which that is endorsed.
struct Executed {
    action: EndorsedAction,
    leaf: Digest,
}

/// Why a proposal is not endorsed or answered.
#[derive(Debug, thiserror::Error)]
pub enum EndorseError {
    /// What came is not a proposal for this network signed by its creator.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its creator is not a member.
    #[error("the creator of the proposal is not a member of this network")]
    UnknownCreator,
    /// Its creator's key has been revoked.
    #[error("the key that {name} of {organisation} signs with has been revoked", name = creator.name, organisation = creator.organisation)]
    CreatorRevoked {
        /// Whose key it was.
        creator: Identity,
    },
    /// Its creator is of a role that does not propose.
    #[error("{name} of {organisation} is a {role}, and only clients and admins propose", name = creator.name, organisation = creator.organisation, role = creator.role)]
    CreatorNotPermitted {
        /// Who proposed.
        creator: Identity,
    },
    /// It can no longer take effect.
    #[error(
        "the proposal is valid until block {valid_until_block}, and the chain is at block {height}"
    )]
    Expired {
        /// The last block in which it could have taken effect.
        valid_until_block: u64,
        /// The newest block.
        height: u64,
    },
    /// Its transaction stands in the chain already.
    #[error("transaction {id} is already committed")]
    AlreadyCommitted {
        /// The transaction.
        id: TransactionId,
    },
    /// There is no such contract.
    #[error("there is no contract {name:?}")]
    UnknownContract {
        /// The name asked for.
        name: String,
    },
    /// There is such a contract, but this node cannot execute it.
    #[error(
        "the network has agreed on version {agreed} of contract {name:?}, and this node has {}",
        installed.map_or("none".to_owned(), |version| format!("version {version}"))
    )]
    NotInstalled {
        /// The name asked for.
        name: String,
        /// The version that was agreed on.
        agreed: u32,
        /// The version that is here.
        installed: Option<u32>,
    },
    /// This node's endorsements do not count.
    #[error("the key that this node endorses with has been revoked")]
    EndorserRevoked,
    /// The contract itself says no.
    #[error("{0}")]
    Contract(ContractError),
    /// The state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EndorseError {
    /// The reason as one word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::UnknownCreator => "UNKNOWN_CREATOR",
            Self::CreatorRevoked { .. } => "CREATOR_REVOKED",
            Self::CreatorNotPermitted { .. } => "CREATOR_NOT_PERMITTED",
            Self::Expired { .. } => "EXPIRED",
            Self::AlreadyCommitted { .. } => "ALREADY_COMMITTED",
            Self::UnknownContract { .. } => "UNKNOWN_CONTRACT",
            Self::NotInstalled { .. } => "NOT_INSTALLED",
            Self::EndorserRevoked => "ENDORSER_REVOKED",
            Self::Contract(_) => "CONTRACT_ERROR",
            Self::Store(_) => "STORE_FAILURE",
        }
    }
}

impl From<ContractError> for EndorseError {
    fn from(error: ContractError) -> Self {
        match error {
            ContractError::State(error) => Self::Store(error),
            other => Self::Contract(other),
        }
    }
}

impl Simulation<'_> {
    /// Executes a proposal and signs what it would do.
    ///
    /// # Errors
    ///
    /// [`EndorseError`] when it would not become a valid transaction.
    ///
    /// # Panics
    ///
    /// Never: there is an answer for every proposal.
    pub fn endorse(
        &self,
        signed: &SignedProposal,
        key: &SigningKey,
    ) -> Result<ProposalResponse, EndorseError> {
        let answer = self.endorse_all(std::slice::from_ref(signed), key).pop();
        answer.expect("one is asked about")
    }

    /// Does that with many, each as if it were alone; but their signatures are
    /// verified together, and one is made for all of them, which costs less.
    ///
    /// # Panics
    ///
    /// Never: there is an endorsement for every action.
    #[must_use]
    pub fn endorse_all(
        &self,
        proposals: &[SignedProposal],
        key: &SigningKey,
    ) -> Vec<Result<ProposalResponse, EndorseError>> {
        match self.view.member(&key.public()) {
            Ok(Some((endorser, _))) if endorser.revoked => {
                let each = proposals.iter();
                return each.map(|_| Err(EndorseError::EndorserRevoked)).collect();
            }
            // What cannot be read is told of each proposal.
            Ok(_) | Err(_) => {}
        }
        let verified = SignedProposal::verify_all(proposals, self.network);
        let executed = self.execute_new(proposals, verified);
        self.view.expect(&self.guarded(proposals, &executed));
        let proposals = proposals.iter().zip(executed);
        let executed = proposals.map(|(signed, executed)| {
            let executed = executed?;
            let policies = self.key_policies(&signed.proposal, &executed.action.rwset)?;
            Ok((executed, policies))
        });
        let executed: Vec<Result<_, EndorseError>> = executed.collect();
        let leaves = executed.iter().flatten().map(|(executed, _)| executed.leaf);
        let leaves: Vec<_> = leaves.collect();
        let mut endorsements = Endorsement::of_all(&leaves, self.network, key).into_iter();
        let answers = executed.into_iter().map(|executed| {
            let (Executed { action, .. }, policies) = executed?;
            let endorsement = endorsements.next();
            let endorsement = endorsement.expect("there is one for every action");
            Ok(ProposalResponse::new(action, endorsement, policies))
        });
        answers.collect()
    }

    /// Executes proposals, each verified, whose transactions do not stand in the chain
    /// and would be admitted.
    fn execute_new(
        &self,
        proposals: &[SignedProposal],
        verified: Vec<Result<(TransactionId, usize), Refusal>>,
    ) -> Vec<Result<Executed, EndorseError>> {
        let ids: Vec<_> = verified.iter().flatten().map(|(id, _)| *id).collect();
        let mut places = self.view.places_of(&ids).into_iter();
        let proposals = proposals.iter().zip(verified);
        let executed = proposals.map(|(signed, verified)| {
            let (id, length) = verified?;
            let place = places.next().expect("there is an answer for every id");
            if place?.is_some() {
                return Err(EndorseError::AlreadyCommitted { id });
            }
            let action = self.execute(&signed.proposal, id)?;
            let bytes = encode(&action);
            self.fits(length, &action, bytes.len())?;
            let leaf = leaf_hash(&bytes);
            Ok(Executed { action, leaf })
        });
        executed.collect()
    }

    /// Executes a proposal and gives its answer. It becomes no transaction, so
    /// it does not matter whether there was one under its id, nor how large
    /// its effects are.
    ///
    /// # Errors
    ///
    /// [`EndorseError`] when it cannot be executed.
    pub fn evaluate(&self, signed: &SignedProposal) -> Result<Response, EndorseError> {
        let (id, _) = signed.verify(self.network)?;
        let action = self.execute(&signed.proposal, id)?;
        Ok(action.response)
    }

    fn execute(
        &self,
        proposal: &Proposal,
        transaction_id: TransactionId,
    ) -> Result<EndorsedAction, EndorseError> {
        let name = &proposal.contract;
        let creator = self.permitted_creator(proposal)?;
        let contract = match contract::system(name) {
            Some(system) => system,
            None => self.agreed_contract(name)?,
        };
        let creator = &creator.identity;
        let mut context = Context::new(self.view, name, creator, transaction_id);
        let payload = call(contract, &mut context, &proposal.function, &proposal.args)?;
        let (rwset, events) = context.finish(&proposal.args);
        Ok(EndorsedAction {
            transaction_id,
            contract_version: contract.version(),
            rwset,
            response: Response { payload, events },
        })
    }

    /// The contract in the version that the network has agreed on.
    fn agreed_contract(&self, name: &str) -> Result<&dyn Contract, EndorseError> {
        let Some((definition, _)) = self.view.contract(name)? else {
            let name = name.to_owned();
            return Err(EndorseError::UnknownContract { name });
        };
        let agreed = definition.version;
        match self.contracts.get(name) {
            Some(contract) if contract.version() == agreed => Ok(contract),
            other => Err(EndorseError::NotInstalled {
                name: name.to_owned(),
                agreed,
                installed: other.map(Contract::version),
            }),
        }
    }

    /// The keys that would be changed and may have policies of their own, each with its
    /// namespace.
    fn guarded<'a>(
        &self,
        proposals: &'a [SignedProposal],
        executed: &'a [Result<Executed, EndorseError>],
    ) -> Vec<(&'a str, &'a str)> {
        let mut guarded = Vec::new();
        for (signed, executed) in proposals.iter().zip(executed) {
            let contract = signed.proposal.contract.as_str();
            if let Ok(executed) = executed
                && self.view.is_guarded(contract)
            {
                let keys = executed.action.rwset.touched().into_iter();
                guarded.extend(keys.map(|key| (contract, key)));
            }
        }
        guarded
    }

    /// The policies of their own that keys among the effects have.
    fn key_policies(
        &self,
        proposal: &Proposal,
        rwset: &ReadWriteSet,
    ) -> Result<Vec<EndorsementPolicy>, StoreError> {
        let mut policies = Vec::new();
        if !self.view.is_guarded(&proposal.contract) {
            return Ok(policies);
        }
        for key in rwset.touched() {
            let row = self.view.row(&proposal.contract, key)?;
            let policy = row.and_then(|row| row.policy);
            policies.extend(policy.filter(|policy| !policies.contains(policy)));
        }
        Ok(policies)
    }

    fn permitted_creator(&self, proposal: &Proposal) -> Result<Arc<Member>, EndorseError> {
        let valid_until_block = proposal.valid_until_block;
        // The next block is the first it could stand in.
        if self.height >= valid_until_block {
            return Err(EndorseError::Expired {
                valid_until_block,
                height: self.height,
            });
        }
        let found = self.view.member(&proposal.creator)?;
        let (member, _) = found.ok_or(EndorseError::UnknownCreator)?;
        let creator = || member.identity.clone();
        if member.revoked {
            return Err(EndorseError::CreatorRevoked { creator: creator() });
        }
        if !member.identity.role.may_propose() {
            return Err(EndorseError::CreatorNotPermitted { creator: creator() });
        }
        Ok(member)
    }

    /// Checks that the transaction of a proposal and an action of so many bytes would
    /// be admitted, should each replica endorse it.
    fn fits(&self, proposal: usize, action: &EndorsedAction, bytes: usize) -> Result<(), Refusal> {
        form::effects(&action.rwset, &action.response)?;
        // The id is endorsed with the effects, but not sent with them.
        let effects = bytes - action.transaction_id.0.as_bytes().len();
        let found = proposal + effects + Limits::signature_bytes(self.limits.replicas);
        let limit = self.limits.max_transaction_bytes;
        if found > limit {
            return Err(Refusal::TooLarge { found, limit });
        }
        Ok(())
    }
}
