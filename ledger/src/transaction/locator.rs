//! How a transaction of the chain is named: by its id, or by its place, which
//! also reaches what came again under an id.

use std::fmt;
use std::str::FromStr;

use crate::proposal::TransactionId;
use crate::rwset::Version;

/// A transaction of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locator {
    /// The first with this id.
    Id(TransactionId),
    /// The one at this place.
    Place(Version),
}

/// A text that names no transaction.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{found:?} names no transaction: an id of 64 hexadecimal digits does, or a place such as 5.0 (block 5, position 0)"
)]
pub struct ParseLocatorError {
    /// The text, cut after 80 characters.
    pub found: String,
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Place(place) => write!(f, "{}.{}", place.block, place.index),
        }
    }
}

impl FromStr for Locator {
    type Err = ParseLocatorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = || {
            let (block, index) = text.split_once('.')?;
            let (block, index) = (block.parse().ok()?, index.parse().ok()?);
            Some(Self::Place(Version { block, index }))
        };
        let id = text.parse().map(Self::Id).ok();
        id.or_else(place).ok_or_else(|| ParseLocatorError {
            found: text.chars().take(80).collect(),
        })
    }
}

impl From<&TransactionId> for Locator {
    fn from(id: &TransactionId) -> Self {
        Self::Id(*id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_named_by_its_id_or_by_its_place() {
        for name in ["5.0".to_owned(), "0.7".to_owned(), "ab".repeat(32)] {
            let locator: Locator = name.parse().unwrap();
            assert_eq!(locator.to_string(), name);
        }
        for bad in [
            "",
            "5",
            "5.",
            ".0",
            "5.-1",
            "5.4294967296",
            "a.b",
            &"ab".repeat(31),
        ] {
            assert!(bad.parse::<Locator>().is_err(), "{bad}");
        }
    }
}
