//! Whose answer a question is to have.

use client::{Answer, Answered};
use node::api::{ApiClient, ClientError};

use crate::exit::Outcome;
use crate::network::Network;

/// How many nodes have to give an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Consistency {
    /// One, which may be behind, or lie
    Local,
    /// A quorum, the same answer at the same height
    Quorum,
}

/// Asks one node, or as many as it takes.
pub(crate) async fn consult<T: Answer>(
    network: &Network,
    consistency: Consistency,
    question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
) -> Outcome<Answered<T>> {
    match consistency {
        Consistency::Local => Ok(Answered {
            answer: network.ask(question).await?,
            answered_by: Vec::new(),
        }),
        Consistency::Quorum => Ok(network.client.agreed(question).await?),
    }
}
