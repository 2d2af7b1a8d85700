//! The verdict on a transaction in its place of the order.
//!
//! Everything that depends on the state is decided here, when the transaction
//! is executed, and nowhere earlier: all nodes then have the same state before
//! them and come to the same verdict. The state is that left by everything
//! ordered before, the transactions of the same block included, so that of two
//! in conflict the first wins.
//!
//! What deliberately does not live here: form and signatures, which a
//! [`CheckedTransaction`] has already, and applying the writes (`chain`).

mod budget;
mod code;
mod mvcc;
mod policy;
mod verdict;

#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use code::ValidationCode;
pub use verdict::{Reason, Shortfall, Verdict};

use std::sync::Arc;

use crate::contract::{self, Context, Contract, ContractError};
use crate::identity::Identity;
use crate::members::Member;
use crate::state::StateView;
use crate::store::StoreError;
use crate::transaction::{CheckedTransaction, Transaction};

/// Decides what becomes of `transaction` in block `number`, when `view` is the
/// state before it. The first check that fails gives the verdict:
///
/// 1. its id does not stand in the chain yet,
/// 2. it has not expired,
/// 3. its creator is a member, not revoked, of a role that may propose,
/// 4. its contract exists, in the version that was executed,
/// 5. its endorsers meet the policy of the contract, or of the keys it writes,
/// 6. every key it has read has the version it had,
/// 7. every range it has read holds the same keys and versions.
///
/// What checking takes is taken from the `budget` of the block; where that is spent, a
/// policy that takes long to search counts as not met and a range as changed.
///
/// A call of the system needs no endorsers to be believed: instead of 4 and 5,
/// and after 6 and 7, it is executed here, and must do what the transaction says.
///
/// # Errors
///
/// When the state cannot be read.
pub fn validate(
    view: &dyn StateView,
    transaction: &CheckedTransaction,
    number: u64,
    budget: &mut Budget,
) -> Result<Verdict, StoreError> {
    match check(view, transaction, number, budget) {
        Ok(()) => Ok(Verdict::VALID),
        Err(Stop::Verdict(verdict)) => Ok(verdict),
        Err(Stop::Store(error)) => Err(error),
    }
}

/// Why checking ends early.
enum Stop {
    Verdict(Verdict),
    Store(StoreError),
}

impl Stop {
    fn because(code: ValidationCode, reason: Reason) -> Self {
        let reason = Some(reason);
        Self::Verdict(Verdict { code, reason })
    }
}

impl From<ValidationCode> for Stop {
    fn from(code: ValidationCode) -> Self {
        Self::Verdict(Verdict { code, reason: None })
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn check(
    view: &dyn StateView,
    transaction: &CheckedTransaction,
    number: u64,
    budget: &mut Budget,
) -> Result<(), Stop> {
    let body = transaction.transaction();
    let proposal = &body.proposal;
    if let Some(place) = view.place_of(&transaction.id())? {
        let code = ValidationCode::DuplicateTransaction;
        return Err(Stop::because(code, Reason::Earlier { place }));
    }
    if number > proposal.valid_until_block {
        return Err(ValidationCode::Expired.into());
    }
    let creator = permitted_creator(view, body)?;
    let system = contract::system(&proposal.contract);
    if system.is_none() {
        let Some((definition, since)) = view.contract(&proposal.contract)? else {
            return Err(ValidationCode::UnknownContract.into());
        };
        let agreed = definition.version;
        if agreed != body.contract_version {
            let code = ValidationCode::ContractVersionMismatch;
            return Err(Stop::because(code, Reason::Contract { agreed, since }));
        }
        policy::check(view, body, (&definition, since), &mut budget.search)?;
    }
    mvcc::check(view, &proposal.contract, &body.rwset, &mut budget.ranges)?;
    if let Some(system) = system
        && !executes_to(view, system, &creator.identity, transaction)?
    {
        return Err(ValidationCode::WrongEffects.into());
    }
    Ok(())
}

fn permitted_creator(view: &dyn StateView, body: &Transaction) -> Result<Arc<Member>, Stop> {
    let Some((creator, since)) = view.member(&body.proposal.creator)? else {
        return Err(ValidationCode::UnknownCreator.into());
    };
    let code = if creator.revoked {
        ValidationCode::CreatorRevoked
    } else if !creator.identity.role.may_propose() {
        ValidationCode::CreatorNotPermitted
    } else {
        return Ok(creator);
    };
    Err(Stop::because(code, Reason::Member { since }))
}

/// Whether the call, executed here, has the effects and the answer that the
/// transaction says.
fn executes_to(
    view: &dyn StateView,
    system: &dyn Contract,
    creator: &Identity,
    transaction: &CheckedTransaction,
) -> Result<bool, StoreError> {
    let body = transaction.transaction();
    let proposal = &body.proposal;
    let mut context = Context::new(view, &proposal.contract, creator, transaction.id());
    match contract::call(system, &mut context, &proposal.function, &proposal.args) {
        Ok(payload) => {
            let (rwset, events) = context.finish(&proposal.args);
            let response = &body.response;
            Ok(system.version() == body.contract_version
                && rwset == body.rwset
                && payload == response.payload
                && events == response.events)
        }
        Err(ContractError::State(error)) => Err(error),
        Err(_) => Ok(false),
    }
}
