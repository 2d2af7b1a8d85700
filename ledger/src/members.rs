//! Who is a member and which contracts there are, as the state says.
//!
//! Both are always read from the state as it is at the place of the order in
//! question, so that whatever changes them holds from the next transaction on.

use std::sync::Arc;

use crypto::codec::{Decode, Encode};
use crypto::{PublicKey, decode};

use crate::contract::ORGANISATIONS;
use crate::identity::{Identity, OrgId};
use crate::names::is_contract_name;
use crate::policy::ContractDefinition;
use crate::rwset::Version;
use crate::state::{CONTRACTS, MEMBERS, StateView};
use crate::store::StoreError;

/// Somebody whom a key was given to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// Who it is.
    pub identity: Identity,
    /// Whether the key has been taken away again: what it signs does not count.
    pub revoked: bool,
}

/// The member with this key.
///
/// # Errors
///
/// When the state cannot be read.
pub fn member(view: &dyn StateView, key: &PublicKey) -> Result<Option<Member>, StoreError> {
    Ok(view.member(key)?.map(|(member, _)| member.as_ref().clone()))
}

/// What a row of the system says, and where that was written.
pub type SystemRow<T> = Option<(Arc<T>, Version)>;

/// The member with this key, read from the state.
pub(crate) fn member_row(
    view: &(impl StateView + ?Sized),
    key: &PublicKey,
) -> Result<SystemRow<Member>, StoreError> {
    row(view, MEMBERS, &key.to_string())
}

/// Everybody who has or had a key, by key.
///
/// # Errors
///
/// When the state cannot be read.
pub fn members(view: &dyn StateView) -> Result<Vec<Member>, StoreError> {
    let mut members = Vec::new();
    for row in view.range(MEMBERS, "", "") {
        let (key, row) = row?;
        // Other rows of the namespace have a slash in their keys.
        if !key.contains('/') {
            let found = view.with_value(MEMBERS, &key, row)?;
            members.push(parsed(MEMBERS, &key, &found.value)?);
        }
    }
    Ok(members)
}

/// All contracts, by name.
///
/// # Errors
///
/// When the state cannot be read.
pub fn contracts(view: &dyn StateView) -> Result<Vec<ContractDefinition>, StoreError> {
    let mut contracts = Vec::new();
    for row in view.range(CONTRACTS, "", "") {
        let (key, row) = row?;
        if is_contract_name(&key) {
            let found = view.with_value(CONTRACTS, &key, row)?;
            contracts.push(parsed(CONTRACTS, &key, &found.value)?);
        }
    }
    Ok(contracts)
}

/// The contract with this name.
///
/// # Errors
///
/// When the state cannot be read.
pub fn contract(
    view: &dyn StateView,
    name: &str,
) -> Result<Option<ContractDefinition>, StoreError> {
    Ok(view
        .contract(name)?
        .map(|(found, _)| found.as_ref().clone()))
}

/// The contract with this name, read from the state.
pub(crate) fn contract_row(
    view: &(impl StateView + ?Sized),
    name: &str,
) -> Result<SystemRow<ContractDefinition>, StoreError> {
    row(view, CONTRACTS, name)
}

/// The organisations, which are those of genesis.
///
/// # Errors
///
/// When the state cannot be read.
pub fn organisations(view: &dyn StateView) -> Result<Vec<OrgId>, StoreError> {
    let found: SystemRow<Vec<OrgId>> = row(view, CONTRACTS, ORGANISATIONS)?;
    Ok(found
        .map(|(organisations, _)| organisations.to_vec())
        .unwrap_or_default())
}

fn row<T: Decode<()>>(
    view: &(impl StateView + ?Sized),
    namespace: &'static str,
    key: &str,
) -> Result<SystemRow<T>, StoreError> {
    let Some(found) = view.get(namespace, key)? else {
        return Ok(None);
    };
    let row = parsed(namespace, key, &found.value)?;
    Ok(Some((Arc::new(row), found.version)))
}

fn parsed<T: Decode<()>>(
    namespace: &'static str,
    key: &str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    decode(bytes, bytes.len()).map_err(|error| StoreError::BadRow {
        namespace,
        key: key.to_owned(),
        what: error.to_string(),
    })
}
