//! A question that a quorum of nodes must answer alike, at one height: then a
//! correct node is among them that has everything a receipt was ever shown for.

use std::time::Duration;

use futures::future::join_all;
use node::api::types::{ErrorBody, EvaluateAnswer, StateAnswer, StateRangeAnswer};
use node::api::{ApiClient, ClientError};
use serde::Serialize;

use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;

/// How often the nodes are asked whose heights differ while blocks come.
const ATTEMPTS: usize = 50;

/// The pause before they are asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer that says after which block it is the answer: its height, and the hash
/// of the block, are part of what must be alike.
pub(crate) trait Answer: PartialEq {
    /// The block.
    fn height(&self) -> u64;

    /// What tells it from others, for people.
    fn gist(&self) -> String;
}

impl Answer for EvaluateAnswer {
    fn height(&self) -> u64 {
        self.height
    }

    fn gist(&self) -> String {
        self.response.clone()
    }
}

impl Answer for StateAnswer {
    fn height(&self) -> u64 {
        self.height
    }

    fn gist(&self) -> String {
        self.value.clone()
    }
}

impl Answer for StateRangeAnswer {
    fn height(&self) -> u64 {
        self.height
    }

    fn gist(&self) -> String {
        format!("{} rows", self.rows.len())
    }
}

/// An answer and who gave it.
#[derive(Debug, Serialize)]
pub(crate) struct Answered<T> {
    #[serde(flatten)]
    pub(crate) answer: T,
    /// Who gave it, where a quorum did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) answered_by: Vec<String>,
}

/// What nodes agree or do not agree on, and who says it.
struct Said<T> {
    /// An answer, or the status and the reasons of a refusal.
    what: Result<T, (u16, Box<ErrorBody>)>,
    nodes: Vec<String>,
}

/// The answer of a quorum and who gave it.
pub(crate) async fn agreed<T: Answer>(
    network: &Network,
    question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
) -> Outcome<Answered<T>> {
    let quorum = network.genesis().attesters().quorum();
    let mut last = None;
    let mut said: Vec<Said<T>> = Vec::new();
    for _ in 0..ATTEMPTS {
        said.clear();
        last = None;
        let answers = join_all(network.nodes.iter().map(|node| question(&node.client)));
        for (node, answer) in network.nodes.iter().zip(answers.await) {
            let what = match answer {
                Ok(answer) => Ok(answer),
                Err(ClientError::Refused { status, body }) if status < 500 && status != 429 => {
                    Err((status, body))
                }
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let name = node.entry.name.clone();
            match said.iter_mut().find(|it| it.what == what) {
                Some(alike) => alike.nodes.push(name),
                None => said.push(Said {
                    what,
                    nodes: vec![name],
                }),
            }
        }
        if let Some(at) = said.iter().position(|it| it.nodes.len() >= quorum) {
            let Said { what, nodes } = said.swap_remove(at);
            let answer = what.map_err(|(status, body)| ClientError::Refused { status, body })?;
            return Ok(Answered {
                answer,
                answered_by: nodes,
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(no_quorum(quorum, &said, last))
}

fn no_quorum<T: Answer>(quorum: usize, said: &[Said<T>], last: Option<ClientError>) -> Failure {
    let groups = said.iter().map(|Said { what, nodes }| {
        let nodes = nodes.join(", ");
        match what {
            Ok(answer) => format!(
                "{nodes} at block {}: {:.60}",
                answer.height(),
                answer.gist()
            ),
            Err((_, body)) => format!("{nodes}: {}, {:.60}", body.code, body.message),
        }
    });
    let mut cause: Vec<String> = groups.collect();
    cause.extend(last.map(|error| error.to_string()));
    let message = format!("no {quorum} nodes give one answer at one height");
    Failure::new(Exit::NotReady, "NO_QUORUM", message)
        .cause(cause.join("; "))
        .hint("a node may be behind, gone or lying: `logothete testnet status` tells which")
}
