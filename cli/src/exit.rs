//! How a command ends when it does not succeed: an exit code for scripts, a
//! word for programs, sentences for people. The numbers are a promise.

use std::fmt;

use ledger::ValidationCode;
use node::api::ClientError;
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
    /// failure is then in the exit code alone.
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

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { node, reason, .. } => Self::new(
                Exit::Unreachable,
                "UNREACHABLE",
                format!("{node} is not reachable"),
            )
            .cause(reason)
            .hint("`logothete testnet status` shows which nodes run; `--node` picks another"),
            ClientError::Nonsense { node, reason } => {
                Self::failed(format!("{node} gave an answer that is none")).cause(reason)
            }
            ClientError::Refused { status, body } => {
                let exit = match status {
                    404 => Exit::NotFound,
                    429 | 503 => Exit::NotReady,
                    _ => Exit::Refused,
                };
                Self {
                    exit,
                    code: body.code,
                    message: body.message,
                    cause: body.cause,
                    hint: body.hint,
                    is_shown: false,
                }
            }
        }
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
