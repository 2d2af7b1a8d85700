//! `_members`: who belongs to which organisation, with which key.
//!
//! An organisation's admins enrol, revoke and rotate the members of their own
//! organisation. A name, once given, is that member's for ever: what belongs to a
//! name in some contract cannot be taken over by another. A key, once used, is
//! never used again. Peers are replicas, and their keys are those of genesis: they
//! can be revoked, and neither enrolled nor rotated.

use crypto::codec::{Decode, Encode};
use crypto::{PublicKey, decode, encode};
use serde_json::json;

use super::super::{Context, Contract, ContractError, Function, json};
use super::must_be_admin;
use crate::identity::{Identity, OrgId, Role};
use crate::members::Member;
use crate::names::is_member_name;
use crate::state::MEMBERS;

/// The contract that keeps the members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemMembers;

const FUNCTIONS: &[Function] = &[
    Function {
        name: "enroll",
        args: &["name", "role", "key"],
    },
    Function {
        name: "revoke",
        args: &["name"],
    },
    Function {
        name: "rotate",
        args: &["name", "key"],
    },
];

/// Where it stands which key a name has.
pub(crate) fn name_key(name: &str) -> String {
    format!("name/{name}")
}

/// Where it stands how many admins an organisation has.
pub(crate) fn admins_key(organisation: &OrgId) -> String {
    format!("admins/{organisation}")
}

impl Contract for SystemMembers {
    fn name(&self) -> &'static str {
        MEMBERS
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
            ("enroll", [name, role, key]) => enroll(context, name, role, key),
            ("revoke", [name]) => revoke(context, name),
            ("rotate", [name, key]) => rotate(context, name, key),
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

fn enroll(
    context: &mut Context<'_>,
    name: &str,
    role: &str,
    key: &str,
) -> Result<Vec<u8>, ContractError> {
    if !is_member_name(name) {
        let found: String = name.chars().take(80).collect();
        return Err(ContractError::failed(format!(
            "{found:?} cannot be a member's name: 1 to 64 lower-case letters, digits or hyphens \
             can, a letter first"
        )));
    }
    let role = match role {
        "admin" => Role::Admin,
        "client" => Role::Client,
        _ => {
            return Err(ContractError::failed(
                "a member is enrolled as client or as admin",
            ));
        }
    };
    if context.get(&name_key(name))?.is_some() {
        return Err(ContractError::failed(format!("the name {name} is taken")));
    }
    let key = unused_key(context, key)?;
    let identity = Identity {
        name: name.to_owned(),
        organisation: context.creator().organisation.clone(),
        role,
        key,
    };
    if role == Role::Admin {
        count_admins(context, &identity.organisation, 1)?;
    }
    put_key(context, &identity)?;
    announce(context, "MemberEnrolled", &identity)
}

fn revoke(context: &mut Context<'_>, name: &str) -> Result<Vec<u8>, ContractError> {
    let Member { identity, revoked } = own_member(context, name)?;
    if revoked {
        return Err(ContractError::failed(format!("{name} is revoked already")));
    }
    retire(context, &identity)?;
    if identity.role == Role::Admin {
        count_admins(context, &identity.organisation, -1)?;
    }
    announce(context, "MemberRevoked", &identity)
}

/// Gives a member another key; one that is revoked comes back with it.
fn rotate(context: &mut Context<'_>, name: &str, key: &str) -> Result<Vec<u8>, ContractError> {
    let Member { identity, revoked } = own_member(context, name)?;
    if identity.role == Role::Peer {
        return Err(ContractError::failed(format!(
            "{name} is a replica, whose key is that of the genesis document"
        )));
    }
    let key = unused_key(context, key)?;
    if !revoked {
        retire(context, &identity)?;
    } else if identity.role == Role::Admin {
        count_admins(context, &identity.organisation, 1)?;
    }
    let identity = Identity { key, ..identity };
    put_key(context, &identity)?;
    announce(context, "MemberRotated", &identity)
}

/// The member of this name, which is one of the caller's organisation.
fn own_member(context: &mut Context<'_>, name: &str) -> Result<Member, ContractError> {
    let organisation = context.creator().organisation.clone();
    let unknown = || ContractError::failed(format!("{organisation} has no member {name:.80}"));
    if !is_member_name(name) {
        return Err(unknown());
    }
    let key: PublicKey = row(context, &name_key(name))?.ok_or_else(unknown)?;
    let member: Member = row(context, &key.to_string())?.ok_or_else(unknown)?;
    if member.identity.organisation != organisation {
        return Err(unknown());
    }
    Ok(member)
}

fn unused_key(context: &mut Context<'_>, text: &str) -> Result<PublicKey, ContractError> {
    let key: PublicKey = text
        .parse()
        .map_err(|_| ContractError::failed("a key is 64 hexadecimal digits"))?;
    key.check_strong()
        .map_err(|_| ContractError::failed("this key is weak: anybody could sign for it"))?;
    // The name is derived from the key, not from the text: there is one row for it.
    if context.get(&key.to_string())?.is_some() {
        return Err(ContractError::failed("this key is or was a member's"));
    }
    Ok(key)
}

/// What this key signs from now on does not count.
fn retire(context: &mut Context<'_>, identity: &Identity) -> Result<(), ContractError> {
    let retired = Member {
        identity: identity.clone(),
        revoked: true,
    };
    context.put(&identity.key.to_string(), encode(&retired))
}

fn put_key(context: &mut Context<'_>, identity: &Identity) -> Result<(), ContractError> {
    let member = Member {
        identity: identity.clone(),
        revoked: false,
    };
    context.put(&identity.key.to_string(), encode(&member))?;
    context.put(&name_key(&identity.name), encode(&identity.key))
}

/// An organisation keeps an admin, or nobody could ever enrol one.
fn count_admins(
    context: &mut Context<'_>,
    organisation: &OrgId,
    change: i32,
) -> Result<(), ContractError> {
    let key = admins_key(organisation);
    let before: u32 = row(context, &key)?.unwrap_or(0);
    match before.checked_add_signed(change) {
        None | Some(0) => Err(ContractError::failed(format!(
            "{organisation} would be without an admin"
        ))),
        Some(after) => context.put(&key, encode(&after)),
    }
}

fn row<T: Decode<()> + Encode>(
    context: &mut Context<'_>,
    key: &str,
) -> Result<Option<T>, ContractError> {
    let Some(found) = context.get(key)? else {
        return Ok(None);
    };
    let row = decode(&found, found.len());
    row.map(Some)
        .map_err(|error| ContractError::failed(format!("the row {key} is damaged: {error}")))
}

fn announce(
    context: &mut Context<'_>,
    event: &str,
    identity: &Identity,
) -> Result<Vec<u8>, ContractError> {
    let shown = json!({
        "key": identity.key.to_string(),
        "name": identity.name,
        "organisation": identity.organisation.to_string(),
        "role": identity.role.to_string(),
    });
    context.event(event, json(&shown))?;
    Ok(json(&shown))
}
