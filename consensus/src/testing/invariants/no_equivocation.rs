//! No equivocation: no key ever signs two different statements for one kind,
//! view and sequence number, over all lives of its node.

use std::collections::BTreeMap;

use super::{Invariant, Kind, Observation, vote_of};
use crate::message::Message;
use crate::{BatchDigest, CheckpointDigest, ReplicaId, SequenceNumber, View};

#[derive(Default)]
pub(super) struct NoEquivocation {
    votes: BTreeMap<(ReplicaId, Kind, View, SequenceNumber), BatchDigest>,
    attested: BTreeMap<(ReplicaId, SequenceNumber), CheckpointDigest>,
}

impl Invariant for NoEquivocation {
    fn name(&self) -> &'static str {
        "no_equivocation"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Sends { message, .. } = seen else {
            return Ok(());
        };
        let name = message.name();
        if let Message::Checkpoint(vote) = message {
            let (signer, sequence) = (vote.signer, vote.body.sequence);
            let found = vote.body.digest;
            let said = *self.attested.entry((signer, sequence)).or_insert(found);
            if said != found {
                return Err(format!(
                    "{signer} signs {name} of {sequence} for {said} and for {found}"
                ));
            }
        }
        if let Some(vote) = vote_of(message) {
            let (signer, found) = (vote.signer, vote.place.digest);
            let (view, sequence) = (vote.place.view, vote.place.sequence);
            let place = (signer, vote.kind, view, sequence);
            let said = *self.votes.entry(place).or_insert(found);
            if said != found {
                return Err(format!(
                    "{signer} signs {name} of {view} {sequence} for {said} and for {found}"
                ));
            }
        }
        Ok(())
    }
}
