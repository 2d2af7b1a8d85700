//! How the nodes are: what the system knows of their processes, and what they
//! say themselves.

use crypto::NetworkId;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::error::TestnetError;
use crate::folder::NodeEntry;
use crate::up::Testnet;

/// How a network is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Hash of the genesis document: the network id.
    pub genesis_hash: NetworkId,
    /// The view that a quorum of nodes is in; none when no quorum agrees.
    pub view: Option<u64>,
    /// The primary of that view.
    pub primary: Option<u32>,
    /// The nodes, by ascending id.
    pub nodes: Vec<NodeStatus>,
}

/// How a node is. What only the node itself knows is absent while it does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its replica.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The number of its process.
    pub pid: Option<u32>,
    /// Whether there is a process; of a node elsewhere, whether it answers.
    pub running: bool,
    /// Whether the process is frozen.
    pub paused: bool,
    /// Where its HTTP API is.
    pub api: String,
    /// Where the other replicas reach it.
    pub p2p: String,
    /// What it says.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its view.
    pub view: Option<u64>,
    /// Its newest block.
    pub height: Option<u64>,
    /// The hash of that block.
    pub block_hash: Option<String>,
    /// The digest of its state after that block.
    pub state_digest: Option<String>,
    /// The last sequence number it executed.
    pub last_executed: Option<u64>,
    /// Its low watermark.
    pub low_watermark: Option<u64>,
    /// Its high watermark.
    pub high_watermark: Option<u64>,
    /// How it was told to misbehave.
    pub fault: Option<String>,
}

impl Testnet {
    /// Looks at every process and asks every node. A node that does not answer
    /// is no error: its status says so.
    ///
    /// # Errors
    ///
    /// When a pid file cannot be read.
    pub async fn status(&self) -> Result<NetworkStatus, TestnetError> {
        let mut tasks = JoinSet::new();
        for node in self.folder.nodes() {
            let (testnet, node) = (self.clone(), node.clone());
            tasks.spawn(async move { testnet.node_status(node).await });
        }
        let outcomes = tasks.join_all().await;
        let mut nodes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        nodes.sort_by_key(|node| node.id);
        let genesis = self.folder.genesis();
        let replicas = genesis.replica_set();
        let views: Vec<u64> = nodes.iter().filter_map(|node| node.answer.view).collect();
        let view = agreed(&views, replicas.quorum());
        let primary = view.map(|view| replicas.primary(consensus::View(view)).0);
        Ok(NetworkStatus {
            genesis_hash: genesis.network_id(),
            view,
            primary,
            nodes,
        })
    }

    async fn node_status(&self, node: NodeEntry) -> Result<NodeStatus, TestnetError> {
        let process = self.folder.process(&node)?;
        let here = node.home.is_some();
        // What answers on the port of a node that does not run is another.
        let answer = if here && process.is_none() {
            None
        } else {
            self.ask(&node).await
        };
        let replica = self.folder.genesis().replica(consensus::ReplicaId(node.id));
        let p2p = replica.and_then(|replica| replica.addresses.first().cloned());
        Ok(NodeStatus {
            running: process.is_some() || (!here && answer.is_some()),
            paused: process.as_ref().is_some_and(crate::Process::is_paused),
            pid: process.map(|process| process.pid()),
            p2p: p2p.unwrap_or_default(),
            id: node.id,
            name: node.name,
            api: node.api,
            answer: answer.unwrap_or_default(),
        })
    }

    async fn ask(&self, node: &NodeEntry) -> Option<Answer> {
        let url = format!("{}/v1/status", node.api);
        let answer = self.http.get(url).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }
}

/// The value that at least `quorum` of `values` have.
fn agreed(values: &[u64], quorum: usize) -> Option<u64> {
    let count = |value: &&u64| values.iter().filter(|other| other == value).count();
    values.iter().find(|value| count(value) >= quorum).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_of_the_network_is_the_view_of_a_quorum() {
        assert_eq!(agreed(&[5, 5, 5, 5], 3), Some(5));
        assert_eq!(agreed(&[4, 5, 5, 5], 3), Some(5));
        assert_eq!(agreed(&[4, 4, 5, 5], 3), None);
        assert_eq!(agreed(&[5, 5], 3), None);
        assert_eq!(agreed(&[], 1), None);
    }
}
