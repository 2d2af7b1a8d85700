//! What a test network is to be, and the folder that is made of it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use consensus::ReplicaSet;
use crypto::SigningKey;
use genesis::{GenesisBuilder, NewReplica};
use node::config::NodeDocument;
use node::home::{Home, sync_folder};

use crate::error::{TestnetError, io_error};
use crate::folder::{
    NetworkDocument, NetworkFolder, NodeEntry, genesis_file, lock_folder, network_file,
};
use crate::ports::reserve_ports;

/// What a test network is to be: `nodes` replicas of as many organisations, an
/// admin for each, and clients.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The name of the network.
    pub name: String,
    /// How many nodes it has.
    pub nodes: u32,
    /// Who must endorse the transactions of every contract; one node more than may
    /// be faulty, when it is not said.
    pub policy: Option<String>,
    /// The names of the clients: the first is of the first organisation, and so on,
    /// counted round.
    pub clients: Vec<String>,
}

impl Spec {
    /// The clients that a network has unless others are asked for.
    #[must_use]
    pub fn usual_clients() -> Vec<String> {
        ["alice", "bob"].map(str::to_owned).to_vec()
    }

    /// The most nodes.
    pub const MAX_NODES: u32 = {
        assert!(ReplicaSet::MAX_REPLICAS <= u32::MAX as usize);
        #[allow(clippy::cast_possible_truncation, reason = "asserted above")]
        {
            ReplicaSet::MAX_REPLICAS as u32
        }
    };
}

/// A node to be made.
struct NewNode {
    id: u32,
    name: String,
    organisation: String,
    consensus_key: SigningKey,
    transport_key: SigningKey,
    api_port: u16,
    p2p_address: String,
}

/// Makes the folder of a network that does not exist yet: keys, genesis
/// document, homes. The folder appears whole or not at all; what an interrupted
/// attempt left is removed.
///
/// # Errors
///
/// When the folder holds anything, or cannot be written.
pub fn create(path: &Path, spec: &Spec) -> Result<NetworkFolder, TestnetError> {
    if !(1..=Spec::MAX_NODES).contains(&spec.nodes) {
        return Err(TestnetError::BadSize {
            max: Spec::MAX_NODES,
            found: spec.nodes,
        });
    }
    let parent = parent(path);
    fs::create_dir_all(&parent).map_err(|source| io_error("create", &parent, source))?;
    let draft = draft(path);
    make_folder(&draft)?;
    // Held while it is written: a draft that nobody holds is abandoned.
    let lock = lock_folder(&draft)?;
    clear(&draft)?;
    let ports = reserve_ports(2 * spec.nodes as usize, path)?;
    write(&draft, spec, &ports)?;
    sync_folder(&draft)?;
    fs::rename(&draft, path).map_err(|source| match source.kind() {
        io::ErrorKind::DirectoryNotEmpty => TestnetError::Foreign {
            path: path.to_owned(),
        },
        _ => io_error("create", path, source),
    })?;
    sync_folder(&parent)?;
    drop(lock);
    NetworkFolder::open(path)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where the folder is written before it takes its place: beside it, on the
/// same file system.
pub(crate) fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".logothete-draft");
    parent(path).join(name)
}

fn make_folder(path: &Path) -> Result<(), TestnetError> {
    match DirBuilder::new().mode(0o700).create(path) {
        // A link may lead to where everything is somebody's.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                && fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) =>
        {
            Ok(())
        }
        made => made.map_err(|source| io_error("create", path, source)),
    }
}

/// Removes what an interrupted attempt left in its draft: keys that were never used.
fn clear(draft: &Path) -> Result<(), TestnetError> {
    let entries = fs::read_dir(draft).map_err(|source| io_error("read", draft, source))?;
    for entry in entries {
        let path = entry
            .map_err(|source| io_error("read", draft, source))?
            .path();
        let removed = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(|source| io_error("remove", &path, source))?;
    }
    Ok(())
}

/// Writes everything into the empty folder `path`; each node takes two of `ports`.
fn write(path: &Path, spec: &Spec, ports: &[u16]) -> Result<(), TestnetError> {
    let nodes = new_nodes(ports)?;
    let mut builder = GenesisBuilder::new(&spec.name).testing(true);
    let keys = path.join("keys");
    make_folder(&keys)?;
    for node in &nodes {
        let organisation = &node.organisation;
        let admin = format!("{organisation}-admin");
        let key = new_key(&keys, &admin)?;
        builder = builder
            .admin(organisation, &admin, key)
            .replica(NewReplica {
                name: node.name.clone(),
                organisation: organisation.clone(),
                consensus_key: node.consensus_key.public(),
                transport_key: node.transport_key.public(),
                addresses: vec![node.p2p_address.clone()],
            });
    }
    for (client, node) in spec.clients.iter().zip(nodes.iter().cycle()) {
        builder = builder.client(&node.organisation, client, new_key(&keys, client)?);
    }
    if let Some(policy) = &spec.policy {
        builder = builder.policy(policy);
    }
    let genesis = builder.build()?;
    write_file(&genesis_file(path), &genesis.to_json())?;
    let homes = path.join("nodes");
    make_folder(&homes)?;
    for node in &nodes {
        let config = NodeDocument::new(
            PathBuf::from("../../genesis.json"),
            node.id,
            ([127, 0, 0, 1], node.api_port).into(),
            vec![node.p2p_address.clone()],
        );
        let home = homes.join(&node.name);
        Home::create(&home, &config, &node.consensus_key, &node.transport_key)?;
    }
    let entries = nodes.iter().map(|node| NodeEntry {
        id: node.id,
        name: node.name.clone(),
        api: format!("http://127.0.0.1:{}", node.api_port),
        home: Some(Path::new("nodes").join(&node.name)),
    });
    let document = NetworkDocument {
        nodes: entries.collect(),
    };
    let text = toml::to_string(&document).map_err(|error| TestnetError::BadNetworkFile {
        path: network_file(path),
        reason: error.to_string(),
    })?;
    write_file(&network_file(path), &text)?;
    sync_folder(&keys)?;
    Ok(sync_folder(&homes)?)
}

fn new_nodes(ports: &[u16]) -> Result<Vec<NewNode>, TestnetError> {
    (0..)
        .zip(ports.chunks_exact(2))
        .map(|(id, ports)| {
            Ok(NewNode {
                id,
                name: format!("node{id}"),
                organisation: format!("org{}", id + 1),
                consensus_key: SigningKey::generate()?,
                transport_key: SigningKey::generate()?,
                api_port: ports[0],
                p2p_address: format!("/ip4/127.0.0.1/tcp/{}", ports[1]),
            })
        })
        .collect()
}

fn new_key(folder: &Path, name: &str) -> Result<crypto::PublicKey, TestnetError> {
    let key = SigningKey::generate()?;
    key.write_file(&folder.join(format!("{name}.pem")))?;
    Ok(key.public())
}

fn write_file(path: &Path, text: &str) -> Result<(), TestnetError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| io_error("write", path, source))
}
