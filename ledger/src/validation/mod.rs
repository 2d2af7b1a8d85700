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

use crate::members::{contract, member};
use crate::state::StateView;
use crate::store::StoreError;
use crate::transaction::CheckedTransaction;

/// Decides what becomes of `transaction` in block `number`, when `view` is the
/// state before it. The first check that fails gives the verdict:
///
/// 1. its id does not stand in the chain yet,
/// 2. it has not expired,
/// 3. its creator is a member, of a role that may propose,
/// 4. its contract exists,
/// 5. its endorsers meet the contract's policy,
/// 6. every key it has read has the version it had,
/// 7. every range it has read holds the same keys and versions.
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
    if !creator.role.may_propose() {
        return Ok(ValidationCode::CreatorNotPermitted);
    }
    let Some(definition) = contract(view, &proposal.contract)? else {
        return Ok(ValidationCode::UnknownContract);
    };
    if !policy::is_met(view, &definition.policy, &body.endorsements)? {
        return Ok(ValidationCode::EndorsementPolicyFailure);
    }
    if !mvcc::reads_hold(view, &proposal.contract, &body.rwset.reads)? {
        return Ok(ValidationCode::MvccReadConflict);
    }
    if !mvcc::ranges_hold(view, &proposal.contract, &body.rwset.ranges)? {
        return Ok(ValidationCode::PhantomReadConflict);
    }
    Ok(ValidationCode::Valid)
}
