//! How a command ends when it does not succeed: an exit code for scripts, a
//! word for programs, sentences for people. The numbers are a promise.

use std::fmt;

use client::{ClientError, Transaction, Unverified, ValidationCode};
use node::api::types::ErrorBody;
use node::home::HomeError;
use serde_json::json;
use testnet::TestnetError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Invalid = 3,
    Unknown = 4,
    NotVerified = 5,
    Unreachable = 6,
    Refused = 7,
    NotFound = 8,
    NotReady = 9,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) cause: Option<String>,
    pub(crate) hint: Option<String>,
    /// Whether the command has printed its one JSON document already: the
    /// failure is then in the exit code, and on stderr.
    pub(crate) is_shown: bool,
}

/// What a command ends with.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            cause: None,
            hint: None,
            is_shown: false,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "FAILED", message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    pub(crate) fn not_verified(message: impl Into<String>) -> Self {
        Self::new(Exit::NotVerified, "VERIFICATION_FAILED", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "NOT_FOUND", message)
    }

    /// A transaction that is committed and did not take effect.
    pub(crate) fn invalid(code: ValidationCode, message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, code.as_str(), message)
            .hint(format!("`logothete explain {code}` says more"))
    }

    pub(crate) fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The result that was printed tells it, too.
    pub(crate) fn shown(mut self) -> Self {
        self.is_shown = true;
        self
    }

    /// The error as the one JSON document of a command.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        json!({"error": {
            "code": self.code,
            "message": self.message,
            "cause": self.cause,
            "hint": self.hint,
        }})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {} [{}]", self.message, self.code)?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  cause: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        use client::Error;
        let message = error.to_string();
        match error {
            Error::Node(error) => of_one_node(error),
            Error::Refused { status, body } => refused(status, *body),
            Error::NoNode { last } => {
                Self::new(Exit::Unreachable, "UNREACHABLE", "no node is reachable")
                    .cause(last)
                    .hint("`logothete testnet up --detach` starts them")
            }
            Error::TooFewEndorsers { last } => {
                of_one_node(last).hint("too few endorsers are reachable")
            }
            Error::AlreadyCommitted { id, .. } => Self::new(
                Exit::Refused,
                "ALREADY_COMMITTED",
                format!("transaction {id} is committed already"),
            )
            .hint("`logothete tx receipt` shows what became of it"),
            Error::BadEndorsement { source, .. } => Self::new(
                Exit::Refused,
                "BAD_ENDORSEMENT",
                "an endorser's answer does not hold",
            )
            .cause(source)
            .hint("`--node` picks whom to ask first"),
            Error::Disagreement(disagreement) => Self::new(
                Exit::Refused,
                "ENDORSERS_DISAGREE",
                "the endorsers do not agree on what the proposal does",
            )
            .cause(disagreement),
            Error::Unknown { transaction, last } => unknown(&transaction, last.as_deref()),
            Error::NotVerified(Unverified::Receipt(error)) => {
                Self::not_verified("the node's receipt does not hold").cause(error)
            }
            Error::NotVerified(_) => Self::not_verified(message),
            Error::NoQuorum { quorum, said } => Self::new(
                Exit::NotReady,
                "NO_QUORUM",
                format!("no {quorum} nodes give one answer at one height"),
            )
            .cause(said)
            .hint("a node may be behind, gone or lying: `logothete testnet status` tells which"),
            Error::NoRandomness(error) => {
                Self::failed("the system gives no randomness").cause(error)
            }
            Error::WrongKey { .. } => Self::usage(message).hint("`--as` names who made it"),
            Error::NoNodes | Error::NoSuchReplica { .. } | Error::SameReplica { .. } => {
                Self::failed(message)
            }
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        client::Error::from(error).into()
    }
}

fn of_one_node(error: ClientError) -> Failure {
    match error {
        ClientError::Unreachable { node, reason, .. } => Failure::new(
            Exit::Unreachable,
            "UNREACHABLE",
            format!("{node} is not reachable"),
        )
        .cause(reason)
        .hint("`logothete testnet status` shows which nodes run; `--node` picks another"),
        ClientError::Nonsense { node, reason } => {
            Failure::failed(format!("{node} gave an answer that is none")).cause(reason)
        }
        ClientError::Refused { status, body } => refused(status, *body),
    }
}

fn refused(status: u16, body: ErrorBody) -> Failure {
    let exit = match status {
        404 => Exit::NotFound,
        429 | 503 => Exit::NotReady,
        _ => Exit::Refused,
    };
    Failure {
        exit,
        code: body.code,
        message: body.message,
        cause: body.cause,
        hint: body.hint,
        is_shown: false,
    }
}

fn unknown(transaction: &Transaction, last: Option<&client::Error>) -> Failure {
    let id = transaction.proposal.id();
    let failure = Failure::new(
        Exit::Unknown,
        "TIMED_OUT",
        format!("transaction {id} was handed in, and what became of it is not known yet"),
    )
    .hint("it is safe to hand the same transaction in again: it counts once");
    match last {
        Some(error) => failure.cause(error),
        None => failure,
    }
}

impl From<TestnetError> for Failure {
    fn from(error: TestnetError) -> Self {
        let exit = match &error {
            TestnetError::NoNetwork { .. } | TestnetError::NoSuchNode { .. } => Exit::NotFound,
            TestnetError::NotReady { .. } => Exit::NotReady,
            TestnetError::BadSize { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let code = match exit {
            Exit::NotFound => "NOT_FOUND",
            Exit::NotReady => "NOT_READY",
            Exit::Usage => "USAGE",
            _ => "FAILED",
        };
        Self::new(exit, code, error.to_string())
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<node::NodeError> for Failure {
    fn from(error: node::NodeError) -> Self {
        Self::failed(error.to_string())
    }
}
