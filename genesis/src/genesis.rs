//! The agreed beginning, checked: whoever holds a [`Genesis`] holds one that
//! every replica accepts alike.

use consensus::{Config, ReplicaId, ReplicaSet};
use crypto::NetworkId;
use ledger::{Attesters, ContractDefinition, GenesisState, Identity, Limits};

use crate::document::Document;
use crate::error::{GenesisError, Problem, at};
use crate::members::{self, ReplicaEntry};
use crate::params::Parameters;
use crate::{block, contracts};

/// What a network begins with.
#[derive(Clone, Debug)]
pub struct Genesis {
    document: Document,
    network: NetworkId,
    replica_set: ReplicaSet,
    replicas: Vec<ReplicaEntry>,
    members: Vec<Identity>,
    contracts: Vec<ContractDefinition>,
    parameters: Parameters,
}

impl Genesis {
    /// Reads a document from JSON and checks it.
    ///
    /// # Errors
    ///
    /// [`GenesisError`], which names the field and what was expected of it.
    pub fn from_json(json: &[u8]) -> Result<Self, GenesisError> {
        if json.len() > Document::MAX_BYTES {
            return Err(GenesisError::TooLarge {
                limit: Document::MAX_BYTES,
                found: json.len(),
            });
        }
        Self::new(parse(json)?)
    }

    /// Checks a document.
    ///
    /// # Errors
    ///
    /// [`GenesisError::Field`], which names the field and what was expected of it.
    pub fn new(document: Document) -> Result<Self, GenesisError> {
        if document.format != Document::FORMAT {
            let problem = Problem::UnknownFormat {
                known: Document::FORMAT,
                found: document.format,
            };
            return Err(at("format", problem));
        }
        members::check_name("network", &document.network)?;
        let everyone = members::check(&document)?;
        let contracts = contracts::check(&document, &everyone.members)?;
        let parameters = Parameters::check(&document.consensus, &everyone.replica_set)?;
        Ok(Self {
            network: document.network_id(),
            document,
            replica_set: everyone.replica_set,
            replicas: everyone.replicas,
            members: everyone.members,
            contracts,
            parameters,
        })
    }

    /// The document as JSON for people; reading it gives the same genesis.
    ///
    /// # Panics
    ///
    /// Never: a document has no value that JSON cannot hold.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(&self.document).expect("a document is plain data");
        json.push('\n');
        json
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The id of the network: the hash of the document, which every signature covers.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        self.network
    }

    /// The name of the network.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.document.network
    }

    /// Whether nodes may be told to misbehave.
    #[must_use]
    pub fn testing(&self) -> bool {
        self.document.testing
    }

    /// The replicas by their keys.
    #[must_use]
    pub fn replica_set(&self) -> &ReplicaSet {
        &self.replica_set
    }

    /// The replicas, by ascending id.
    #[must_use]
    pub fn replicas(&self) -> &[ReplicaEntry] {
        &self.replicas
    }

    /// One replica, if there is such a one.
    #[must_use]
    pub fn replica(&self, id: ReplicaId) -> Option<&ReplicaEntry> {
        self.replicas.get(id.0 as usize)
    }

    /// The first members: admins, clients, and the replicas as peers of their organisations.
    #[must_use]
    pub fn members(&self) -> &[Identity] {
        &self.members
    }

    /// The contracts with their policies.
    #[must_use]
    pub fn contracts(&self) -> &[ContractDefinition] {
        &self.contracts
    }

    /// The parameters that all replicas share.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What replica `id` needs to take part; `None` when there is no such replica.
    #[must_use]
    pub fn consensus_config(&self, id: ReplicaId) -> Option<Config> {
        self.replica(id)?;
        Some(Config {
            id,
            replicas: self.replica_set.clone(),
            network: self.network,
            checkpoint_interval: self.parameters.checkpoint_interval,
            log_window: self.parameters.log_window,
            max_in_flight: self.parameters.max_in_flight,
            max_batch_requests: self.parameters.max_batch_transactions,
            status_interval: self.parameters.status_interval,
            request_timeout: self.parameters.request_timeout,
            request_timeout_cap: self.parameters.request_timeout_cap,
        })
    }

    /// Whose signatures attest a block, and how many of them it takes.
    #[must_use]
    pub fn attesters(&self) -> Attesters {
        block::attesters(&self.replica_set)
    }

    /// What a transaction may be.
    #[must_use]
    pub fn limits(&self) -> Limits {
        block::limits(&self.parameters, &self.replica_set)
    }

    /// Block 0 and the state it makes.
    #[must_use]
    pub fn ledger_genesis(&self) -> GenesisState {
        GenesisState::new(
            self.network,
            self.attesters(),
            self.limits(),
            &self.members,
            &self.contracts,
        )
    }
}

/// The document in `json`, unchecked.
fn parse(json: &[u8]) -> Result<Document, GenesisError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let document = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let reason = inner.to_string();
        match inner.classify() {
            serde_json::error::Category::Data => at(path_of(path), Problem::Shape { reason }),
            _ => GenesisError::NotJson { reason },
        }
    })?;
    deserializer.end().map_err(|error| GenesisError::NotJson {
        reason: error.to_string(),
    })?;
    Ok(document)
}

/// What the parser calls `.` is the document itself.
fn path_of(path: String) -> String {
    match path.as_str() {
        "." => "the document".to_owned(),
        _ => path,
    }
}
