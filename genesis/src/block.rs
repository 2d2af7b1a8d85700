//! What the ledger is told: who attests, and what a transaction may be. Block 0
//! itself is made by the ledger from that, the members and the contracts.

use consensus::ReplicaSet;
use ledger::{Attesters, Limits};

use crate::params::Parameters;

/// Replica `i` is attester `i`: a block is attested by the CHECKPOINTs of a quorum.
pub(crate) fn attesters(replicas: &ReplicaSet) -> Attesters {
    let keys = replicas.ids().filter_map(|id| replicas.key(id)).collect();
    Attesters::new(keys, replicas.quorum()).expect("the keys of a replica set are distinct")
}

/// What a transaction may be in a network of these parameters and replicas.
pub(crate) fn limits(parameters: &Parameters, replicas: &ReplicaSet) -> Limits {
    Limits {
        max_transaction_bytes: parameters.max_transaction_bytes,
        replicas: replicas.n(),
    }
}
