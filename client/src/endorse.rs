//! Gathering endorsements: as few as the policy takes, more where some fail.

use std::time::Duration;

use crypto::{Domain, PublicKey, SigningKey};
use futures::future::join_all;
use ledger::{
    AssembleError, EndorsementPolicy, ProposalResponse, SignedProposal, Transaction, TransactionId,
    UnsignedTransaction,
};
use node::api::ClientError;

use crate::client::{Client, Node};
use crate::disagreement::Disagreement;
use crate::error::Error;

/// How often a proposal is made anew whose endorsers saw different states.
const ATTEMPTS: u32 = 20;

/// The pause before that: the node that is behind gets time to come up. Nodes that
/// have no room get so much more of it every time.
const PAUSE: Duration = Duration::from_millis(100);

/// An answer, and whose it is.
pub(crate) type Answer<'a> = (&'a Node, ProposalResponse);

impl Client {
    /// Has a proposal endorsed by as many nodes as its contract's policy takes,
    /// and signs the transaction.
    ///
    /// # Errors
    ///
    /// Every [`Error`] but [`Error::Unknown`] and those of receipts: endorsing
    /// changes nothing, whatever becomes of it.
    pub async fn endorse(
        &self,
        signed: &SignedProposal,
        key: &SigningKey,
    ) -> Result<Transaction, Error> {
        let (creator, found) = (signed.proposal.creator, key.public());
        if creator != found {
            return Err(Error::WrongKey { creator, found });
        }
        let unsigned = self.endorse_unsigned(signed).await?;
        let leaf = unsigned.leaf();
        let signature = self.sign(leaf, Domain::Transaction, key).await;
        Ok(unsigned.signed(signature))
    }

    /// Has a proposal endorsed, and leaves it to whoever has the creator's key to sign
    /// the transaction ([`UnsignedTransaction::sign`]).
    ///
    /// # Errors
    ///
    /// As [`Client::endorse`].
    pub async fn endorse_unsigned(
        &self,
        signed: &SignedProposal,
    ) -> Result<UnsignedTransaction, Error> {
        let mut disagreement = Disagreement::default();
        let mut liars = Liars::default();
        let mut busy = None;
        for attempt in 0..ATTEMPTS {
            let mut gathering = Gathering::of(self, signed, &liars).await;
            let gathered = match gathering.gather(signed, attempt > 0).await {
                Err(error) if error.is_busy() && self.waits_for_room() => {
                    busy = Some(error);
                    tokio::time::sleep(PAUSE.saturating_mul(attempt + 1)).await;
                    continue;
                }
                gathered => gathered?,
            };
            let alike = match gathered {
                Gathered::Apart(groups) => {
                    busy = None;
                    disagreement = Disagreement::between(groups, &signed.proposal.args);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                // The nodes have spoken, and the policy asks for more than there are.
                Gathered::TooFew(alike) => match liars.last {
                    Some(error) => return Err(error),
                    None => alike,
                },
                Gathered::Alike(alike) => alike,
            };
            let (nodes, responses): (Vec<&Node>, Vec<_>) = alike.into_iter().unzip();
            let (proposal, verifier) = (signed.proposal.clone(), self.verifier());
            match UnsignedTransaction::from_responses(proposal, responses, verifier) {
                Ok(transaction) => return Ok(transaction),
                Err(error) => liars.note(&nodes, error)?,
            }
        }
        Err(busy.unwrap_or(Error::Disagreement(disagreement)))
    }
}

/// Endorsers whose signatures do not hold: others are asked.
#[derive(Default)]
struct Liars {
    keys: Vec<PublicKey>,
    last: Option<Error>,
}

impl Liars {
    /// Notes whose fault it is; fails when it is nobody's.
    fn note(&mut self, nodes: &[&Node], source: AssembleError) -> Result<(), Error> {
        let key = match &source {
            AssembleError::BadSignature { endorser } => Some(*endorser),
            _ => None,
        };
        let liar = nodes.iter().find(|node| Some(node.identity().key) == key);
        let node = liar.map_or_else(String::new, |liar| liar.name().to_owned());
        let error = Error::BadEndorsement { node, source };
        let Some(liar) = liar else {
            return Err(error);
        };
        self.keys.push(liar.identity().key);
        self.last = Some(error);
        Ok(())
    }
}

enum Gathered<'a> {
    /// Of one mind, and they meet the policy.
    Alike(Vec<Answer<'a>>),
    /// Of one mind, and nobody is left who could be asked.
    TooFew(Vec<Answer<'a>>),
    /// Those of one mind together; no group of them meets the policy.
    Apart(Vec<Vec<Answer<'a>>>),
}

/// The answers to one proposal as they come in.
struct Gathering<'a> {
    client: &'a Client,
    /// None of a contract that there is not, and of the system.
    policy: Option<EndorsementPolicy>,
    /// How many must say the same: where no policy asks for endorsers, more than may
    /// be faulty, since every node holds their answer against its own.
    least: usize,
    id: TransactionId,
    untried: Vec<&'a Node>,
    /// Answers that say the same stand together.
    groups: Vec<Vec<Answer<'a>>>,
    refusals: Vec<ClientError>,
    failure: Option<Error>,
}

impl<'a> Gathering<'a> {
    async fn of(client: &'a Client, signed: &SignedProposal, liars: &Liars) -> Self {
        let policy = client.policy(&signed.proposal.contract).await;
        let mut untried = client.endorsers().await;
        untried.retain(|node| !liars.keys.contains(&node.identity().key));
        let least = match policy {
            Some(_) => 1,
            None => client.genesis().replica_set().weak_quorum(),
        };
        Self {
            client,
            policy,
            least,
            id: signed.proposal.id(),
            untried,
            groups: Vec::new(),
            refusals: Vec::new(),
            failure: None,
        }
    }

    /// Asks until enough are of one mind. Where some are not, nobody else is asked
    /// unless `further`: who differs may be ahead of what the others have seen.
    async fn gather(
        &mut self,
        signed: &SignedProposal,
        further: bool,
    ) -> Result<Gathered<'a>, Error> {
        loop {
            let asked = self.next_few();
            if asked.is_empty() {
                break;
            }
            let answers = join_all(asked.iter().map(|node| node.api().endorse(signed))).await;
            for (node, answer) in asked.into_iter().zip(answers) {
                node.heed(&answer);
                self.take(node, answer)?;
            }
            let mut groups = self.groups.iter();
            if let Some(enough) = groups.position(|group| self.is_met_by(group)) {
                return Ok(Gathered::Alike(self.groups.swap_remove(enough)));
            }
            if !further && self.is_met_by(self.groups.iter().flatten()) {
                break;
            }
        }
        let mut groups = std::mem::take(&mut self.groups);
        if groups.len() > 1 {
            return Ok(Gathered::Apart(groups));
        }
        if !self.refusals.is_empty() {
            return Err(self.refused());
        }
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(Gathered::TooFew(groups.pop().unwrap_or_default())),
        }
    }

    /// The next nodes to ask: as many as would meet the policies with the largest
    /// group that is there.
    fn next_few(&mut self) -> Vec<&'a Node> {
        let largest = self.groups.iter().max_by_key(|group| group.len());
        let there: Vec<&Answer<'_>> = largest.into_iter().flatten().collect();
        let (mut asked, mut left) = (Vec::new(), self.untried.iter());
        while (asked.is_empty() || !self.satisfied(&there, &asked))
            && let Some(node) = left.next()
        {
            asked.push(*node);
        }
        self.untried.drain(..asked.len());
        asked
    }

    /// Fails where no other node can do better: once a correct one has refused.
    fn take(
        &mut self,
        node: &'a Node,
        answer: Result<ProposalResponse, ClientError>,
    ) -> Result<(), Error> {
        let endorser = node.identity().key;
        let bad = |source| {
            let node = node.name().to_owned();
            Some(Error::BadEndorsement { node, source })
        };
        match answer {
            Ok(response) if response.transaction_id != self.id => {
                self.failure = bad(AssembleError::OtherProposal { endorser });
            }
            // It has to be this node's own signature.
            Ok(response) if response.endorsement.endorser != endorser => {
                self.failure = bad(AssembleError::BadSignature { endorser });
            }
            Ok(response) => {
                let mut groups = self.groups.iter_mut();
                match groups.find(|group| group[0].1.agrees_with(&response)) {
                    Some(group) => group.push((node, response)),
                    None => self.groups.push(vec![(node, response)]),
                }
            }
            Err(error) if error.is_refusal() => {
                self.refusals.push(error);
                if self.refusals.len() >= self.client.genesis().replica_set().weak_quorum() {
                    return Err(self.refused());
                }
            }
            Err(last @ ClientError::Unreachable { .. }) => {
                self.failure = Some(Error::TooFewEndorsers { last });
            }
            Err(error) => self.failure = Some(error.into()),
        }
        Ok(())
    }

    /// What the first has refused it for; or that it is committed already, which can
    /// be held against the receipt.
    fn refused(&mut self) -> Error {
        let is_committed = |it: &ClientError| it.code() == Some("ALREADY_COMMITTED");
        let committed = self.refusals.iter().position(is_committed);
        match self.refusals.swap_remove(committed.unwrap_or(0)) {
            ClientError::Refused { body, .. } if committed.is_some() => Error::AlreadyCommitted {
                id: self.id,
                place: body.committed,
            },
            error => error.into(),
        }
    }

    fn is_met_by<'b>(&self, answers: impl IntoIterator<Item = &'b Answer<'a>>) -> bool
    where
        'a: 'b,
    {
        let answers: Vec<&Answer<'_>> = answers.into_iter().collect();
        self.satisfied(&answers, &[])
    }

    /// Whether these answers, and endorsements of these other nodes, meet the
    /// contract's policy and those of the keys that the answers speak of.
    fn satisfied(&self, answers: &[&Answer<'_>], others: &[&Node]) -> bool {
        let mut nodes: Vec<&Node> = answers.iter().map(|(node, _)| *node).collect();
        nodes.extend(others);
        let of_keys = answers.iter().flat_map(|(_, answer)| &answer.key_policies);
        let of_keys = of_keys.filter(|policy| self.is_credible(policy, answers));
        let mut policies = self.policy.iter().chain(of_keys);
        let met = |policy: &EndorsementPolicy| {
            policy.satisfied_by(nodes.iter().map(|node| node.identity()))
        };
        nodes.len() >= self.least && policies.all(met)
    }

    /// Whether a key may have this policy, which an answer speaks of. Nobody signs that
    /// part of an answer, and one that lies could ask for endorsers whom there are not:
    /// that is not believed once others are silent of whom one does not lie, even though
    /// where nothing was read they may have seen another state.
    fn is_credible(&self, policy: &EndorsementPolicy, answers: &[&Answer<'_>]) -> bool {
        let all = self.client.nodes().iter().map(Node::identity);
        let silent = answers.iter();
        let silent = silent.filter(|(_, answer)| !answer.key_policies.contains(policy));
        policy.satisfied_by(all)
            || silent.count() < self.client.genesis().replica_set().weak_quorum()
    }
}
