//! Quorum-backed: a COMMIT is signed only by a replica that was given the
//! PRE-PREPARE and matching PREPAREs of a quorum less one of distinct backups
//! (its own counts), and a batch is executed only when a quorum's COMMITs were
//! given. What was given is counted here, over all lives of the node, from the
//! messages alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Kind, Observation, Vote, key_of, vote_of};
use crate::message::{Message, PrePrepare};
use crate::{
    BatchDigest, Effect, Input, PreparedCertificate, Record, ReplicaId, ReplicaSet, SequenceNumber,
    View,
};

type Place = (View, SequenceNumber, BatchDigest);

/// What a node was given, and what it said itself.
#[derive(Default)]
struct Given {
    pre_prepares: BTreeSet<Place>,
    prepares: BTreeMap<Place, BTreeSet<ReplicaId>>,
    commits: BTreeMap<Place, BTreeSet<ReplicaId>>,
}

impl Given {
    fn add(&mut self, vote: Vote) {
        let place = key_of(&vote.place);
        match vote.kind {
            Kind::PrePrepare => {
                self.pre_prepares.insert(place);
            }
            Kind::Prepare => {
                self.prepares.entry(place).or_default().insert(vote.signer);
            }
            Kind::Commit => {
                self.commits.entry(place).or_default().insert(vote.signer);
            }
        }
    }
}

pub(super) struct QuorumBacked {
    replicas: ReplicaSet,
    nodes: BTreeMap<ReplicaId, Given>,
}

impl QuorumBacked {
    pub(super) fn new(replicas: ReplicaSet) -> Self {
        Self {
            replicas,
            nodes: BTreeMap::new(),
        }
    }

    /// What the node is about to say itself, in the order of its effects.
    fn answer(&mut self, node: ReplicaId, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Persist(Record::PrePrepared(proposed)) => {
                let place = proposed.pre_prepare.body;
                self.stands_by(node, place)
            }
            Effect::Persist(Record::Prepared(certificate)) => {
                self.check_certificate(node, certificate)?;
                self.commits(node, certificate.pre_prepare.body)
            }
            Effect::Broadcast(message) | Effect::Send { message, .. } => {
                let own = vote_of(message).filter(|vote| vote.signer == node);
                match own {
                    Some(vote) if matches!(message, Message::Commit(_)) => {
                        self.commits(node, vote.place)
                    }
                    _ => Ok(()),
                }
            }
            Effect::Execute {
                sequence, batch, ..
            } => self.executes(node, *sequence, batch.digest()),
            _ => Ok(()),
        }
    }

    /// The primary makes the PRE-PREPARE; a backup was given it and prepares.
    fn stands_by(&mut self, node: ReplicaId, place: PrePrepare) -> Result<(), String> {
        let primary = self.replicas.primary(place.view) == node;
        let given = self.nodes.entry(node).or_default();
        let key = key_of(&place);
        if primary {
            given.pre_prepares.insert(key);
        } else if given.pre_prepares.contains(&key) {
            given.prepares.entry(key).or_default().insert(node);
        } else {
            let sequence = place.sequence;
            return Err(format!(
                "{node} stands by {sequence} without having its PRE-PREPARE"
            ));
        }
        Ok(())
    }

    fn commits(&mut self, node: ReplicaId, place: PrePrepare) -> Result<(), String> {
        let needed = self.replicas.quorum() - 1;
        let primary = self.replicas.primary(place.view);
        let given = self.nodes.entry(node).or_default();
        let key = key_of(&place);
        let prepares = given.prepares.get(&key).map_or(0, |of| {
            of.iter().filter(|signer| **signer != primary).count()
        });
        if !given.pre_prepares.contains(&key) || prepares < needed {
            let sequence = place.sequence;
            return Err(format!(
                "{node} commits to {sequence} with {prepares} PREPAREs, {needed} are needed with the PRE-PREPARE"
            ));
        }
        given.commits.entry(key).or_default().insert(node);
        Ok(())
    }

    fn executes(
        &self,
        node: ReplicaId,
        sequence: SequenceNumber,
        digest: BatchDigest,
    ) -> Result<(), String> {
        let needed = self.replicas.quorum();
        let most = self
            .nodes
            .get(&node)
            .into_iter()
            .flat_map(|given| &given.commits)
            .filter(|((_, of, what), _)| (*of, *what) == (sequence, digest))
            .map(|(_, signers)| signers.len())
            .max()
            .unwrap_or(0);
        if most < needed {
            return Err(format!(
                "{node} executes {sequence} with {most} COMMITs, {needed} are needed"
            ));
        }
        Ok(())
    }

    fn check_certificate(
        &self,
        node: ReplicaId,
        certificate: &PreparedCertificate,
    ) -> Result<(), String> {
        let place = certificate.pre_prepare.body;
        let primary = self.replicas.primary(place.view);
        let signers: BTreeSet<_> = certificate
            .prepares
            .iter()
            .map(|(signer, _)| *signer)
            .filter(|signer| *signer != primary)
            .collect();
        let needed = self.replicas.quorum() - 1;
        if signers.len() < needed {
            let sequence = place.sequence;
            let found = signers.len();
            return Err(format!(
                "{node} takes {sequence} for prepared with {found} PREPAREs, {needed} are needed"
            ));
        }
        Ok(())
    }
}

impl Invariant for QuorumBacked {
    fn name(&self) -> &'static str {
        "quorum_backed"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        match seen {
            Observation::Takes {
                node,
                input: Input::Message { message, .. },
            } => {
                let given = self.nodes.entry(*node).or_default();
                if let Some(vote) = vote_of(message.message()) {
                    given.add(vote);
                }
                if let Message::NewView(new_view) = message.message() {
                    let statements = new_view.body.pre_prepares.iter();
                    given
                        .pre_prepares
                        .extend(statements.map(|signed| key_of(&signed.body)));
                }
            }
            Observation::Answers { node, effects } => {
                for effect in *effects {
                    self.answer(*node, effect)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
