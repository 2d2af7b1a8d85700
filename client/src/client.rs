//! The network as a client sees it: where its nodes are, which of them are silent,
//! and who must endorse what.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consensus::ReplicaId;
use crypto::{Digest, Domain, PublicKey, SharedSignature, SharedVerifier, SigningKey};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use genesis::Genesis;
use ledger::{ContractDefinition, EndorsementPolicy, Identity, Locator, Receipt, ValidationCode};
use node::api::types::ContractAnswer;
use node::api::{ApiClient, ClientError};
use tokio::sync::RwLock;

use crate::error::{Error, Unverified};
use crate::signing::Signing;

/// A node and how to ask it.
#[derive(Debug)]
pub struct Node {
    id: ReplicaId,
    identity: Identity,
    api: ApiClient,
    /// It did not answer lately: it is asked where the others do not suffice.
    silent: AtomicBool,
}

impl Node {
    /// Which replica it is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Its name in the genesis document.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Asks this node. It is one node's word that comes back.
    #[must_use]
    pub fn api(&self) -> &ApiClient {
        &self.api
    }

    /// As whom it endorses.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What a call to this node came to.
    pub(crate) fn heed<T>(&self, answer: &Result<T, ClientError>) {
        let silent = matches!(answer, Err(ClientError::Unreachable { .. }));
        self.silent.store(silent, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Network {
    genesis: Genesis,
    /// At least one.
    nodes: Vec<Node>,
    rules: RwLock<Rules>,
    verifier: SharedVerifier,
    signing: Signing,
}

/// What the nodes say of who must endorse what, and whose endorsements count.
#[derive(Debug, Default)]
struct Rules {
    /// The contracts, once somebody has asked.
    contracts: Option<Vec<ContractDefinition>>,
    /// Endorsements did not suffice: the key of an endorser may have been revoked.
    is_doubted: bool,
    /// Keys of nodes that have been, as far as somebody has asked.
    revoked: BTreeSet<PublicKey>,
}

/// A client of one network. Clones share what they have learnt of its nodes.
#[derive(Clone, Debug)]
pub struct Client {
    network: Arc<Network>,
    /// The place of the node that is asked first.
    first: usize,
    insists: bool,
    waits_for_room: bool,
    signs_alone: bool,
}

impl Client {
    /// A client of the network that begins with `genesis`. Every receipt is held
    /// against that document, so it must come from somebody who is trusted; the
    /// nodes are not. They are replicas and where their HTTP APIs are, such as
    /// `http://127.0.0.1:8080`; the first is asked first.
    ///
    /// # Errors
    ///
    /// When there is no node, genesis does not name one of them, one is named twice,
    /// or the system has no means for connections.
    pub fn new<A: AsRef<str>>(
        genesis: Genesis,
        nodes: impl IntoIterator<Item = (ReplicaId, A)>,
    ) -> Result<Self, Error> {
        let mut known: Vec<Node> = Vec::new();
        for (id, api) in nodes {
            if known.iter().any(|node| node.id == id) {
                return Err(Error::SameReplica { id });
            }
            let replica = genesis.replica(id).ok_or(Error::NoSuchReplica { id })?;
            let mut members = genesis.members().iter();
            let identity = members.find(|member| member.key == replica.consensus_key);
            known.push(Node {
                id,
                identity: identity.ok_or(Error::NoSuchReplica { id })?.clone(),
                api: ApiClient::new(api.as_ref())?,
                silent: AtomicBool::new(false),
            });
        }
        if known.is_empty() {
            return Err(Error::NoNodes);
        }
        let signing = Signing::new(genesis.network_id());
        Ok(Self {
            network: Arc::new(Network {
                genesis,
                nodes: known,
                rules: RwLock::default(),
                verifier: SharedVerifier::default(),
                signing,
            }),
            first: 0,
            insists: false,
            waits_for_room: true,
            signs_alone: false,
        })
    }

    /// The same client, which puts a question that one node can answer to the
    /// first node and to no other.
    #[must_use]
    pub fn insisting(self) -> Self {
        Self {
            insists: true,
            ..self
        }
    }

    /// The same client, which does not wait for nodes that have no room, but fails
    /// ([`Error::is_busy`]).
    #[must_use]
    pub fn impatient(self) -> Self {
        Self {
            waits_for_room: false,
            ..self
        }
    }

    /// The same client, which signs everything by itself: each signature is somewhat
    /// shorter, and nodes have to check each.
    #[must_use]
    pub fn signing_alone(self) -> Self {
        Self {
            signs_alone: true,
            ..self
        }
    }

    pub(crate) fn waits_for_room(&self) -> bool {
        self.waits_for_room
    }

    /// The same client, which begins with the node at this place, counted round:
    /// so whoever sends much spreads the load.
    #[must_use]
    pub fn beginning_at(&self, place: usize) -> Self {
        Self {
            first: place % self.nodes().len(),
            ..self.clone()
        }
    }

    pub(crate) fn verifier(&self) -> &SharedVerifier {
        &self.network.verifier
    }

    /// Signs what has this leaf, together with what else the owner of `key` wants
    /// signed at this moment.
    pub(crate) async fn sign(
        &self,
        leaf: Digest,
        domain: Domain,
        key: &SigningKey,
    ) -> SharedSignature {
        if self.signs_alone {
            let network = self.genesis().network_id();
            return SharedSignature::of_one(leaf, domain, &network, key);
        }
        let signing = &self.network.signing;
        signing.sign(leaf, self.first, domain, key).await
    }

    /// What the network began with.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.network.genesis
    }

    /// The nodes, in the order in which they were named.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.network.nodes
    }

    /// The node at this place, counted round.
    pub(crate) fn node(&self, place: usize) -> &Node {
        &self.nodes()[place % self.nodes().len()]
    }

    /// All nodes, beginning with the first, those last that did not answer lately.
    pub(crate) fn in_turn(&self) -> Vec<&Node> {
        let (before, rest) = self.nodes().split_at(self.first);
        let mut nodes: Vec<&Node> = rest.iter().chain(before).collect();
        nodes.sort_by_key(|node| node.silent.load(Ordering::Relaxed));
        nodes
    }

    /// Asks one node after the other until one answers, or refuses to.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the node that was reached refuses, and
    /// [`Error::NoNode`] when none was.
    pub async fn ask<T>(
        &self,
        question: impl AsyncFn(&ApiClient) -> Result<T, ClientError>,
    ) -> Result<T, Error> {
        let mut last = None;
        for node in self.nodes_to_ask() {
            let answer = question(&node.api).await;
            node.heed(&answer);
            match answer {
                Err(error @ (ClientError::Unreachable { .. } | ClientError::Nonsense { .. })) => {
                    last = Some(error);
                }
                answered => return Ok(answered?),
            }
        }
        Err(self.nobody(last))
    }

    /// The error that none of the nodes has answered, the last for this reason.
    pub(crate) fn nobody(&self, last: Option<ClientError>) -> Error {
        match last {
            Some(error) if self.insists => error.into(),
            Some(last) => Error::NoNode { last },
            None => Error::NoNodes,
        }
    }

    pub(crate) fn nodes_to_ask(&self) -> Vec<&Node> {
        if self.insists {
            vec![&self.nodes()[self.first]]
        } else {
            self.in_turn()
        }
    }

    /// Who must endorse the transactions of this contract, as far as the nodes say
    /// so: should they lie, the transaction is invalid or has endorsements to spare.
    /// None when there is no such contract.
    pub async fn policy(&self, contract: &str) -> Option<EndorsementPolicy> {
        let rules = self.network.rules.read().await;
        if let Some(contracts) = &rules.contracts {
            return policy_of(contracts, contract);
        }
        drop(rules);
        let mut rules = self.network.rules.write().await;
        if rules.contracts.is_none() {
            rules.contracts = self.contracts().await;
            if rules.is_doubted
                && let Some(revoked) = self.revoked().await
            {
                (rules.revoked, rules.is_doubted) = (revoked, false);
            }
        }
        let genesis = self.genesis().contracts();
        policy_of(rules.contracts.as_deref().unwrap_or(genesis), contract)
    }

    /// The nodes whose endorsements count, as far as that is known, as
    /// [`Client::in_turn`] has them.
    pub(crate) async fn endorsers(&self) -> Vec<&Node> {
        let rules = self.network.rules.read().await;
        let mut nodes = self.in_turn();
        nodes.retain(|node| !rules.revoked.contains(&node.identity.key));
        nodes
    }

    /// The contracts, as most nodes say.
    async fn contracts(&self) -> Option<Vec<ContractDefinition>> {
        let nodes = self.nodes_to_ask();
        let said = self.said(nodes, |node| {
            async { Ok(node.contracts().await?.contracts) }.boxed()
        });
        let most = said.await.into_iter().max_by_key(|(_, nodes)| *nodes);
        let (contracts, _) = most?;
        Some(contracts.into_iter().filter_map(defined).collect())
    }

    /// The keys that have been revoked.
    async fn revoked(&self) -> Option<BTreeSet<PublicKey>> {
        let said = self.vouched(|node| {
            async {
                let members = node.members().await?.members.into_iter();
                let revoked = members.filter(|member| member.revoked);
                Ok(revoked.filter_map(|it| it.key.parse().ok()).collect())
            }
            .boxed()
        });
        said.await.ok()
    }

    /// What more nodes say than may be faulty: one that does not lie is among them. It may
    /// be behind, so that this is for what does not change once it is so.
    ///
    /// # Errors
    ///
    /// [`Error::NoQuorum`] when not so many say the same.
    pub async fn vouched<T: PartialEq>(
        &self,
        question: impl Fn(&ApiClient) -> BoxFuture<'_, Result<T, ClientError>>,
    ) -> Result<T, Error> {
        let enough = self.genesis().replica_set().weak_quorum();
        let mut said = self.said(self.in_turn(), question).await;
        if let Some(at) = said.iter().position(|(_, nodes)| *nodes >= enough) {
            return Ok(said.swap_remove(at).0);
        }
        let counts = said.iter().map(|(_, nodes)| format!("{nodes} nodes"));
        Err(Error::NoQuorum {
            quorum: enough,
            said: counts.collect::<Vec<_>>().join(", "),
        })
    }

    /// What nodes say, and how many say the same: no more are asked once those are more
    /// than may be faulty.
    async fn said<T: PartialEq>(
        &self,
        nodes: Vec<&Node>,
        question: impl Fn(&ApiClient) -> BoxFuture<'_, Result<T, ClientError>>,
    ) -> Vec<(T, usize)> {
        let enough = self.genesis().replica_set().weak_quorum();
        let mut said: Vec<(T, usize)> = Vec::new();
        for node in nodes {
            let answer = question(&node.api).await;
            node.heed(&answer);
            let Ok(answer) = answer else { continue };
            match said.iter_mut().find(|(alike, _)| *alike == answer) {
                Some((_, nodes)) => *nodes += 1,
                None => said.push((answer, 1)),
            }
            if said.iter().any(|(_, nodes)| *nodes >= enough) {
                break;
            }
        }
        said
    }

    /// Heeds a verdict: where a policy was not met, it may be another by now, or one of
    /// those who endorsed counts no more.
    pub(crate) async fn learn(&self, code: ValidationCode) {
        if code == ValidationCode::EndorsementPolicyFailure {
            let mut rules = self.network.rules.write().await;
            rules.contracts = None;
            rules.is_doubted = true;
        }
    }

    /// The receipt of a transaction, verified; a node that has none yet is given
    /// so long to get one.
    ///
    /// # Errors
    ///
    /// What [`Client::ask`] fails with, of a transaction that is not committed the
    /// refusal `NOT_FOUND`; [`Error::NotVerified`] when what a node shows does not
    /// hold.
    pub async fn receipt(
        &self,
        locator: impl Into<Locator>,
        wait: Duration,
    ) -> Result<Receipt, Error> {
        let locator = locator.into();
        let receipt = self.ask(async |node| node.receipt(locator, wait).await);
        let receipt = receipt.await?;
        self.verify(locator, &receipt)?;
        Ok(receipt)
    }

    /// Whether this is the receipt of that transaction, by a quorum of the network.
    pub(crate) fn verify(&self, locator: Locator, receipt: &Receipt) -> Result<(), Unverified> {
        if !receipt.is_of(locator) {
            return Err(Unverified::OtherReceipt {
                asked: locator,
                found: receipt.transaction_id,
                code: receipt.code,
            });
        }
        let genesis = self.genesis();
        Ok(receipt.verify(&genesis.network_id(), &genesis.attesters())?)
    }
}

fn policy_of(contracts: &[ContractDefinition], name: &str) -> Option<EndorsementPolicy> {
    let named = contracts.iter().find(|known| known.name == name);
    named.map(|known| known.policy.clone())
}

fn defined(answer: ContractAnswer) -> Option<ContractDefinition> {
    let policy = answer.policy.parse().ok()?;
    Some(ContractDefinition {
        name: answer.name,
        version: answer.version,
        policy,
    })
}
