//! Who belongs to the network, and which contracts it has: as the newest block
//! leaves it.

use axum::Json;
use axum::extract;
use ledger::members::{contracts as all_contracts, members as all_members};

use super::State;
use crate::api::error::Failure;
use crate::api::types::{ContractAnswer, ContractsAnswer, MemberAnswer, MembersAnswer};

/// Everybody who has or had a key.
#[utoipa::path(get, path = "/v1/members", responses((status = 200, body = MembersAnswer)))]
pub(super) async fn members(
    extract::State(state): extract::State<State>,
) -> Result<Json<MembersAnswer>, Failure> {
    let answer = state.read(|ledger| {
        let snapshot = ledger.snapshot()?;
        let members = all_members(&snapshot).map_err(ledger::LedgerError::from)?;
        let mut members: Vec<_> = members
            .into_iter()
            .map(|member| MemberAnswer {
                name: member.identity.name,
                organisation: member.identity.organisation.to_string(),
                role: member.identity.role.to_string(),
                key: member.identity.key.to_string(),
                revoked: member.revoked,
            })
            .collect();
        members.sort_by(|a, b| {
            let place = |of: &MemberAnswer| (of.organisation.clone(), of.name.clone(), !of.revoked);
            place(a).cmp(&place(b))
        });
        Ok(MembersAnswer {
            height: snapshot.number(),
            members,
        })
    });
    Ok(Json(answer.await?))
}

/// The contracts and their endorsement policies.
#[utoipa::path(get, path = "/v1/contracts", responses((status = 200, body = ContractsAnswer)))]
pub(super) async fn contracts(
    extract::State(state): extract::State<State>,
) -> Result<Json<ContractsAnswer>, Failure> {
    let answer = state.read(|ledger| {
        let snapshot = ledger.snapshot()?;
        let contracts = all_contracts(&snapshot).map_err(ledger::LedgerError::from)?;
        let contracts = contracts.into_iter().map(|definition| ContractAnswer {
            version: definition.version,
            name: definition.name,
            policy: definition.policy.to_string(),
        });
        Ok(ContractsAnswer {
            height: snapshot.number(),
            contracts: contracts.collect(),
        })
    });
    Ok(Json(answer.await?))
}
