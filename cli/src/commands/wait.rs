//! Waiting until something is so.

use std::str::FromStr;
use std::time::Duration;

use client::{Error, TransactionId};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tokio::time::Instant;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// How long nodes are given to answer when no time is given.
const LEAST: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition {
    /// A quorum of nodes is ready.
    Quorum,
    /// The chain has this block.
    Height(u64),
    /// The view is beyond this one.
    ViewBeyond(u64),
    /// This transaction has a receipt.
    Transaction(TransactionId),
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
        if text == "quorum" {
            Ok(Self::Quorum)
        } else if let Some(height) = text.strip_prefix("height=") {
            number(height).map(Self::Height)
        } else if let Some(view) = text.strip_prefix("view>") {
            number(view).map(Self::ViewBeyond)
        } else if let Some(id) = text.strip_prefix("tx=") {
            id.parse()
                .map(Self::Transaction)
                .map_err(|_| format!("{id:?} is no transaction id"))
        } else {
            Err("expected quorum, height=N, view>V or tx=ID".to_owned())
        }
    }
}

pub(crate) async fn wait(global: &Global, condition: Condition, timeout: Duration) -> Outcome {
    let network = Network::open(global)?;
    let begin = Instant::now();
    let reached = async {
        while !holds(global, &network, condition).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Outcome::Ok(())
    };
    // Asked once, however short the time is: unless nobody answers in it.
    let time = timeout.max(LEAST);
    match tokio::time::timeout(time, reached).await {
        Ok(reached) => reached?,
        Err(_) => return Err(over(condition, timeout)),
    }
    let waited = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let answer = json!({"reached": true, "waited_ms": waited});
    global.output.print(&answer, |_| "reached".to_owned());
    Ok(())
}

fn over(condition: Condition, timeout: Duration) -> Failure {
    let seconds = timeout.as_secs();
    let (exit, what) = match condition {
        Condition::Quorum => (Exit::NotReady, "no quorum of nodes is ready".to_owned()),
        Condition::Height(height) => (Exit::Unknown, format!("block {height} has not come")),
        Condition::ViewBeyond(view) => (Exit::Unknown, format!("the view is not beyond {view}")),
        Condition::Transaction(id) => (Exit::Unknown, format!("{id} has no receipt yet")),
    };
    Failure::new(exit, "TIMED_OUT", format!("{what} after {seconds} s"))
        .hint("`logothete testnet status` shows where the nodes stand")
}

/// Whether it is so at the chosen node, or else at a quorum.
async fn holds(global: &Global, network: &Network, condition: Condition) -> Outcome<bool> {
    if let Condition::Transaction(id) = condition {
        return match network.client.receipt(&id, Duration::from_secs(1)).await {
            Err(error @ Error::NotVerified(_)) => Err(error.into()),
            receipt => Ok(receipt.is_ok()),
        };
    }
    let (nodes, needed) = match global.node {
        Some(_) => (&network.nodes()[..1], 1),
        None => (network.nodes(), network.genesis().replica_set().quorum()),
    };
    let mut answers: FuturesUnordered<_> = nodes
        .iter()
        .map(async |node| match condition {
            Condition::Quorum => node.api().ready().await.is_ok_and(|it| it.ready),
            Condition::Height(height) => {
                let status = node.api().status().await;
                status.is_ok_and(|status| status.certified >= height)
            }
            Condition::ViewBeyond(view) => {
                let status = node.api().status().await;
                status.is_ok_and(|status| status.view > view)
            }
            Condition::Transaction(_) => false,
        })
        .collect();
    // One that stands still keeps nobody waiting whom the others suffice.
    let mut count = 0;
    while count < needed
        && let Some(holds) = answers.next().await
    {
        count += usize::from(holds);
    }
    Ok(count >= needed)
}
