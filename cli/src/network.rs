//! The network that a command talks to: its folder, its nodes, its keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crypto::SigningKey;
use genesis::Genesis;
use ledger::{ContractDefinition, EndorsementPolicy};
use node::api::types::ContractAnswer;
use node::api::{ApiClient, ClientError};
use testnet::{NetworkFolder, NodeEntry, Testnet};
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};

/// A node and how to ask it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) entry: NodeEntry,
    pub(crate) client: ApiClient,
    /// It did not answer lately: it is asked where the others do not suffice.
    silent: Arc<AtomicBool>,
}

impl Node {
    /// What a call to this node came to.
    pub(crate) fn heed<T>(&self, answer: &Result<T, ClientError>) {
        let silent = matches!(answer, Err(ClientError::Unreachable { .. }));
        self.silent.store(silent, Ordering::Relaxed);
    }
}

/// A network as its folder describes it; the chosen node comes first.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) folder: NetworkFolder,
    pub(crate) nodes: Vec<Node>,
    /// Whether the user insists on the first one.
    chosen: bool,
    /// The contracts as a node says they are, once somebody has asked.
    contracts: Arc<OnceCell<Vec<ContractDefinition>>>,
}

impl Network {
    pub(crate) fn open(global: &Global) -> Outcome<Self> {
        let folder = NetworkFolder::open(&global.network)?;
        let mut nodes = Vec::new();
        for entry in folder.nodes() {
            nodes.push(Node {
                client: ApiClient::new(&entry.api)?,
                silent: Arc::default(),
                entry: entry.clone(),
            });
        }
        if let Some(wanted) = &global.node {
            let first = folder.node(wanted)?.id;
            nodes.sort_by_key(|node| (node.entry.id != first, node.entry.id));
        }
        Ok(Self {
            folder,
            nodes,
            chosen: global.node.is_some(),
            contracts: Arc::default(),
        })
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        self.folder.genesis()
    }

    /// Who must endorse the transactions of this contract, as far as a node says
    /// so: should it lie, the transaction is invalid or has endorsements to spare.
    pub(crate) async fn policy(&self, contract: &str) -> Option<EndorsementPolicy> {
        let contracts = self.contracts.get_or_init(async || {
            match self.ask(async |node| node.contracts().await).await {
                Ok(answer) => answer.contracts.into_iter().filter_map(defined).collect(),
                Err(_) => self.genesis().contracts().to_vec(),
            }
        });
        let contracts = contracts.await;
        let named = contracts.iter().find(|known| known.name == contract);
        named.map(|known| known.policy.clone())
    }

    /// All nodes, beginning with this one, those last that did not answer lately.
    pub(crate) fn in_turn(&self, first: usize) -> Vec<&Node> {
        let count = self.nodes.len();
        let mut nodes: Vec<&Node> = (0..count)
            .map(|i| &self.nodes[(first + i) % count])
            .collect();
        nodes.sort_by_key(|node| node.silent.load(Ordering::Relaxed));
        nodes
    }

    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Outcome<SigningKey> {
        let path = self.folder.key_file(name);
        SigningKey::read_file(&path).map_err(|error| {
            let known = self.key_names().join(", ");
            Failure::new(Exit::Usage, "NO_KEY", format!("no key to sign as {name}"))
                .cause(error)
                .hint(format!("the keys there are: {known}"))
        })
    }

    fn key_names(&self) -> Vec<String> {
        let keys = self.folder.path().join("keys");
        let entries = std::fs::read_dir(keys).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(name.strip_suffix(".pem")?.to_owned())
            })
            .collect();
        names.sort();
        names
    }

    /// Asks the chosen node, or else one after the other until one is reached.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
    ) -> Outcome<T> {
        let mut last = None;
        for node in &self.nodes {
            match question(&node.client).await {
                Err(error @ (ClientError::Unreachable { .. } | ClientError::Nonsense { .. })) => {
                    last = Some(error);
                }
                answered => return Ok(answered?),
            }
            if self.chosen {
                break;
            }
        }
        Err(match last {
            Some(error) if self.chosen => error.into(),
            last => Failure::new(Exit::Unreachable, "UNREACHABLE", "no node is reachable")
                .cause(last.map_or_else(String::new, |error| error.to_string()))
                .hint("`logothete testnet up --detach` starts them"),
        })
    }
}

fn defined(answer: ContractAnswer) -> Option<ContractDefinition> {
    let policy = answer.policy.parse().ok()?;
    Some(ContractDefinition {
        name: answer.name,
        version: answer.version,
        policy,
    })
}

/// The network as a set of processes.
pub(crate) fn testnet(global: &Global) -> Outcome<Testnet> {
    Ok(Testnet::open(&global.network, own_binary()?)?)
}

/// This program, which nodes are started from.
pub(crate) fn own_binary() -> Outcome<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Failure::failed("cannot find this program's own file").cause(error))
}
