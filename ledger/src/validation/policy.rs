//! Whether those who endorsed a transaction are those its contract asks for.
//!
//! As in Fabric, a key that has a policy of its own is guarded by that and not
//! by its contract's, which asks for the rest.

use std::sync::Arc;

use super::verdict::{Reason, Shortfall};
use super::{Stop, ValidationCode};
use crate::endorsement::Endorsement;
use crate::members::Member;
use crate::policy::{ContractDefinition, Effort, EndorsementPolicy};
use crate::rwset::Version;
use crate::state::StateView;
use crate::store::StoreError;
use crate::transaction::Transaction;

/// Checks the policies of the keys that have one, in the order of the keys, and that of
/// the contract, which was written at `since`, at the first key that has none. What
/// nobody has endorsed is thus found out by one key, however many it names.
pub(super) fn check(
    view: &dyn StateView,
    body: &Transaction,
    (definition, since): (&ContractDefinition, Version),
    steps_of_block: &mut usize,
) -> Result<(), Stop> {
    let effort = Effort::within(steps_of_block);
    let mut endorsers = Endorsers::look_up(view, &body.endorsements, effort)?;
    let (namespace, touched) = (&body.proposal.contract, body.rwset.touched());
    if touched.is_empty() || !view.is_guarded(namespace) {
        return endorsers.meet(&definition.policy, None, since);
    }
    let mut meets_contract = false;
    for (key, position) in touched.iter().zip(0..) {
        let row = view.row(namespace, key)?;
        match row.and_then(|row| Some((row.policy?, row.version))) {
            Some((policy, since)) => endorsers.meet(&policy, Some(position), since)?,
            None if meets_contract => {}
            None => {
                endorsers.meet(&definition.policy, None, since)?;
                meets_contract = true;
            }
        }
    }
    Ok(())
}

/// Who endorsed, as the state says.
struct Endorsers<'b> {
    /// Strangers and revoked keys count for nothing, but do not spoil the
    /// endorsements of others.
    counted: Vec<(u8, Arc<Member>)>,
    strangers: Vec<u8>,
    revoked: Vec<u8>,
    effort: Effort<'b>,
}

impl<'b> Endorsers<'b> {
    fn look_up(
        view: &dyn StateView,
        endorsements: &[Endorsement],
        effort: Effort<'b>,
    ) -> Result<Self, StoreError> {
        let mut endorsers = Self {
            counted: Vec::with_capacity(endorsements.len()),
            strangers: Vec::new(),
            revoked: Vec::new(),
            effort,
        };
        for (endorsement, position) in endorsements.iter().zip(0..) {
            match view.member(&endorsement.endorser)? {
                None => endorsers.strangers.push(position),
                Some((member, _)) if member.revoked => endorsers.revoked.push(position),
                Some((member, _)) => endorsers.counted.push((position, member)),
            }
        }
        Ok(endorsers)
    }

    fn meet(
        &mut self,
        policy: &EndorsementPolicy,
        key: Option<u32>,
        since: Version,
    ) -> Result<(), Stop> {
        let members = self.counted.iter().map(|(_, member)| &member.identity);
        if policy.satisfied_within(members, &mut self.effort) {
            return Ok(());
        }
        let counted = self.counted.iter();
        let counted = counted.map(|(position, member)| (*position, member.identity.clone()));
        let counted: Vec<_> = counted.collect();
        let shortfall = Shortfall {
            key,
            since,
            met: policy.assign(&counted),
            strangers: self.strangers.clone(),
            revoked: self.revoked.clone(),
        };
        let code = ValidationCode::EndorsementPolicyFailure;
        Err(Stop::because(code, Reason::Policy(shortfall)))
    }
}
