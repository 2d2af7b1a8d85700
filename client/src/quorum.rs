//! A question that a quorum of nodes must answer alike, at one height: then a
//! correct node is among them that has everything a receipt was ever shown for.

use std::time::Duration;

use crypto::SigningKey;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use node::api::types::{ErrorBody, EvaluateAnswer, StateAnswer, StateRangeAnswer};
use node::api::{ApiClient, ClientError};
use serde::Serialize;

use crate::client::Client;
use crate::error::Error;
use crate::propose::Call;

/// How often the nodes are asked whose heights differ while blocks come.
const ATTEMPTS: usize = 50;

/// The pause before they are asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the others are waited for once a quorum has answered, and not alike: one
/// that stands still is not to make everybody wait.
const GRACE: Duration = Duration::from_millis(250);

/// An answer that says after which block it is the answer: its height, and the hash
/// of the block, are part of what must be alike.
pub trait Answer: PartialEq {
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
pub struct Answered<T> {
    #[serde(flatten)]
    /// The answer.
    pub answer: T,
    /// Who gave it, where a quorum did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answered_by: Vec<String>,
}

/// What nodes agree or do not agree on, and who says it.
struct Said<T> {
    /// An answer, or the status and the reasons of a refusal.
    what: Result<T, (u16, Box<ErrorBody>)>,
    nodes: Vec<String>,
}

impl Client {
    /// Has a call answered by a quorum of nodes, without ordering it.
    ///
    /// # Errors
    ///
    /// As [`Client::agreed`].
    pub async fn evaluate(
        &self,
        key: &SigningKey,
        call: Call,
    ) -> Result<Answered<EvaluateAnswer>, Error> {
        let signed = self.propose(key, call).await?;
        self.agreed(async |node| node.evaluate(&signed).await).await
    }

    /// The answer that a quorum of nodes gives to a question, at one height. Nobody
    /// is waited for whom the others suffice.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when a quorum refuses alike, and [`Error::NoQuorum`] when
    /// no quorum says the same in reasonable time.
    pub async fn agreed<T: Answer>(
        &self,
        question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
    ) -> Result<Answered<T>, Error> {
        let quorum = self.genesis().attesters().quorum();
        let mut round = Round::default();
        for _ in 0..ATTEMPTS {
            round = Round::default();
            let nodes = self.nodes().iter();
            let mut answers: FuturesUnordered<_> = nodes
                .map(async |node| (node.name(), question(node.api()).await))
                .collect();
            loop {
                let grace = if round.answered < quorum {
                    Duration::MAX
                } else {
                    GRACE
                };
                let next = tokio::time::timeout(grace, answers.next()).await;
                let Ok(Some((name, answer))) = next else {
                    break;
                };
                if let Some(Said { what, mut nodes }) = round.take(name, answer, quorum) {
                    let answer = what.map_err(|(status, body)| Error::Refused { status, body })?;
                    nodes.sort_unstable();
                    return Ok(Answered {
                        answer,
                        answered_by: nodes,
                    });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(no_quorum(quorum, &round.said, round.last))
    }
}

/// What has come so far of asking every node once.
struct Round<T> {
    said: Vec<Said<T>>,
    /// How many have answered or refused.
    answered: usize,
    /// Why the last one did not that did not.
    last: Option<ClientError>,
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self {
            said: Vec::new(),
            answered: 0,
            last: None,
        }
    }
}

impl<T: Answer> Round<T> {
    /// Adds the answer of a node; returns what a quorum says, if it is that.
    fn take(
        &mut self,
        node: &str,
        answer: Result<T, ClientError>,
        quorum: usize,
    ) -> Option<Said<T>> {
        let what = match answer {
            Ok(answer) => Ok(answer),
            Err(ClientError::Refused { status, body }) if status < 500 && status != 429 => {
                Err((status, body))
            }
            Err(error) => {
                self.last = Some(error);
                return None;
            }
        };
        self.answered += 1;
        let alike = self.said.iter().position(|it| it.what == what);
        let at = alike.unwrap_or_else(|| {
            self.said.push(Said {
                what,
                nodes: Vec::new(),
            });
            self.said.len() - 1
        });
        self.said[at].nodes.push(node.to_owned());
        (self.said[at].nodes.len() >= quorum).then(|| self.said.swap_remove(at))
    }
}

fn no_quorum<T: Answer>(quorum: usize, said: &[Said<T>], last: Option<ClientError>) -> Error {
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
    let mut said: Vec<String> = groups.collect();
    said.extend(last.map(|error| error.to_string()));
    Error::NoQuorum {
        quorum,
        said: said.join("; "),
    }
}
