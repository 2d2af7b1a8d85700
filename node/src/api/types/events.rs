//! What streams of events say, and the positions in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A committed and attested block, as a line of the stream of events. Where the
/// stream is filtered it shows what matches; with nothing in it, it says that all
/// is done up to here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlockEvent {
    /// Its number.
    pub block: u64,
    /// Its hash.
    pub hash: String,
    /// The agreed time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// What became of its transactions.
    pub transactions: Vec<TransactionEvent>,
}

/// A transaction, as part of a line of the stream of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionEvent {
    /// Its position in the block, where the stream is filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Its id.
    pub transaction_id: String,
    /// The verdict on it.
    pub code: String,
    /// The contract called.
    pub contract: String,
    /// The function called.
    pub function: String,
    /// What it announced; nothing unless it is valid.
    pub events: Vec<StreamedEvent>,
}

/// What a contract announced, as part of a line of the stream of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamedEvent {
    /// Which of the transaction's events it is, from 0, where the stream is filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its payload, as text.
    pub payload: String,
}

/// How far somebody has come with a stream: `BLOCK`, `BLOCK.INDEX` or
/// `BLOCK.INDEX.EVENT`, and everything up to that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// A block: all of it, if nothing more is said.
    pub block: u64,
    /// A transaction in it and, with a number, one of its events: all of them, if
    /// none is named.
    pub within: Option<(u32, Option<u32>)>,
}

/// A text that is no position.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} is no position: BLOCK, BLOCK.INDEX or BLOCK.INDEX.EVENT is, such as 17.0.2")]
pub struct ParsePositionError {
    /// The text as it came, cut after 80 characters.
    pub found: String,
}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.split('.');
            let block = parts.next()?.parse().ok()?;
            let index = parts.next().map(str::parse).transpose().ok()?;
            let event = parts.next().map(str::parse).transpose().ok()?;
            let within = index.map(|index| (index, event));
            parts.next().is_none().then_some(Self { block, within })
        };
        parse().ok_or_else(|| ParsePositionError {
            found: text.chars().take(80).collect(),
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.block)?;
        if let Some((index, event)) = self.within {
            write!(f, ".{index}")?;
            if let Some(event) = event {
                write!(f, ".{event}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_written_and_nothing_else_is_one() {
        for text in [
            "0",
            "17",
            "17.0",
            "17.3.2",
            "18446744073709551615.4294967295.0",
        ] {
            let position: Position = text.parse().unwrap();
            assert_eq!(position.to_string(), text);
        }
        for bad in [
            "",
            ".",
            "1.",
            "1..2",
            "1.2.3.4",
            "-1",
            "x",
            "1.4294967296",
            " 1",
        ] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
