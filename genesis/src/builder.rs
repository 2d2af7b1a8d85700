//! Makes a document from names and keys: what `genesis create` and a testnet
//! begin with.

use crypto::PublicKey;
use ledger::Contracts;
use ledger::names::MAX_ENDORSEMENTS;

use crate::document::{
    ConsensusDocument, ContractDocument, Document, MemberDocument, OrganisationDocument,
    ReplicaDocument,
};
use crate::error::GenesisError;
use crate::genesis::Genesis;
use crate::params;

/// A document in the making. Nothing is checked before [`GenesisBuilder::build`].
#[derive(Clone, Debug)]
pub struct GenesisBuilder {
    document: Document,
    policy: Option<String>,
}

/// A replica to be added; its id is its place in the order of adding.
#[derive(Clone, Debug)]
pub struct NewReplica {
    /// Its name.
    pub name: String,
    /// The organisation that runs it.
    pub organisation: String,
    /// What it signs with.
    pub consensus_key: PublicKey,
    /// What it proves itself with on a connection.
    pub transport_key: PublicKey,
    /// Where the others reach it.
    pub addresses: Vec<String>,
}

impl GenesisBuilder {
    /// The beginning of a network of this name, with the default parameters.
    #[must_use]
    pub fn new(network: &str) -> Self {
        Self {
            document: Document {
                format: Document::FORMAT,
                network: network.to_owned(),
                testing: false,
                organisations: Vec::new(),
                replicas: Vec::new(),
                contracts: Vec::new(),
                consensus: ConsensusDocument::default(),
            },
            policy: None,
        }
    }

    /// Whether nodes may be told to misbehave.
    #[must_use]
    pub fn testing(mut self, testing: bool) -> Self {
        self.document.testing = testing;
        self
    }

    /// Adds an admin, and its organisation unless it is there.
    #[must_use]
    pub fn admin(mut self, organisation: &str, name: &str, key: PublicKey) -> Self {
        self.organisation_mut(organisation)
            .admins
            .push(member(name, key));
        self
    }

    /// Adds a client, and its organisation unless it is there.
    #[must_use]
    pub fn client(mut self, organisation: &str, name: &str, key: PublicKey) -> Self {
        self.organisation_mut(organisation)
            .clients
            .push(member(name, key));
        self
    }

    /// Adds a replica, and its organisation unless it is there.
    #[must_use]
    pub fn replica(mut self, replica: NewReplica) -> Self {
        self.organisation_mut(&replica.organisation);
        let id = self.document.replicas.len() as u64;
        self.document.replicas.push(ReplicaDocument {
            id,
            name: replica.name,
            organisation: replica.organisation,
            consensus_key: replica.consensus_key,
            transport_key: replica.transport_key,
            addresses: replica.addresses,
        });
        self
    }

    /// Adds a contract with its policy. Without any, [`GenesisBuilder::build`]
    /// adds all that are built in, with [`GenesisBuilder::default_policy`].
    #[must_use]
    pub fn contract(mut self, name: &str, policy: &str) -> Self {
        self.document.contracts.push(ContractDocument {
            name: name.to_owned(),
            version: Contracts::built_in()
                .get(name)
                .map_or(1, |contract| contract.version().into()),
            policy: policy.to_owned(),
        });
        self
    }

    /// The policy of the contracts that [`GenesisBuilder::build`] adds, in place of
    /// [`GenesisBuilder::default_policy`].
    #[must_use]
    pub fn policy(mut self, policy: &str) -> Self {
        self.policy = Some(policy.to_owned());
        self
    }

    /// Other parameters of consensus.
    #[must_use]
    pub fn consensus(mut self, consensus: ConsensusDocument) -> Self {
        self.document.consensus = consensus;
        self
    }

    /// Endorsement by one replica more than may be faulty: at least one correct
    /// replica has run the contract. A transaction has room for so many
    /// endorsements, and a policy for as many peers.
    #[must_use]
    pub fn default_policy(&self) -> String {
        let replicas = &self.document.replicas;
        let needed = replicas.len().saturating_sub(1) / 3 + 1;
        let peers: Vec<String> = replicas
            .iter()
            .take(MAX_ENDORSEMENTS)
            .map(|replica| format!("'{}.peer'", replica.organisation))
            .collect();
        format!("OutOf({needed}, {})", peers.join(", "))
    }

    /// The checked genesis. Of the default parameters, the log window is narrowed
    /// where there are so many replicas that a NEW-VIEW of it would be too long.
    ///
    /// # Errors
    ///
    /// [`GenesisError`], which names the field of the document that is wrong.
    pub fn build(mut self) -> Result<Genesis, GenesisError> {
        if self.document.contracts.is_empty() {
            let policy = self.policy.take();
            let policy = policy.unwrap_or_else(|| self.default_policy());
            for contract in Contracts::built_in().iter() {
                self = self.contract(contract.name(), &policy);
            }
        }
        if self.document.consensus == ConsensusDocument::default() {
            let widest = params::widest_window(self.document.replicas.len());
            let window = &mut self.document.consensus.log_window;
            *window = widest.min(*window);
        }
        Genesis::new(self.document)
    }

    fn organisation_mut(&mut self, name: &str) -> &mut OrganisationDocument {
        let organisations = &mut self.document.organisations;
        let at = organisations.iter().position(|known| known.name == name);
        let at = at.unwrap_or_else(|| {
            organisations.push(OrganisationDocument {
                name: name.to_owned(),
                admins: Vec::new(),
                clients: Vec::new(),
            });
            organisations.len() - 1
        });
        &mut organisations[at]
    }
}

fn member(name: &str, key: PublicKey) -> MemberDocument {
    MemberDocument {
        name: name.to_owned(),
        key,
    }
}
