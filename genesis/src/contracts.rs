//! The contracts and their endorsement policies: built in, parsed, and such
//! that the members there are could satisfy them.

use std::collections::BTreeMap;

use ledger::{ContractDefinition, Contracts, EndorsementPolicy, Identity};

use crate::document::{ContractDocument, Document};
use crate::error::{GenesisError, Problem, at, cut};
use crate::members::check_count;

/// Checks every contract of the document against its members.
pub(crate) fn check(
    document: &Document,
    members: &[Identity],
) -> Result<Vec<ContractDefinition>, GenesisError> {
    let known = Contracts::built_in();
    let known: Vec<&str> = known.iter().map(ledger::Contract::name).collect();
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
            version: check_version(i, contract)?,
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

/// Which versions there are is for each node to know, and not for all at once.
fn check_version(i: usize, contract: &ContractDocument) -> Result<u32, GenesisError> {
    let found = contract.version;
    let version = u32::try_from(found).ok().filter(|version| *version > 0);
    version.ok_or_else(|| {
        let problem = Problem::OutOfRange {
            min: 1,
            max: u32::MAX.into(),
            because: "",
            found,
        };
        at(format!("contracts[{i}].version"), problem)
    })
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
    for principal in policy.principals() {
        let organisation = principal.organisation.as_str();
        let known = &document.organisations;
        if !known.iter().any(|known| known.name == organisation) {
            let organisation = organisation.to_owned();
            return Err(at(
                path,
                Problem::PolicyOfUnknownOrganisation { organisation },
            ));
        }
    }
    if !policy.satisfied_by(members) {
        let policy = policy.to_string();
        return Err(at(path, Problem::UnsatisfiablePolicy { policy }));
    }
    Ok(policy)
}
