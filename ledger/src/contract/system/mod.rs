//! The contracts of the system: what they write decides what other transactions
//! may do, so that no endorser is believed. Every node executes them itself, in
//! their place of the order, and only what comes out of that takes effect
//! (`validation`).
//!
//! Their names are those of the namespaces that they keep.

mod contracts;
mod members;

pub(crate) use contracts::{ORGANISATIONS, SystemContracts};
pub(crate) use members::{SystemMembers, admins_key, name_key};

use super::{Context, Contract, ContractError};
use crate::identity::Role;
use crate::state::{CONTRACTS, MEMBERS};

/// The system contract of this name.
pub(crate) fn system(name: &str) -> Option<&'static dyn Contract> {
    match name {
        MEMBERS => Some(&SystemMembers),
        CONTRACTS => Some(&SystemContracts),
        _ => None,
    }
}

/// Who speaks for an organisation.
fn must_be_admin(context: &Context<'_>) -> Result<(), ContractError> {
    let creator = context.creator();
    if creator.role == Role::Admin {
        return Ok(());
    }
    let (name, organisation, role) = (&creator.name, &creator.organisation, creator.role);
    Err(ContractError::failed(format!(
        "{name} of {organisation} is a {role}, and only admins do this"
    )))
}
