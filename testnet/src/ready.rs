//! Waiting until nodes answer: they are asked, their logs are not read.

use std::time::Duration;

use node::api::ApiClient;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::TestnetError;
use crate::folder::NodeEntry;
use crate::up::Testnet;

/// The pause between two questions to a node that is not ready.
const PAUSE: Duration = Duration::from_millis(50);

/// How long nodes that can serve may take to be connected to all others.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

impl Testnet {
    /// Returns when all of `nodes` can serve: each has synced and reaches a
    /// quorum of the others.
    ///
    /// # Errors
    ///
    /// When one of them ends, or the time is over.
    pub async fn wait_ready(
        &self,
        nodes: &[&NodeEntry],
        within: Duration,
    ) -> Result<(), TestnetError> {
        self.wait_for("/readyz", nodes, within).await
    }

    /// Returns when all of `nodes` answer, whether or not they can serve: a
    /// node without a quorum of others answers and is not ready.
    ///
    /// # Errors
    ///
    /// When one of them ends, or the time is over.
    pub async fn wait_answering(
        &self,
        nodes: &[&NodeEntry],
        within: Duration,
    ) -> Result<(), TestnetError> {
        self.wait_for("/healthz", nodes, within).await
    }

    /// Returns when all of `nodes` are connected to each other, or after a while without:
    /// a quorum suffices to begin, but whoever is not connected yet misses the beginning,
    /// and has to catch up.
    pub(crate) async fn await_connections(nodes: &[&NodeEntry]) {
        let ids: Vec<u32> = nodes.iter().map(|node| node.id).collect();
        let all = async {
            for node in nodes {
                let Ok(client) = ApiClient::new(&node.api) else {
                    continue;
                };
                while !is_connected_to(&client, &ids).await {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        // Without, it is as after the loss of a link: for the nodes to deal with.
        let _ = timeout(CONNECTED_WITHIN, all).await;
    }

    async fn wait_for(
        &self,
        path: &'static str,
        nodes: &[&NodeEntry],
        within: Duration,
    ) -> Result<(), TestnetError> {
        let mut waiting: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
        let mut tasks = JoinSet::new();
        for node in nodes {
            let (testnet, node) = (self.clone(), (*node).clone());
            tasks.spawn(async move { testnet.wait_for_one(path, node).await });
        }
        let all = async {
            while let Some(done) = tasks.join_next().await {
                let name = done.expect("waiting neither panics nor is cancelled")?;
                waiting.retain(|other| *other != name);
            }
            Ok(())
        };
        match timeout(within, all).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TestnetError::NotReady {
                names: waiting.join(", "),
                within,
            }),
        }
    }

    async fn wait_for_one(&self, path: &str, node: NodeEntry) -> Result<String, TestnetError> {
        let url = format!("{}{path}", node.api);
        loop {
            let answer = self.http.get(&url).send().await;
            // Looked at after the question: a stranger on a dead node's port
            // is not taken for it.
            if self.folder.process(&node)?.is_none() {
                return Err(self.exited(&node));
            }
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(node.name);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn is_connected_to(node: &ApiClient, ids: &[u32]) -> bool {
    let status = node.status().await;
    status.is_ok_and(|status| {
        let mut peers = status.peers.iter().filter(|peer| ids.contains(&peer.id));
        peers.all(|peer| peer.connected)
    })
}
