//! A question that a quorum of nodes must answer alike, at one height: then a
//! correct node is among them that has everything a receipt was ever shown for.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use ledger::SignedProposal;
use node::api::ClientError;
use node::api::types::EvaluateAnswer;

use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;

/// How often the nodes are asked whose heights differ while blocks come.
const ATTEMPTS: usize = 50;

/// The pause before they are asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// What nodes agree or do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// Height, hash of the block, answer.
    Answer(u64, String, String),
    /// Code, message.
    Refusal(String, String),
}

/// The answer of a quorum and who gave it.
pub(crate) async fn evaluate(
    network: &Network,
    signed: &SignedProposal,
) -> Outcome<(EvaluateAnswer, Vec<String>)> {
    let quorum = network.genesis().attesters().quorum();
    let mut last = None;
    let mut said: BTreeMap<Said, Vec<String>> = BTreeMap::new();
    for _ in 0..ATTEMPTS {
        said.clear();
        let answers = join_all(
            network
                .nodes
                .iter()
                .map(|node| node.client.evaluate(signed)),
        );
        for (node, answer) in network.nodes.iter().zip(answers.await) {
            let what = match answer {
                Ok(answer) => Said::Answer(answer.height, answer.block_hash, answer.response),
                Err(ClientError::Refused { status, body }) if status < 500 && status != 429 => {
                    let what = Said::Refusal(body.code.clone(), body.message.clone());
                    last = Some(ClientError::Refused { status, body });
                    what
                }
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            said.entry(what).or_default().push(node.entry.name.clone());
        }
        let agreed = said.iter().find(|(_, nodes)| nodes.len() >= quorum);
        match (agreed, last.take()) {
            (Some((Said::Answer(height, block_hash, response), nodes)), _) => {
                let answer = EvaluateAnswer {
                    response: response.clone(),
                    height: *height,
                    block_hash: block_hash.clone(),
                };
                return Ok((answer, nodes.clone()));
            }
            (Some((Said::Refusal(..), _)), Some(error @ ClientError::Refused { .. })) => {
                return Err(error.into());
            }
            (_, error) => last = error,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(no_quorum(quorum, &said, last))
}

fn no_quorum(
    quorum: usize,
    said: &BTreeMap<Said, Vec<String>>,
    last: Option<ClientError>,
) -> Failure {
    let groups = said.iter().map(|(said, nodes)| {
        let nodes = nodes.join(", ");
        match said {
            Said::Answer(height, _, response) => {
                format!("{nodes} at block {height}: {response:.60}")
            }
            Said::Refusal(code, message) => format!("{nodes}: {code}, {message:.60}"),
        }
    });
    let mut cause: Vec<String> = groups.collect();
    cause.extend(last.map(|error| error.to_string()));
    let message = format!("no {quorum} nodes give one answer at one height");
    Failure::new(Exit::NotReady, "NO_QUORUM", message)
        .cause(cause.join("; "))
        .hint("a node may be behind, gone or lying: `logothete testnet status` tells which")
}
