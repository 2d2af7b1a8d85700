//! Why a test network did not do what was asked.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crypto::{KeyError, KeyFileError};
use genesis::GenesisError;
use node::home::HomeError;

/// Why a test network did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TestnetError {
    /// The operating system refused something.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was to be done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A number of nodes that makes no network.
    #[error("expected 1 to {max} nodes, found {found}")]
    BadSize {
        /// The most that are possible.
        max: u32,
        /// The number asked for.
        found: u32,
    },
    /// There is no network in the folder.
    #[error(
        "there is no network in {path}: `logothete testnet up` makes one, `--network` names another folder"
    )]
    NoNetwork {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else than a network.
    #[error("{path} is not empty and holds no network: name another folder with `--network`")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// What was left of a network whose removal was interrupted.
    #[error(
        "the removal of the network in {path} was interrupted: finish it with `logothete testnet down --wipe`"
    )]
    HalfRemoved {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a network of another size.
    #[error(
        "{path} holds a network of {found} nodes, not of {wanted}: leave out the number, or remove \
         the network with `logothete testnet down --wipe`"
    )]
    OtherSize {
        /// The folder.
        path: PathBuf,
        /// Its number of nodes.
        found: usize,
        /// The number asked for.
        wanted: u32,
    },
    /// The network is up already.
    #[error(
        "the network in {path} is running already ({running}): `logothete testnet status` shows it, \
         `logothete testnet down` stops it"
    )]
    AlreadyRunning {
        /// The folder.
        path: PathBuf,
        /// What runs.
        running: String,
    },
    /// Another command works on the folder.
    #[error("another command is working on the network in {path}: try again when it is done")]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// `network.toml` is wrong.
    #[error("{path}: {reason}")]
    BadNetworkFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No node of this name or number.
    #[error("there is no node {node:?}: the nodes are {known}")]
    NoSuchNode {
        /// What was asked for.
        node: String,
        /// Those that exist.
        known: String,
    },
    /// The node is no process of this machine.
    #[error("{name} has no home in this folder: it runs elsewhere and cannot be managed here")]
    Elsewhere {
        /// The node.
        name: String,
    },
    /// Somebody else has the place of a node that was to be started.
    #[error(
        "{name} is stopped, and another process answers at {api}: it may have been started by hand"
    )]
    AnsweredByAnother {
        /// Which one.
        name: String,
        /// Where its API would be.
        api: String,
    },
    /// The node does not run.
    #[error("{name} is not running: `logothete testnet restart {name}` starts it")]
    NotRunning {
        /// The node.
        name: String,
    },
    /// A node stopped instead of starting.
    #[error("{name} stopped before it was ready; the end of {log}:\n{tail}")]
    Exited {
        /// The node.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// Nodes run but did not become ready in time.
    #[error(
        "{names} did not become ready within {} s: `logothete testnet logs NODE` may say why",
        within.as_secs()
    )]
    NotReady {
        /// The nodes.
        names: String,
        /// How long they had.
        within: Duration,
    },
    /// Not enough free ports.
    #[error("found no {count} free ports on 127.0.0.1")]
    NoPorts {
        /// How many it takes.
        count: usize,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The document that was made is refused: our own mistake, or a name that cannot be one.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A home cannot be made or read.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A key file cannot be written.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The error that `operation` on `path` failed.
pub(crate) fn io_error(
    operation: &'static str,
    path: &Path,
    source: impl Into<io::Error>,
) -> TestnetError {
    TestnetError::Io {
        operation,
        path: path.to_owned(),
        source: source.into(),
    }
}
