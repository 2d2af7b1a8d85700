//! Certificates: whatever a node keeps as a quorum's attestation carries the
//! valid signatures of a quorum of distinct replicas.

use std::collections::BTreeSet;

use crypto::{NetworkId, Signature};

use super::{Invariant, Observation};
use crate::message::{Checkpoint, Message, Signed};
use crate::{
    CheckpointCertificate, CheckpointDigest, Config, ReplicaId, ReplicaSet, SequenceNumber,
};

/// A CHECKPOINT whose signature is known to hold.
type Known = (SequenceNumber, CheckpointDigest, ReplicaId, Signature);

pub(super) struct Certificates {
    replicas: ReplicaSet,
    network: NetworkId,
    known: BTreeSet<Known>,
}

impl Certificates {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            replicas: config.replicas.clone(),
            network: config.network,
            known: BTreeSet::new(),
        }
    }

    fn check(&mut self, certificate: &CheckpointCertificate) -> Result<(), String> {
        let body = certificate.checkpoint;
        let mut signers = BTreeSet::new();
        for (signer, signature) in &certificate.signatures {
            self.check_signature(body, *signer, *signature)?;
            signers.insert(*signer);
        }
        let needed = self.replicas.quorum();
        if signers.len() < needed {
            let found = signers.len();
            return Err(format!("it has {found} signers, {needed} are needed"));
        }
        Ok(())
    }

    fn check_signature(
        &mut self,
        body: Checkpoint,
        signer: ReplicaId,
        signature: Signature,
    ) -> Result<(), String> {
        let known = (body.sequence, body.digest, signer, signature);
        if self.known.contains(&known) {
            return Ok(());
        }
        let key = self.replicas.key(signer).ok_or("a signer is a stranger")?;
        let vote = Signed {
            body,
            signer,
            signature,
        };
        let verdict = vote.claim(key, &self.network).verify();
        verdict.map_err(|error| error.to_string())?;
        self.known.insert(known);
        Ok(())
    }
}

impl Invariant for Certificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            // What leaves a node has been verified.
            Observation::Sends {
                message: Message::Checkpoint(vote),
                ..
            } => {
                let body = vote.body;
                self.known
                    .insert((body.sequence, body.digest, vote.signer, vote.signature));
                Ok(())
            }
            Observation::Certifies { node, certificate } => {
                let sequence = certificate.checkpoint.sequence;
                self.check(certificate)
                    .map_err(|what| format!("{node} keeps a bad certificate of {sequence}: {what}"))
            }
            _ => Ok(()),
        }
    }
}
