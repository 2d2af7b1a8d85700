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

mod code;
mod mvcc;
mod policy;

#[cfg(test)]
mod tests;

pub use code::ValidationCode;

use crate::contract::{self, Context, Contract, ContractError};
use crate::identity::Identity;
use crate::members::{self, member};
use crate::state::StateView;
use crate::store::StoreError;
use crate::transaction::CheckedTransaction;

/// Decides what becomes of `transaction` in block `number`, when `view` is the
/// state before it. The first check that fails gives the verdict:
///
/// 1. its id does not stand in the chain yet,
/// 2. it has not expired,
/// 3. its creator is a member, not revoked, of a role that may propose,
/// 4. its contract exists,
/// 5. its endorsers meet the contract's policy,
/// 6. every key it has read has the version it had,
/// 7. every range it has read holds the same keys and versions.
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
) -> Result<ValidationCode, StoreError> {
    let body = transaction.transaction();
    let proposal = &body.proposal;
    if view.is_committed(&transaction.id())? {
        return Ok(ValidationCode::DuplicateTransaction);
    }
    if number > proposal.valid_until_block {
        return Ok(ValidationCode::Expired);
    }
    let Some(creator) = member(view, &proposal.creator)? else {
        return Ok(ValidationCode::UnknownCreator);
    };
    if creator.revoked {
        return Ok(ValidationCode::CreatorRevoked);
    }
    if !creator.identity.role.may_propose() {
        return Ok(ValidationCode::CreatorNotPermitted);
    }
    let system = contract::system(&proposal.contract);
    if system.is_none() {
        let Some(definition) = members::contract(view, &proposal.contract)? else {
            return Ok(ValidationCode::UnknownContract);
        };
        if !policy::is_met(view, &definition.policy, &body.endorsements)? {
            return Ok(ValidationCode::EndorsementPolicyFailure);
        }
    }
    if !mvcc::reads_hold(view, &proposal.contract, &body.rwset.reads)? {
        return Ok(ValidationCode::MvccReadConflict);
    }
    if !mvcc::ranges_hold(view, &proposal.contract, &body.rwset.ranges)? {
        return Ok(ValidationCode::PhantomReadConflict);
    }
    if let Some(system) = system
        && !executes_to(view, system, &creator.identity, transaction)?
    {
        return Ok(ValidationCode::WrongEffects);
    }
    Ok(ValidationCode::Valid)
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
            let (rwset, events) = context.finish();
            let response = &body.response;
            Ok(rwset == body.rwset && payload == response.payload && events == response.events)
        }
        Err(ContractError::State(error)) => Err(error),
        Err(_) => Ok(false),
    }
}
