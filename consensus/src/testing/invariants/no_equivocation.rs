//! No equivocation: no key ever signs two different statements for one kind,
//! view and sequence number, over all lives of its node. What a NEW-VIEW begins with
//! its primary has proposed.

use std::collections::BTreeMap;

use super::{Invariant, Kind, Observation, Vote, vote_of};
use crate::message::{Message, PrePrepare};
use crate::{BatchDigest, CheckpointDigest, ReplicaId, SequenceNumber, View};

#[derive(Default)]
pub(super) struct NoEquivocation {
    votes: BTreeMap<(ReplicaId, Kind, View, SequenceNumber), BatchDigest>,
    attested: BTreeMap<(ReplicaId, SequenceNumber), CheckpointDigest>,
    /// VIEW-CHANGEs and NEW-VIEWs as they were signed.
    views: BTreeMap<(ReplicaId, &'static str, View), Vec<u8>>,
}

impl Invariant for NoEquivocation {
    fn name(&self) -> &'static str {
        "no_equivocation"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        if let Observation::LosesDisk { node } = seen {
            // It cannot know what it wanted, only what it can have voted for.
            self.views.retain(|(signer, ..), _| signer != node);
        }
        let Observation::Sends { node, message, .. } = seen else {
            return Ok(());
        };
        let name = message.name();
        if let Message::Checkpoint(vote) = message
            && vote.signer == *node
        {
            let (signer, sequence) = (vote.signer, vote.body.sequence);
            let found = vote.body.digest;
            let said = *self.attested.entry((signer, sequence)).or_insert(found);
            if said != found {
                return Err(format!(
                    "{signer} signs {name} of {sequence} for {said} and for {found}"
                ));
            }
        }
        let of_view = match message {
            Message::ViewChange(vote) => Some((vote.signer, vote.body.view)),
            Message::NewView(new_view) => Some((new_view.signer, new_view.body.view)),
            _ => None,
        };
        if let Some((signer, view)) = of_view.filter(|(signer, _)| signer == node) {
            let bytes = message.encode();
            let said = self.views.entry((signer, name, view));
            if *said.or_insert_with(|| bytes.clone()) != bytes {
                return Err(format!("{signer} signs two different {name} for {view}"));
            }
        }
        for vote in votes_in(message).filter(|vote| vote.signer == *node) {
            let PrePrepare {
                view,
                sequence,
                digest: found,
            } = vote.place;
            let place = (vote.signer, vote.kind, view, sequence);
            let said = *self.votes.entry(place).or_insert(found);
            if said != found {
                return Err(format!(
                    "{node} signs {name} of {view} {sequence} for {said} and for {found}"
                ));
            }
        }
        Ok(())
    }
}

/// The votes in a message: what a NEW-VIEW begins with are proposals.
fn votes_in(message: &Message) -> impl Iterator<Item = Vote> {
    let begun_with = match message {
        Message::NewView(new_view) => &new_view.body.pre_prepares[..],
        _ => &[],
    };
    let proposals = begun_with.iter().map(|signed| Vote {
        signer: signed.signer,
        kind: Kind::PrePrepare,
        place: signed.body,
    });
    proposals.chain(vote_of(message))
}
