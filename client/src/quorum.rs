//! A question that a quorum of nodes must answer alike, at one height: then a
//! correct node is among them that has everything a receipt was ever shown for.

use std::collections::BTreeMap;
use std::time::Duration;

use crypto::SigningKey;
use futures::future::join_all;
use ledger::SignedProposal;
use node::api::ClientError;
use node::api::types::EvaluateAnswer;

use crate::client::Client;
use crate::error::Error;
use crate::propose::Call;

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

/// Who says the same, and the first refusal if it is one.
type Answers = BTreeMap<Said, (Vec<String>, Option<Error>)>;

/// The answer of a quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// What the contract answered, and after which block.
    pub answer: EvaluateAnswer,
    /// The names of the nodes that answered so.
    pub answered_by: Vec<String>,
}

impl Client {
    /// Has a call answered by a quorum of nodes, without ordering it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when a quorum refuses alike, and [`Error::NoQuorum`] when
    /// no quorum says the same in reasonable time.
    pub async fn evaluate(&self, key: &SigningKey, call: Call) -> Result<Evaluated, Error> {
        evaluate(self, &self.propose(key, call)?).await
    }
}

async fn evaluate(client: &Client, signed: &SignedProposal) -> Result<Evaluated, Error> {
    let nodes = client.nodes();
    let quorum = client.genesis().attesters().quorum();
    let mut said = Answers::new();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        said.clear();
        let answers = join_all(nodes.iter().map(|node| node.api().evaluate(signed)));
        for (node, answer) in nodes.iter().zip(answers.await) {
            let (what, refusal) = match answer {
                Ok(answer) => {
                    let EvaluateAnswer {
                        response,
                        height,
                        block_hash,
                    } = answer;
                    (Said::Answer(height, block_hash, response), None)
                }
                Err(ClientError::Refused { status, body }) if status < 500 && status != 429 => {
                    let what = Said::Refusal(body.code.clone(), body.message.clone());
                    (what, Some(Error::Refused { status, body }))
                }
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let (names, first_refusal) = said.entry(what).or_default();
            names.push(node.name().to_owned());
            *first_refusal = first_refusal.take().or(refusal);
        }
        let agreed = said
            .extract_if(.., |_, (names, _)| names.len() >= quorum)
            .next();
        match agreed {
            Some((_, (_, Some(refusal)))) => return Err(refusal),
            Some((Said::Answer(height, block_hash, response), (answered_by, None))) => {
                let answer = EvaluateAnswer {
                    response,
                    height,
                    block_hash,
                };
                return Ok(Evaluated {
                    answer,
                    answered_by,
                });
            }
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(no_quorum(quorum, &said, last))
}

fn no_quorum(quorum: usize, said: &Answers, last: Option<ClientError>) -> Error {
    let groups = said.iter().map(|(said, (nodes, _))| {
        let nodes = nodes.join(", ");
        match said {
            Said::Answer(height, _, response) => {
                format!("{nodes} at block {height}: {response:.60}")
            }
            Said::Refusal(code, message) => format!("{nodes}: {code}, {message:.60}"),
        }
    });
    let mut said: Vec<String> = groups.collect();
    said.extend(last.map(|error| error.to_string()));
    Error::NoQuorum {
        quorum,
        said: said.join("; "),
    }
}
