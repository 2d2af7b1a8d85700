//! Creators of transactions as calls name them: by name, or by public key.

use crypto::PublicKey;
use ledger::members::members;
use ledger::{Ledger, LedgerError};

use super::error::Failure;
use super::present::Names;

/// Somebody who makes transactions.
#[derive(Clone, Debug)]
pub(super) struct Creator {
    /// The keys that are known to be theirs.
    pub(super) keys: Vec<PublicKey>,
    /// As `name@organisation`, where they were asked for by name.
    name: Option<String>,
}

impl Creator {
    /// Whom a text names: a public key stands for itself, a member for all the keys
    /// it has and had.
    pub(super) fn find(ledger: &Ledger, text: &str) -> Result<Self, Failure> {
        if let Ok(key) = text.parse() {
            return Ok(Self {
                keys: vec![key],
                name: None,
            });
        }
        let members = members(&ledger.snapshot()?).map_err(LedgerError::from)?;
        let (mut keys, mut named) = (Vec::new(), None);
        for identity in members.into_iter().map(|member| member.identity) {
            let full = format!("{}@{}", identity.name, identity.organisation);
            // Nobody else has the name, so that it says enough.
            if text == full || text == identity.name {
                keys.push(identity.key);
                named = Some(full);
            }
        }
        if named.is_none() {
            return Err(Failure::not_found(format!("there is no member {text:?}"))
                .hint("/v1/members lists them; who is none is named by public key"));
        }
        Ok(Self { keys, name: named })
    }

    /// Whether this is a key of theirs, also one that they were given since.
    pub(super) fn has(&self, key: &PublicKey, names: &mut Names<'_>) -> Result<bool, LedgerError> {
        if self.keys.contains(key) {
            return Ok(true);
        }
        match &self.name {
            Some(name) => Ok(names.of(key)? == *name),
            None => Ok(false),
        }
    }
}
