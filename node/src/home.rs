//! The home of a node: a folder with everything that is one replica's own.
//!
//! ```text
//! node.toml        what this node may choose for itself
//! consensus.pem    the key it votes, endorses and attests with
//! transport.pem    the key it proves itself with on connections
//! new-identity     an empty file: this replica has never voted
//! votes-lost       an empty file: this replica has voted and does not know what
//! data/            its ledger and its votes
//! LOCK             held while a node runs here
//! ```
//!
//! A replica that lost its database must not vote as if it had never voted: it
//! could contradict itself. So an absent database means a new replica only while
//! `new-identity` is there, and that file goes once the database is on disk. When
//! it is gone too, `votes-lost` says so from before a new database is made until
//! that database says it itself.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use consensus::ReplicaId;
use crypto::{KeyFileError, PublicKey, SigningKey};
use genesis::{Document, Genesis, GenesisError};

use crate::config::{ConfigError, NodeConfig, NodeDocument};

/// A `node.toml` is a few lines; what is longer is not one.
const MAX_CONFIG_BYTES: u64 = 64 * 1024;

/// Why a home cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The operating system refused something.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was to be done.
        operation: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `node.toml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The genesis document is wrong.
    #[error("{path}: {source}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GenesisError,
    },
    /// A key file is wrong.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The genesis document has no such replica.
    #[error("{path}: id: the genesis document has the replicas 0 to {last}, found {id}")]
    NoSuchReplica {
        /// The configuration.
        path: PathBuf,
        /// The id in it.
        id: u32,
        /// The last replica of the genesis document.
        last: usize,
    },
    /// A key file holds another key than the genesis document names.
    #[error(
        "{path} holds the key {found}, but the genesis document names {expected} as {field} of \
         replica {id}: put that key here, or correct `id` in node.toml"
    )]
    WrongKey {
        /// The key file.
        path: PathBuf,
        /// The field of the replica in the genesis document.
        field: &'static str,
        /// The replica.
        id: ReplicaId,
        /// The key in the genesis document.
        expected: PublicKey,
        /// The key in the file.
        found: PublicKey,
    },
    /// Another process runs here.
    #[error("another node is running in {path}: stop it first")]
    InUse {
        /// The home.
        path: PathBuf,
    },
}

/// What a replica has behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// It has never voted: it starts at the beginning.
    None,
    /// It remembers all its votes.
    Kept,
    /// It may have voted and does not know what: it must listen before it votes.
    Lost,
}

/// The folder and where everything lies in it.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

/// A home with everything read and checked, held against other processes
/// until it is dropped.
#[derive(Debug)]
pub struct OpenHome {
    /// Where everything lies.
    pub home: Home,
    /// What the node chose for itself.
    pub config: NodeConfig,
    /// What the network agreed on.
    pub genesis: Genesis,
    /// The key it signs with: the one that genesis names.
    pub consensus_key: SigningKey,
    /// The key it connects with: the one that genesis names.
    pub transport_key: SigningKey,
    /// What the replica has behind it.
    pub past: Past,
    _lock: HomeLock,
}

/// A home held against other processes.
#[derive(Debug)]
struct HomeLock {
    file: File,
}

impl Drop for HomeLock {
    /// Unlocks by word: closing is not enough while a process that is just
    /// being started still has a copy of the descriptor.
    fn drop(&mut self) {
        let _closing_does_it_too = self.file.unlock();
    }
}

impl Home {
    /// The home at `path`, whether or not there is one.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Makes the home of a new replica in a folder that does not exist yet.
    ///
    /// # Errors
    ///
    /// When the folder exists or cannot be written.
    pub fn create(
        path: &Path,
        config: &NodeDocument,
        consensus_key: &SigningKey,
        transport_key: &SigningKey,
    ) -> Result<Self, HomeError> {
        let home = Self::at(path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(|source| io_error("create", path, source))?;
        consensus_key.write_file(&home.consensus_key())?;
        transport_key.write_file(&home.transport_key())?;
        let text = toml::to_string(config)
            .map_err(|error| io_error("write", &home.config(), io::Error::other(error)))?;
        write_new(&home.config(), text.as_bytes())?;
        write_new(&home.new_identity(), b"")?;
        sync_folder(path)?;
        Ok(home)
    }

    /// Reads and checks everything a node needs to start, and holds the home
    /// against other processes.
    ///
    /// # Errors
    ///
    /// [`HomeError`], which names the file and what to do.
    pub fn open(self) -> Result<OpenHome, HomeError> {
        let text = read_limited(&self.config(), MAX_CONFIG_BYTES)?;
        let text = String::from_utf8_lossy(&text);
        let config = NodeConfig::parse(&self.config(), &text)?;
        let genesis = read_genesis(config.genesis())?;
        let Some(replica) = genesis.replica(config.id()) else {
            return Err(HomeError::NoSuchReplica {
                path: self.config(),
                id: config.id().0,
                last: genesis.replicas().len() - 1,
            });
        };
        let named = Named {
            field: "consensus_key",
            key: replica.consensus_key,
            id: replica.id,
        };
        let consensus_key = named.read(&self.consensus_key())?;
        let named = Named {
            field: "transport_key",
            key: replica.transport_key,
            id: replica.id,
        };
        let transport_key = named.read(&self.transport_key())?;
        let lock = self.lock()?;
        let past = self.past()?;
        Ok(OpenHome {
            home: self,
            config,
            genesis,
            consensus_key,
            transport_key,
            past,
            _lock: lock,
        })
    }

    /// Where the home is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `node.toml`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// The key file for votes, endorsements and attestations.
    #[must_use]
    pub fn consensus_key(&self) -> PathBuf {
        self.path.join("consensus.pem")
    }

    /// The key file for connections.
    #[must_use]
    pub fn transport_key(&self) -> PathBuf {
        self.path.join("transport.pem")
    }

    /// The database.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The marker of a replica that has never voted.
    #[must_use]
    pub fn new_identity(&self) -> PathBuf {
        self.path.join("new-identity")
    }

    /// The marker of a replica that has lost what it voted.
    #[must_use]
    pub fn votes_lost(&self) -> PathBuf {
        self.path.join("votes-lost")
    }

    /// Removes the marker of a replica that has never voted, for good: to be
    /// called once the database is on disk and before the first vote.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn end_new_identity(&self) -> Result<(), HomeError> {
        self.remove_marker(&self.new_identity())
    }

    /// Marks this replica as one that has lost what it voted: to be called
    /// before a database is made in the place of the lost one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn begin_lost_votes(&self) -> Result<(), HomeError> {
        let marker = self.votes_lost();
        if !exists(&marker)? {
            write_new(&marker, b"")?;
        }
        sync_folder(&self.path)
    }

    /// Removes that mark: to be called once the loss is on record in the new
    /// database.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn end_lost_votes(&self) -> Result<(), HomeError> {
        self.remove_marker(&self.votes_lost())
    }

    fn remove_marker(&self, marker: &Path) -> Result<(), HomeError> {
        match fs::remove_file(marker) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(|source| io_error("remove", marker, source))?,
        }
        sync_folder(&self.path)
    }

    /// What the replica has behind it. An empty `data` folder is no database:
    /// whoever emptied it took the memory of the votes.
    fn past(&self) -> Result<Past, HomeError> {
        if exists(&self.votes_lost())? {
            return Ok(Past::Lost);
        }
        // RocksDB makes this file with the database and never removes it.
        if exists(&self.data().join("rocksdb/CURRENT"))? {
            return Ok(Past::Kept);
        }
        let never_voted = exists(&self.new_identity())?;
        Ok(if never_voted { Past::None } else { Past::Lost })
    }

    fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.path.join("LOCK");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(HomeLock { file }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path, source)),
        }
    }
}

/// Reads and checks the genesis document at `path`.
///
/// # Errors
///
/// When it cannot be read, or describes no network.
pub fn read_genesis(path: &Path) -> Result<Genesis, HomeError> {
    // One byte more than allowed, so that a longer file is seen to be longer.
    let json = read_limited(path, Document::MAX_BYTES as u64 + 1)?;
    Genesis::from_json(&json).map_err(|source| HomeError::Genesis {
        path: path.to_owned(),
        source,
    })
}

/// Makes what was created or removed in a folder outlast a power cut.
///
/// # Errors
///
/// When the operating system refuses.
pub fn sync_folder(path: &Path) -> Result<(), HomeError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| io_error("sync", path, source))
}

/// A key as the genesis document names it.
struct Named {
    field: &'static str,
    key: PublicKey,
    id: ReplicaId,
}

impl Named {
    /// Reads the private half from `path`.
    fn read(&self, path: &Path) -> Result<SigningKey, HomeError> {
        let key = SigningKey::read_file(path)?;
        let found = key.public();
        if found == self.key {
            return Ok(key);
        }
        Err(HomeError::WrongKey {
            path: path.to_owned(),
            field: self.field,
            id: self.id,
            expected: self.key,
            found,
        })
    }
}

fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, HomeError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| io_error("read", path, source))?;
    Ok(bytes)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let mut file = File::create_new(path).map_err(|source| io_error("create", path, source))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| io_error("write", path, source))
}

fn exists(path: &Path) -> Result<bool, HomeError> {
    path.try_exists()
        .map_err(|source| io_error("look for", path, source))
}

fn io_error(operation: &'static str, path: &Path, source: io::Error) -> HomeError {
    HomeError::Io {
        operation,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use genesis::{GenesisBuilder, NewReplica};
    use tempfile::TempDir;

    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&[byte; 32])
    }

    /// A folder with a genesis document of one replica and its home.
    fn network() -> (TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let replica = NewReplica {
            name: "node0".to_owned(),
            organisation: "org1".to_owned(),
            consensus_key: key(1).public(),
            transport_key: key(2).public(),
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
        };
        let genesis = GenesisBuilder::new("example").replica(replica);
        let json = genesis.build().unwrap().to_json();
        fs::write(folder.path().join("genesis.json"), json).unwrap();
        let config = NodeDocument::new(
            PathBuf::from("../genesis.json"),
            0,
            ([127, 0, 0, 1], 8080).into(),
            vec!["/ip4/127.0.0.1/tcp/4001".to_owned()],
        );
        let path = folder.path().join("node0");
        let home = Home::create(&path, &config, &key(1), &key(2)).unwrap();
        (folder, home)
    }

    fn past(home: &Home) -> Past {
        home.clone().open().unwrap().past
    }

    #[test]
    fn a_home_that_was_made_can_be_opened() {
        let (_folder, home) = network();
        let open = home.open().unwrap();
        assert_eq!(open.consensus_key.public(), key(1).public());
        assert_eq!(open.transport_key.public(), key(2).public());
        assert_eq!(open.config.id(), ReplicaId(0));
        assert_eq!(open.past, Past::None);
    }

    /// The rule that keeps a replica from voting twice: without database and
    /// without the marker it has lost what it voted.
    #[test]
    fn a_replica_without_database_is_new_only_while_the_marker_says_so() {
        let (_folder, home) = network();
        assert_eq!(past(&home), Past::None);
        fs::create_dir(home.data()).unwrap();
        assert_eq!(past(&home), Past::None, "an empty folder is no database");
        fs::create_dir_all(home.data().join("rocksdb")).unwrap();
        fs::write(home.data().join("rocksdb/CURRENT"), "").unwrap();
        assert_eq!(past(&home), Past::Kept, "a crash before the marker went");
        home.end_new_identity().unwrap();
        home.end_new_identity().unwrap();
        assert_eq!(past(&home), Past::Kept);
        fs::remove_file(home.data().join("rocksdb/CURRENT")).unwrap();
        assert_eq!(past(&home), Past::Lost, "an emptied folder");
        fs::remove_dir_all(home.data()).unwrap();
        assert_eq!(past(&home), Past::Lost, "a removed folder");
        home.begin_lost_votes().unwrap();
        home.begin_lost_votes().unwrap();
        fs::create_dir_all(home.data().join("rocksdb")).unwrap();
        fs::write(home.data().join("rocksdb/CURRENT"), "").unwrap();
        assert_eq!(
            past(&home),
            Past::Lost,
            "a crash before the loss is on record"
        );
        home.end_lost_votes().unwrap();
        home.end_lost_votes().unwrap();
        assert_eq!(past(&home), Past::Kept);
    }

    #[test]
    fn a_home_is_held_by_one_process_at_a_time() {
        let (_folder, home) = network();
        let open = home.clone().open().unwrap();
        assert!(matches!(home.clone().open(), Err(HomeError::InUse { .. })));
        drop(open);
        assert!(home.open().is_ok());
    }

    #[test]
    fn a_home_is_not_made_over_another() {
        let (_folder, home) = network();
        let config = NodeDocument::new(PathBuf::new(), 0, ([0; 4], 1).into(), Vec::new());
        let again = Home::create(home.path(), &config, &key(3), &key(4));
        assert!(matches!(
            again,
            Err(HomeError::Io {
                operation: "create",
                ..
            })
        ));
        assert!(home.open().is_ok());
    }

    #[test]
    fn what_is_wrong_in_a_home_is_named_with_its_file() {
        let said = |break_it: &dyn Fn(&Home)| {
            let (_folder, home) = network();
            break_it(&home);
            home.open().unwrap_err().to_string()
        };
        let swapped = said(&|home| {
            fs::copy(home.transport_key(), home.consensus_key()).unwrap();
        });
        assert!(swapped.contains("consensus.pem holds the key"), "{swapped}");
        assert!(
            swapped.contains("as consensus_key of replica 0"),
            "{swapped}"
        );
        let missing = said(&|home| fs::remove_file(home.transport_key()).unwrap());
        assert!(missing.contains("transport.pem"), "{missing}");
        let other_id = said(&|home| {
            let text = fs::read_to_string(home.config()).unwrap();
            fs::write(home.config(), text.replace("id = 0", "id = 1")).unwrap();
        });
        assert!(other_id.contains("replicas 0 to 0, found 1"), "{other_id}");
        let no_genesis = said(&|home| {
            fs::remove_file(home.path().parent().unwrap().join("genesis.json")).unwrap();
        });
        assert!(no_genesis.contains("cannot read") && no_genesis.contains("genesis.json"));
        let bad_genesis = said(&|home| {
            fs::write(home.path().parent().unwrap().join("genesis.json"), "{}").unwrap();
        });
        assert!(bad_genesis.contains("missing field"), "{bad_genesis}");
        let nothing = Home::at(Path::new("/nowhere/at/all")).open();
        assert!(nothing.unwrap_err().to_string().contains("node.toml"));
    }
}
