//! Whether those who endorsed a transaction are those its contract asks for.

use crate::endorsement::Endorsement;
use crate::members::member;
use crate::policy::EndorsementPolicy;
use crate::state::StateView;
use crate::store::StoreError;

/// Whether the members among the endorsers meet `policy`. Strangers count for
/// nothing, but do not spoil the endorsements of others.
pub(super) fn is_met(
    view: &dyn StateView,
    policy: &EndorsementPolicy,
    endorsements: &[Endorsement],
) -> Result<bool, StoreError> {
    let mut endorsers = Vec::with_capacity(endorsements.len());
    for endorsement in endorsements {
        endorsers.extend(member(view, &endorsement.endorser)?);
    }
    Ok(policy.satisfied_by(&endorsers))
}
