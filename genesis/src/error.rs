//! Why a document is no genesis: always which field, and what was expected of it.

use crypto::PublicKey;

/// Why a document describes no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GenesisError {
    /// Longer than any document needs to be.
    #[error("expected a genesis document of at most {limit} bytes, found {found}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// What came, in bytes.
        found: usize,
    },
    /// Not JSON.
    #[error("the genesis document is not JSON: {reason}")]
    NotJson {
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A field that does not hold what it must.
    #[error("{path}: {problem}")]
    Field {
        /// Where, such as `replicas[2].consensus_key`.
        path: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// A field too many, too few, or of another type.
    #[error("{reason}")]
    Shape {
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A document in another format than this one.
    #[error("expected {known}, the only format this version of logothete knows, found {found}")]
    UnknownFormat {
        /// The format that is known.
        known: u64,
        /// The format of the document.
        found: u64,
    },
    /// A name that could not be a file name, or be taken for a number.
    #[error(
        "expected 1 to 64 characters out of a-z, 0-9 and '-', the first a letter, found {found:?}"
    )]
    BadName {
        /// The name, cut.
        found: String,
    },
    /// What must be the only one of its kind stands elsewhere too.
    #[error("same {what} as {first}")]
    Repeated {
        /// A name, key or address.
        what: &'static str,
        /// The path of the other.
        first: String,
    },
    /// A key under which others could sign.
    #[error("expected a canonical Ed25519 key of large order, found {found}")]
    WeakKey {
        /// The key.
        found: PublicKey,
    },
    /// A replica that stands elsewhere than its id says.
    #[error("expected {expected} (ids are 0, 1, 2 and so on, in order), found {found}")]
    WrongId {
        /// The place in the list.
        expected: usize,
        /// The id.
        found: u64,
    },
    /// An organisation that the document does not have.
    #[error("expected the name of one of the organisations, found {found:?}")]
    UnknownOrganisation {
        /// The name, cut.
        found: String,
    },
    /// A number outside its range.
    #[error("expected {min} to {max}{because}, found {found}")]
    OutOfRange {
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
        /// What an end of the range follows from; empty where it is plain.
        because: &'static str,
        /// The number.
        found: u64,
    },
    /// A list of the wrong length.
    #[error("expected {min} to {max} entries, found {found}")]
    WrongCount {
        /// The fewest that are allowed.
        min: usize,
        /// The most that are allowed.
        max: usize,
        /// The length of the list.
        found: usize,
    },
    /// Not the text of an address.
    #[error("expected a multiaddress such as \"/ip4/127.0.0.1/tcp/4001\", found {found:?}: {why}")]
    BadAddress {
        /// The text, cut.
        found: String,
        /// What it lacks.
        why: &'static str,
    },
    /// A contract that is not built in.
    #[error("expected one of the built-in contracts ({known}), found {found:?}")]
    UnknownContract {
        /// The name, cut.
        found: String,
        /// Those that exist.
        known: String,
    },
    /// Not the text of an endorsement policy.
    #[error("{reason}")]
    BadPolicy {
        /// What the policy parser said.
        reason: String,
    },
    /// A policy that asks for an organisation that does not exist.
    #[error("names the organisation {organisation:?}, which the document does not have")]
    PolicyOfUnknownOrganisation {
        /// Its name.
        organisation: String,
    },
    /// A policy that no members can satisfy, so that no transaction would ever be valid.
    #[error("the members of the document together cannot satisfy {policy}")]
    UnsatisfiablePolicy {
        /// The policy.
        policy: String,
    },
}

/// A text from outside as far as it is worth repeating.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The error that `problem` is at `path`.
pub(crate) fn at(path: impl Into<String>, problem: Problem) -> GenesisError {
    GenesisError::Field {
        path: path.into(),
        problem,
    }
}
