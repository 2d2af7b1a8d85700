//! Looking at what contracts hold and at what was done.

use clap::{Args, Subcommand};
use node::api::types::{Position, VersionAnswer};

use crate::commands::consistency::Consistency;

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// The value of a key
    Get {
        #[command(flatten)]
        key: KeyArgs,
        /// Whose answer it is to be
        #[arg(long, default_value = "local")]
        consistency: Consistency,
    },
    /// The keys of a contract and their values, by ascending key
    List {
        #[command(flatten)]
        range: RangeArgs,
        /// How many rows at most
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least_one)]
        limit: usize,
        /// Whose answer it is to be
        #[arg(long, default_value = "local")]
        consistency: Consistency,
    },
    /// What was written to a key, oldest first
    History {
        #[command(flatten)]
        key: KeyArgs,
    },
}

/// A key of a contract.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgs {
    /// The contract
    pub(crate) contract: String,
    /// The key
    pub(crate) key: String,
}

/// Some keys of a contract; all of them when nothing is said.
#[derive(Clone, Debug, Args)]
pub(crate) struct RangeArgs {
    /// The contract
    pub(crate) contract: String,
    /// What the keys begin with
    #[arg(long, value_name = "P", conflicts_with_all = ["start", "end"])]
    pub(crate) prefix: Option<String>,
    /// The first key
    #[arg(long, value_name = "KEY")]
    pub(crate) start: Option<String>,
    /// The first key beyond
    #[arg(long, value_name = "KEY")]
    pub(crate) end: Option<String>,
    /// Only keys after this one, such as `next` of the list before
    #[arg(long, value_name = "KEY")]
    pub(crate) after: Option<String>,
}

/// Whose transactions.
#[derive(Clone, Debug, Args)]
#[group(id = "whose", required = true, multiple = true, args = ["creator", "contract"])]
pub(crate) struct ListArgs {
    /// Who made them: a member's name, for all keys it has and had, or a public key
    #[arg(long, value_name = "NAME|KEY")]
    pub(crate) creator: Option<String>,
    /// The contract they call
    #[arg(long, value_name = "CONTRACT")]
    pub(crate) contract: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: usize,
    /// The newest block, or BLOCK.INDEX, that is wanted; the list goes back from there
    #[arg(long, value_name = "BLOCK", value_parser = place)]
    pub(crate) from: Option<VersionAnswer>,
}

/// What to watch, and from where on.
#[derive(Clone, Debug, Args)]
pub(crate) struct WatchArgs {
    /// The first block; without it the next one
    #[arg(long, value_name = "N", conflicts_with = "after")]
    pub(crate) from: Option<u64>,
    /// How far one has come already: BLOCK, BLOCK.INDEX or BLOCK.INDEX.EVENT
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<Position>,
    /// Only transactions of this contract
    #[arg(long, value_name = "CONTRACT")]
    pub(crate) contract: Option<String>,
    /// Only events of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
    /// Only transactions of this member or public key
    #[arg(long, value_name = "NAME|KEY")]
    pub(crate) creator: Option<String>,
}

/// A place in the chain; a block stands for its last transaction.
fn place(text: &str) -> Result<VersionAnswer, String> {
    let parse = || {
        let (block, index) = match text.split_once('.') {
            Some((block, index)) => (block, index.parse().ok()?),
            None => (text, u32::MAX),
        };
        let block = block.parse().ok()?;
        Some(VersionAnswer { block, index })
    };
    parse().ok_or_else(|| "expected BLOCK or BLOCK.INDEX, such as 17 or 17.3".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number, at least 1".to_owned())
}
