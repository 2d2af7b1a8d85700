//! The network that a command talks to: its folder, its nodes, its keys.

use std::path::PathBuf;

use client::{ApiClient, Client, ClientError, Genesis, Node, ReplicaId, SigningKey};
use testnet::{NetworkFolder, Testnet};

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};

/// A network as its folder describes it; the chosen node comes first.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) folder: NetworkFolder,
    pub(crate) client: Client,
}

impl Network {
    pub(crate) fn open(global: &Global) -> Outcome<Self> {
        let folder = NetworkFolder::open(&global.network)?;
        let entries = folder.nodes().iter();
        let mut nodes: Vec<_> = entries
            .map(|entry| (ReplicaId(entry.id), &entry.api))
            .collect();
        if let Some(wanted) = &global.node {
            let first = folder.node(wanted)?.id;
            nodes.sort_by_key(|(id, _)| (id.0 != first, *id));
        }
        let mut client = Client::new(folder.genesis().clone(), nodes)?;
        if global.node.is_some() {
            client = client.insisting();
        }
        Ok(Self { folder, client })
    }

    pub(crate) fn genesis(&self) -> &Genesis {
        self.client.genesis()
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        self.client.nodes()
    }

    /// Asks the chosen node, or else one after the other until one is reached.
    pub(crate) async fn ask<T>(
        &self,
        question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
    ) -> Outcome<T> {
        Ok(self.client.ask(question).await?)
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
