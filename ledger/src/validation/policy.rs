//! Whether those who endorsed a transaction are those its contract asks for.

use crate::endorsement::Endorsement;
use crate::members::member;
use crate::policy::EndorsementPolicy;
use crate::state::StateView;
use crate::store::StoreError;

/// Whether the members among the endorsers meet `policy`. Strangers and revoked
/// keys count for nothing, but do not spoil the endorsements of others.
pub(super) fn is_met(
    view: &dyn StateView,
    policy: &EndorsementPolicy,
    endorsements: &[Endorsement],
) -> Result<bool, StoreError> {
    let mut endorsers = Vec::with_capacity(endorsements.len());
    for endorsement in endorsements {
        let endorser = member(view, &endorsement.endorser)?;
        let endorser = endorser.filter(|member| !member.revoked);
        endorsers.extend(endorser.map(|member| member.identity));
    }
    Ok(policy.satisfied_by(&endorsers))
}
