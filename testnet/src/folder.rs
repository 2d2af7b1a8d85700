//! The folder of a network and what lies in it.
//!
//! ```text
//! genesis.json     the genesis document
//! network.toml     the nodes and where their HTTP APIs are
//! keys/NAME.pem    who can sign
//! nodes/NAME/      of a local network: a home per node, with node.log and node.pid
//! ```
//!
//! Commands leave `light.json` and `pending/ID.json` there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use genesis::Genesis;
use node::home::{Home, read_genesis, sync_folder};
use serde::{Deserialize, Serialize};

use crate::error::{TestnetError, io_error};
use crate::process::{Process, ProcessIdentity};

/// The text of `network.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkDocument {
    pub(crate) nodes: Vec<NodeEntry>,
}

/// A node of the network, as its users reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Its replica.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Where its HTTP API is, such as `http://127.0.0.1:8080`.
    pub api: String,
    /// Its home, relative to the folder; none for a node of another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
}

/// A network: its folder, read and checked.
#[derive(Clone, Debug)]
pub struct NetworkFolder {
    path: PathBuf,
    genesis: Genesis,
    nodes: Vec<NodeEntry>,
}

impl NetworkFolder {
    /// Reads the network in `path`.
    ///
    /// # Errors
    ///
    /// When there is none, or its files contradict each other.
    pub fn open(path: &Path) -> Result<Self, TestnetError> {
        if is_half_removed(path)? {
            let path = path.to_owned();
            return Err(TestnetError::HalfRemoved { path });
        }
        let file = network_file(path);
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = path.to_owned();
                return Err(TestnetError::NoNetwork { path });
            }
            read => read.map_err(|source| io_error("read", &file, source))?,
        };
        let bad = |reason: String| TestnetError::BadNetworkFile {
            path: file.clone(),
            reason,
        };
        let document: NetworkDocument =
            toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let genesis = read_genesis(&genesis_file(path))?;
        let replicas = genesis.replicas().iter();
        let expected: Vec<_> = replicas
            .map(|replica| (replica.id.0, &replica.name))
            .collect();
        let entries = document.nodes.iter();
        let found: Vec<_> = entries.map(|node| (node.id, &node.name)).collect();
        if found != expected {
            let reason = "its nodes are not the replicas of genesis.json, in their order";
            return Err(bad(reason.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            genesis,
            nodes: document.nodes,
        })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the network began with.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The nodes, by ascending id.
    #[must_use]
    pub fn nodes(&self) -> &[NodeEntry] {
        &self.nodes
    }

    /// The node of this name or number.
    ///
    /// # Errors
    ///
    /// When there is none, with those that there are.
    pub fn node(&self, name_or_id: &str) -> Result<&NodeEntry, TestnetError> {
        let meant =
            |node: &&NodeEntry| node.name == name_or_id || Ok(node.id) == name_or_id.parse::<u32>();
        self.nodes.iter().find(meant).ok_or_else(|| {
            let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            TestnetError::NoSuchNode {
                node: name_or_id.to_owned(),
                known: names.join(", "),
            }
        })
    }

    /// The key file of whoever is called `name`, whether or not there is one.
    #[must_use]
    pub fn key_file(&self, name: &str) -> PathBuf {
        self.path.join("keys").join(format!("{name}.pem"))
    }

    /// Where a transaction is kept whose outcome is not known.
    #[must_use]
    pub fn pending_file(&self, id: &str) -> PathBuf {
        self.path.join("pending").join(format!("{id}.json"))
    }

    /// The home of a node on this machine.
    ///
    /// # Errors
    ///
    /// When the node runs elsewhere.
    pub fn home(&self, node: &NodeEntry) -> Result<Home, TestnetError> {
        match &node.home {
            Some(home) => Ok(Home::at(&self.path.join(home))),
            None => Err(TestnetError::Elsewhere {
                name: node.name.clone(),
            }),
        }
    }

    /// What a node of this machine says.
    ///
    /// # Errors
    ///
    /// When the node runs elsewhere.
    pub fn log_file(&self, node: &NodeEntry) -> Result<PathBuf, TestnetError> {
        Ok(self.home(node)?.path().join("node.log"))
    }

    pub(crate) fn pid_file(&self, node: &NodeEntry) -> Result<PathBuf, TestnetError> {
        Ok(self.home(node)?.path().join("node.pid"))
    }

    pub(crate) fn lifeline(&self) -> PathBuf {
        self.path.join("lifeline")
    }

    /// The process of a node, if it runs on this machine.
    ///
    /// # Errors
    ///
    /// When its pid file cannot be read.
    pub fn process(&self, node: &NodeEntry) -> Result<Option<Process>, TestnetError> {
        if node.home.is_none() {
            return Ok(None);
        }
        let file = self.pid_file(node)?;
        let identity = ProcessIdentity::read_file(&file);
        let found = identity.and_then(|identity| match identity {
            Some(identity) => identity.find(),
            None => Ok(None),
        });
        found.map_err(|source| io_error("look for the process of", &file, source))
    }

    /// Fails where a node is no process of this machine: nobody knows here whether it runs.
    pub(crate) fn check_is_here(&self) -> Result<(), TestnetError> {
        self.nodes.iter().try_for_each(|node| {
            self.home(node)?;
            Ok(())
        })
    }

    /// Keeps other commands from working on the network until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<FolderLock, TestnetError> {
        lock_folder(&self.path)
    }
}

/// A folder held against other commands.
#[derive(Debug)]
pub(crate) struct FolderLock {
    folder: File,
}

impl Drop for FolderLock {
    /// Unlocks by word: closing is not enough while a process that is just
    /// being started still has a copy of the descriptor.
    fn drop(&mut self) {
        let _closing_does_it_too = self.folder.unlock();
    }
}

/// Holds a folder against other commands.
pub(crate) fn lock_folder(path: &Path) -> Result<FolderLock, TestnetError> {
    let folder = File::open(path).map_err(|source| io_error("open", path, source))?;
    match folder.try_lock() {
        Ok(()) => Ok(FolderLock { folder }),
        Err(TryLockError::WouldBlock) => Err(TestnetError::Busy {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error("lock", path, source)),
    }
}

pub(crate) fn network_file(path: &Path) -> PathBuf {
    path.join("network.toml")
}

pub(crate) fn genesis_file(path: &Path) -> PathBuf {
    path.join("genesis.json")
}

/// What says that a network is being removed: it is made first and goes last.
fn removal_file(path: &Path) -> PathBuf {
    path.join("removing")
}

/// Whether the removal of the network in `path` was begun and not ended. That a part of
/// a network is not there, or not now, says nothing of the kind.
fn is_half_removed(path: &Path) -> Result<bool, TestnetError> {
    let file = removal_file(path);
    let found = file.try_exists();
    found.map_err(|source| io_error("look for", &file, source))
}

/// Removes the network in `path`, all of it and nothing else. A removal that is
/// interrupted can be told from a network, and be finished.
pub(crate) fn remove(path: &Path) -> Result<(), TestnetError> {
    let marker = removal_file(path);
    let made = File::create(&marker).and_then(|file| file.sync_all());
    made.map_err(|source| io_error("create", &marker, source))?;
    sync_folder(path)?;
    let all = [
        "genesis.json",
        "nodes",
        "keys",
        "lifeline",
        "light.json",
        "pending",
        "network.toml",
        "removing",
    ];
    for name in all {
        let entry = path.join(name);
        let removed = match fs::symlink_metadata(&entry) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&entry),
            Ok(_) => fs::remove_file(&entry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| io_error("remove", &entry, source))?;
    }
    match fs::remove_dir(path) {
        // Somebody else's files stay, and so does their folder.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.map_err(|source| io_error("remove", path, source)),
    }
}
