//! The contracts and their endorsement policies: built in, parsed, and such
//! that the members there are could satisfy them.

use std::collections::BTreeMap;

use ledger::{ContractDefinition, EndorsementPolicy, Identity};

use crate::document::{ContractDocument, Document};
use crate::error::{GenesisError, Problem, at, cut};
use crate::members::check_count;

/// Checks every contract of the document against its members.
pub(crate) fn check(
    document: &Document,
    members: &[Identity],
) -> Result<Vec<ContractDefinition>, GenesisError> {
    let known = ledger::contract::BUILT_IN;
    check_count("contracts", document.contracts.len(), 1, known.len())?;
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut contracts = Vec::new();
    for (i, contract) in document.contracts.iter().enumerate() {
        let path = format!("contracts[{i}].name");
        if !known.contains(&contract.name.as_str()) {
            let problem = Problem::UnknownContract {
                found: cut(&contract.name),
                known: known.join(", "),
            };
            return Err(at(path, problem));
        }
        if let Some(first) = seen.insert(&contract.name, path.clone()) {
            let what = "name";
            return Err(at(path, Problem::Repeated { what, first }));
        }
        contracts.push(ContractDefinition {
            name: contract.name.clone(),
            policy: check_policy(
                &format!("contracts[{i}].policy"),
                contract,
                document,
                members,
            )?,
        });
    }
    Ok(contracts)
}

fn check_policy(
    path: &str,
    contract: &ContractDocument,
    document: &Document,
    members: &[Identity],
) -> Result<EndorsementPolicy, GenesisError> {
    let policy = match contract.policy.parse::<EndorsementPolicy>() {
        Ok(policy) => policy,
        Err(error) => {
            let reason = error.to_string();
            return Err(at(path, Problem::BadPolicy { reason }));
        }
    };
    let principals = policy.principals();
    for (organisation, _) in &principals {
        let named =
            |known: &crate::document::OrganisationDocument| known.name == organisation.as_str();
        if !document.organisations.iter().any(named) {
            let organisation = organisation.to_string();
            return Err(at(
                path,
                Problem::PolicyOfUnknownOrganisation { organisation },
            ));
        }
    }
    // One member satisfies one principal, so that more members of a kind than
    // there are principals change nothing and would only make the search long.
    let mut chosen = Vec::new();
    let mut of_kind: BTreeMap<_, usize> = BTreeMap::new();
    for member in members {
        let kind = (member.organisation.clone(), member.role);
        let count = of_kind.entry(kind.clone()).or_default();
        if *count < principals.len() && principals.contains(&kind) {
            *count += 1;
            chosen.push(member.clone());
        }
    }
    if !policy.satisfied_by(&chosen) {
        let policy = policy.to_string();
        return Err(at(path, Problem::UnsatisfiablePolicy { policy }));
    }
    Ok(policy)
}
