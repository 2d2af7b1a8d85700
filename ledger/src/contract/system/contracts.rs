//! `_contracts`: which contracts there are, in which version, and who must
//! endorse them.
//!
//! Both are changed by the organisations: an admin says for its organisation what
//! is to change, and once more than half of them say the same, it changes. Until
//! then an organisation may change its mind; what it wants of a contract's policy and of
//! its version are two things.

use crypto::{decode, encode};
use serde_json::{Value, json};

use super::super::{Context, Contract, ContractError, Function, json};
use super::must_be_admin;
use crate::identity::OrgId;
use crate::names::is_contract_name;
use crate::policy::{ContractDefinition, EndorsementPolicy};
use crate::state::CONTRACTS;

/// The contract that keeps the contracts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemContracts;

/// Where it stands which organisations there are. No contract has this name.
pub(crate) const ORGANISATIONS: &str = "_organisations";

const FUNCTIONS: &[Function] = &[
    Function {
        name: "set_policy",
        args: &["contract", "policy"],
    },
    Function {
        name: "set_version",
        args: &["contract", "version"],
    },
];

fn vote_key(contract: &str, change: &Change, organisation: &OrgId) -> String {
    format!("_vote/{contract}/{}/{organisation}", change.kind())
}

/// What an organisation wants of a contract.
enum Change {
    Policy(EndorsementPolicy),
    Version(u32),
}

impl Change {
    /// What of a contract it changes.
    fn kind(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy",
            Self::Version(_) => "version",
        }
    }

    /// The change as organisations vote for it, in one spelling.
    fn vote(&self) -> Vec<u8> {
        let vote = match self {
            Self::Policy(policy) => policy.to_string(),
            Self::Version(version) => version.to_string(),
        };
        vote.into_bytes()
    }

    fn apply(&self, definition: &mut ContractDefinition) {
        match self {
            Self::Policy(policy) => definition.policy = policy.clone(),
            Self::Version(version) => definition.version = *version,
        }
    }

    /// What is wanted, and the event that tells of it.
    fn shown(&self, adopted: bool) -> (Value, &'static str) {
        match (self, adopted) {
            (Self::Policy(policy), true) => (json!(policy), "PolicyChanged"),
            (Self::Policy(policy), false) => (json!(policy), "PolicyProposed"),
            (Self::Version(version), true) => (json!(version), "VersionChanged"),
            (Self::Version(version), false) => (json!(version), "VersionProposed"),
        }
    }
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
            ("set_policy", [contract, text]) => {
                let policy = context.policy(text)?;
                vote(context, contract, &Change::Policy(policy))
            }
            ("set_version", [contract, text]) => {
                let version = text.parse().ok().filter(|version| *version > 0);
                let version = version.ok_or_else(|| {
                    ContractError::failed(format!(
                        "{:?} is no version: those are numbers from 1",
                        cut(text)
                    ))
                })?;
                vote(context, contract, &Change::Version(version))
            }
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

/// Votes for a change, which is made once enough organisations want it.
fn vote(
    context: &mut Context<'_>,
    contract: &str,
    change: &Change,
) -> Result<Vec<u8>, ContractError> {
    let mut definition = definition(context, contract)?;
    let organisations = context.organisations()?;
    let agree = count(context, contract, change, &organisations)?;
    let needed = organisations.len() / 2 + 1;
    let adopted = agree.len() >= needed;
    if adopted {
        change.apply(&mut definition);
        context.put(contract, encode(&definition))?;
        for organisation in &organisations {
            context.delete(&vote_key(contract, change, organisation))?;
        }
    } else {
        let own = context.creator().organisation.clone();
        context.put(&vote_key(contract, change, &own), change.vote())?;
    }
    let agree: Vec<_> = agree.iter().map(OrgId::as_str).collect();
    let (wanted, event) = change.shown(adopted);
    let shown = json!({
        "adopted": adopted,
        "agree": agree,
        "contract": contract,
        "needed": needed,
        change.kind(): wanted,
    });
    context.event(event, json(&shown))?;
    Ok(json(&shown))
}

fn definition(
    context: &mut Context<'_>,
    contract: &str,
) -> Result<ContractDefinition, ContractError> {
    let unknown = || ContractError::failed(format!("there is no contract {:?}", cut(contract)));
    if !is_contract_name(contract) {
        return Err(unknown());
    }
    let found = context.get(contract)?.ok_or_else(unknown)?;
    decode(&found, found.len()).map_err(|error| {
        ContractError::failed(format!("the row of {contract} is damaged: {error}"))
    })
}

/// As much of what a caller says as is said back.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The organisations that want this change, the caller's included.
fn count(
    context: &mut Context<'_>,
    contract: &str,
    change: &Change,
    organisations: &[OrgId],
) -> Result<Vec<OrgId>, ContractError> {
    let own = context.creator().organisation.clone();
    let wanted = change.vote();
    let mut agree = Vec::new();
    for organisation in organisations {
        // Of the caller's own vote the last one counts; that it was read makes two
        // votes of one organisation conflict.
        let vote = context.get(&vote_key(contract, change, organisation))?;
        if *organisation == own || vote.as_ref() == Some(&wanted) {
            agree.push(organisation.clone());
        }
    }
    Ok(agree)
}
