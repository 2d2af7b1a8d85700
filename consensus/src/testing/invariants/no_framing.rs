//! No framing: evidence holds, and it is against a faulty replica.

use std::collections::BTreeSet;

use super::{Invariant, Observation};
use crate::{Config, ReplicaId, ReplicaSet};

pub(super) struct NoFraming {
    replicas: ReplicaSet,
    network: crypto::NetworkId,
    byzantine: BTreeSet<ReplicaId>,
}

impl NoFraming {
    pub(super) fn new(config: &Config, byzantine: &BTreeSet<ReplicaId>) -> Self {
        Self {
            replicas: config.replicas.clone(),
            network: config.network,
            byzantine: byzantine.clone(),
        }
    }
}

impl Invariant for NoFraming {
    fn name(&self) -> &'static str {
        "no_framing"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Accuses { node, evidence } = seen else {
            return Ok(());
        };
        let what = evidence.summary();
        if let Err(reason) = evidence.verify(&self.replicas, &self.network) {
            return Err(format!("{node} has no proof that {what}: {reason}"));
        }
        if self.byzantine.contains(&evidence.signer()) {
            return Ok(());
        }
        Err(format!("{node} has proof that {what}, and it is correct"))
    }
}
