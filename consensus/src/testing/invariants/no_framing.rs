//! No framing: evidence holds, and it is against a faulty replica.
//!
//! A replica that has lost its disk counts as faulty, and does not know what it had
//! said of views: it may say something else of one. Of sequence numbers it may not.

use std::collections::BTreeSet;

use super::{Invariant, Observation};
use crate::{Config, Evidence, ReplicaId, ReplicaSet};

pub(super) struct NoFraming {
    replicas: ReplicaSet,
    network: crypto::NetworkId,
    byzantine: BTreeSet<ReplicaId>,
    without_disk: BTreeSet<ReplicaId>,
}

impl NoFraming {
    pub(super) fn new(config: &Config, byzantine: &BTreeSet<ReplicaId>) -> Self {
        Self {
            replicas: config.replicas.clone(),
            network: config.network,
            byzantine: byzantine.clone(),
            without_disk: BTreeSet::new(),
        }
    }
}

impl Invariant for NoFraming {
    fn name(&self) -> &'static str {
        "no_framing"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let (node, evidence) = match seen {
            Observation::LosesDisk { node } => {
                self.without_disk.insert(*node);
                return Ok(());
            }
            Observation::Accuses { node, evidence } => (node, evidence),
            _ => return Ok(()),
        };
        let what = evidence.summary();
        if let Err(reason) = evidence.verify(&self.replicas, &self.network) {
            return Err(format!("{node} has no proof that {what}: {reason}"));
        }
        let signer = evidence.signer();
        let of_a_view = matches!(evidence, Evidence::ViewChange(..) | Evidence::NewView(..));
        if self.byzantine.contains(&signer) || (of_a_view && self.without_disk.contains(&signer)) {
            return Ok(());
        }
        Err(format!("{node} has proof that {what}, and it is correct"))
    }
}
