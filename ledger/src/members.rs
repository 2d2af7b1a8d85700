//! Who is a member and which contracts there are, as the state says.
//!
//! Both are always read from the state as it is at the place of the order in
//! question, so that whatever changes them holds from the next transaction on.

use crypto::codec::Decode;
use crypto::{PublicKey, decode};

use crate::identity::Identity;
use crate::policy::ContractDefinition;
use crate::state::{CONTRACTS, MEMBERS, StateView};
use crate::store::StoreError;

/// The member with this key.
///
/// # Errors
///
/// When the state cannot be read.
pub fn member(view: &dyn StateView, key: &PublicKey) -> Result<Option<Identity>, StoreError> {
    row(view, MEMBERS, &key.to_string())
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
    row(view, CONTRACTS, name)
}

fn row<T: Decode<()>>(
    view: &dyn StateView,
    namespace: &'static str,
    key: &str,
) -> Result<Option<T>, StoreError> {
    let Some(found) = view.get(namespace, key)? else {
        return Ok(None);
    };
    match decode(&found.value, found.value.len()) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(StoreError::BadRow {
            namespace,
            key: key.to_owned(),
            what: error.to_string(),
        }),
    }
}
