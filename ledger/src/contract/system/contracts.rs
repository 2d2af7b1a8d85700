//! `_contracts`: which contracts there are, and who must endorse them.
//!
//! A policy is changed by the organisations: an admin says for its organisation
//! which policy a contract is to have, and once more than half of them say the
//! same, it has it. Until then an organisation may change its mind.

use crypto::{decode, encode};
use serde_json::json;

use super::super::{Context, Contract, ContractError, Function};
use super::{failed, json, must_be_admin};
use crate::identity::OrgId;
use crate::names::is_contract_name;
use crate::policy::{ContractDefinition, EndorsementPolicy};
use crate::state::CONTRACTS;

/// The contract that keeps the contracts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemContracts;

/// Where it stands which organisations there are. No contract has this name.
pub(crate) const ORGANISATIONS: &str = "_organisations";

const FUNCTIONS: &[Function] = &[Function {
    name: "set_policy",
    args: &["contract", "policy"],
}];

fn vote_key(contract: &str, organisation: &OrgId) -> String {
    format!("_vote/{contract}/{organisation}")
}

impl Contract for SystemContracts {
    fn name(&self) -> &'static str {
        CONTRACTS
    }

    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }

    fn invoke(
        &self,
        context: &mut Context<'_>,
        function: &str,
        args: &[String],
    ) -> Result<Vec<u8>, ContractError> {
        must_be_admin(context)?;
        match (function, args) {
            ("set_policy", [contract, policy]) => set_policy(context, contract, policy),
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

fn set_policy(
    context: &mut Context<'_>,
    contract: &str,
    text: &str,
) -> Result<Vec<u8>, ContractError> {
    if !is_contract_name(contract) || context.get(contract)?.is_none() {
        let found: String = contract.chars().take(80).collect();
        return Err(failed(format!("there is no contract {found:?}")));
    }
    let organisations = organisations(context)?;
    let policy = checked(text, &organisations)?;
    let agree = count(context, contract, &policy, &organisations)?;
    let needed = organisations.len() / 2 + 1;
    let adopted = agree.len() >= needed;
    if adopted {
        let definition = ContractDefinition {
            name: contract.to_owned(),
            policy: policy.clone(),
        };
        context.put(contract, encode(&definition))?;
        for organisation in &organisations {
            context.delete(&vote_key(contract, organisation))?;
        }
    } else {
        let own = context.creator().organisation.clone();
        let vote = policy.to_string().into_bytes();
        context.put(&vote_key(contract, &own), vote)?;
    }
    let agree: Vec<_> = agree.iter().map(OrgId::as_str).collect();
    let shown = json!({
        "adopted": adopted,
        "agree": agree,
        "contract": contract,
        "needed": needed,
        "policy": policy.to_string(),
    });
    let event = if adopted {
        "PolicyChanged"
    } else {
        "PolicyProposed"
    };
    context.event(event, json(&shown))?;
    Ok(json(&shown))
}

fn organisations(context: &mut Context<'_>) -> Result<Vec<OrgId>, ContractError> {
    let found = context.get(ORGANISATIONS)?.unwrap_or_default();
    decode(&found, found.len())
        .map_err(|error| failed(format!("the row {ORGANISATIONS} is damaged: {error}")))
}

/// A policy that could be met by organisations that there are.
fn checked(text: &str, organisations: &[OrgId]) -> Result<EndorsementPolicy, ContractError> {
    let policy = EndorsementPolicy::parse(text, organisations);
    let policy = policy.map_err(|error| failed(error.to_string()))?;
    for principal in policy.principals() {
        let organisation = &principal.organisation;
        if !organisations.contains(organisation) {
            return Err(failed(format!("there is no organisation {organisation}")));
        }
    }
    Ok(policy)
}

/// The organisations that want this policy, the caller's included.
fn count(
    context: &mut Context<'_>,
    contract: &str,
    policy: &EndorsementPolicy,
    organisations: &[OrgId],
) -> Result<Vec<OrgId>, ContractError> {
    let own = context.creator().organisation.clone();
    let wanted = policy.to_string().into_bytes();
    let mut agree = Vec::new();
    for organisation in organisations {
        // Of the caller's own vote the last one counts; that it was read makes two
        // votes of one organisation conflict.
        let vote = context.get(&vote_key(contract, organisation))?;
        if *organisation == own || vote.as_ref() == Some(&wanted) {
            agree.push(organisation.clone());
        }
    }
    Ok(agree)
}
