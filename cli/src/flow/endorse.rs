//! Gathering endorsements: as few as the policy takes, more where some fail.

use std::time::Duration;

use crypto::SigningKey;
use futures::future::join_all;
use ledger::{
    AssembleError, EndorsementPolicy, Identity, ProposalResponse, SignedProposal, Transaction,
};
use node::api::ClientError;
use node::api::types::Place;

use super::disagreement::describe;
use crate::exit::{Exit, Failure, Outcome};
use crate::network::{Network, Node};

/// How often a proposal is made anew whose endorsers saw different states.
const ATTEMPTS: usize = 20;

/// The pause before that: the node that is behind gets time to come up.
const PAUSE: Duration = Duration::from_millis(100);

/// What comes of a proposal.
#[derive(Debug)]
pub(crate) enum Endorsed {
    /// Its transaction, signed.
    Transaction(Box<Transaction>),
    /// It has been through before: a node says that it stands here.
    Committed(Option<Place>),
}

/// Has a proposal endorsed by as many nodes as its contract's policy takes,
/// beginning with node `first`, and signs the transaction.
pub(crate) async fn endorse(
    network: &Network,
    signed: &SignedProposal,
    key: &SigningKey,
    first: usize,
) -> Outcome<Endorsed> {
    let mut disagreement = String::new();
    for _ in 0..ATTEMPTS {
        let responses = match gather(network, signed, first).await {
            Ok(responses) => responses,
            Err(ClientError::Refused { body, .. }) if body.code == "ALREADY_COMMITTED" => {
                return Ok(Endorsed::Committed(body.committed));
            }
            Err(error @ ClientError::Unreachable { .. }) => {
                return Err(Failure::from(error).hint("too few endorsers are reachable"));
            }
            Err(error) => return Err(error.into()),
        };
        let made = Transaction::from_responses(signed.proposal.clone(), responses.clone(), key);
        match made {
            Ok(transaction) => return Ok(Endorsed::Transaction(Box::new(transaction))),
            Err(AssembleError::Disagreement { .. }) => {
                disagreement = describe(network, &responses);
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => {
                return Err(Failure::new(
                    Exit::Refused,
                    "BAD_ENDORSEMENT",
                    "an endorser's answer does not hold",
                )
                .cause(error)
                .hint("`--node` picks whom to ask first"));
            }
        }
    }
    let failure = Failure::new(
        Exit::Refused,
        "ENDORSERS_DISAGREE",
        "the endorsers do not agree on what the proposal does",
    );
    Err(failure.cause(disagreement))
}

/// Answers of endorsers that together meet the policy, or else the last failure.
async fn gather(
    network: &Network,
    signed: &SignedProposal,
    first: usize,
) -> Result<Vec<ProposalResponse>, ClientError> {
    let policy = network.policy(&signed.proposal.contract).await;
    let policy = policy.as_ref();
    let mut untried: Vec<&Node> = network.in_turn(first);
    let mut responses: Vec<ProposalResponse> = Vec::new();
    let mut failure = None;
    loop {
        let asked = few(network, policy, &responses, &mut untried);
        if asked.is_empty() {
            break;
        }
        let answers = join_all(asked.iter().map(|node| node.client.endorse(signed))).await;
        for (node, answer) in asked.iter().zip(answers) {
            node.heed(&answer);
            match answer {
                Ok(response) => responses.push(response),
                Err(error) if may_succeed_elsewhere(&error) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        if meets(network, policy, &responses) {
            return Ok(responses);
        }
    }
    match failure {
        Some(error) => Err(error),
        // The nodes have spoken, and the policy asks for more than there are.
        None => Ok(responses),
    }
}

fn may_succeed_elsewhere(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Nonsense { .. } => true,
        ClientError::Refused { status, .. } => matches!(status, 429 | 500..),
    }
}

/// The next nodes to ask: as many as would meet the policy with what is there.
fn few<'a>(
    network: &Network,
    policy: Option<&EndorsementPolicy>,
    responses: &[ProposalResponse],
    untried: &mut Vec<&'a Node>,
) -> Vec<&'a Node> {
    let mut members = endorsers(network, responses);
    let mut asked = Vec::new();
    while !untried.is_empty() && (asked.is_empty() || !satisfied(policy, &members)) {
        let node = untried.remove(0);
        members.extend(identity_of(network, node));
        asked.push(node);
    }
    asked
}

fn meets(
    network: &Network,
    policy: Option<&EndorsementPolicy>,
    responses: &[ProposalResponse],
) -> bool {
    satisfied(policy, &endorsers(network, responses))
}

/// Of a contract that there is not, and of the system, one answer tells enough.
fn satisfied(policy: Option<&EndorsementPolicy>, members: &[Identity]) -> bool {
    policy.map_or(!members.is_empty(), |policy| policy.satisfied_by(members))
}

fn endorsers(network: &Network, responses: &[ProposalResponse]) -> Vec<Identity> {
    let members = network.genesis().members().iter();
    let has_answered = |member: &&Identity| {
        let mut keys = responses
            .iter()
            .map(|response| response.endorsement.endorser);
        keys.any(|key| key == member.key)
    };
    members.filter(has_answered).cloned().collect()
}

fn identity_of(network: &Network, node: &Node) -> Option<Identity> {
    let replica = network
        .genesis()
        .replica(consensus::ReplicaId(node.entry.id))?;
    let mut members = network.genesis().members().iter();
    members
        .find(|member| member.key == replica.consensus_key)
        .cloned()
}
