//! Persist before send: a vote leaves a node only when a durable record covers
//! it, or a durable certificate says that its sequence number is past.

use super::{Invariant, Kind, Observation, vote_of};
use crate::message::{Message, PrePrepare};
use crate::testing::disk::Contents;
use crate::{Record, ReplicaId, SequenceNumber};

pub(super) struct PersistBeforeSend;

impl Invariant for PersistBeforeSend {
    fn name(&self) -> &'static str {
        "persist_before_send"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Result<(), String> {
        let Observation::Sends {
            node,
            message,
            durable,
        } = seen
        else {
            return Ok(());
        };
        if let Message::Checkpoint(vote) = message
            && vote.signer == *node
        {
            let sequence = vote.body.sequence;
            let stored = durable.ledger.block(sequence).map(|block| block.outcome);
            if stored != Some(vote.body.digest) {
                return Err(format!(
                    "{node} attests {sequence}, and on its disk there is {stored:?}"
                ));
            }
        }
        if let Some(name) = lacks_view_record(durable, message, *node) {
            return Err(format!(
                "the {name} leaves {node}, and no durable record is it"
            ));
        }
        let Some(vote) = vote_of(message).filter(|vote| vote.signer == *node) else {
            return Ok(());
        };
        if covers(durable, vote.kind, vote.place) {
            return Ok(());
        }
        let name = message.name();
        let sequence = vote.place.sequence;
        Err(format!(
            "the {name} of {sequence} leaves {node}, and no durable record covers it"
        ))
    }
}

/// Whether this is the node's own VIEW-CHANGE or NEW-VIEW without its record.
fn lacks_view_record(
    durable: &Contents,
    message: &Message,
    node: ReplicaId,
) -> Option<&'static str> {
    let record = match message {
        Message::ViewChange(vote) if vote.signer == node => Record::ViewChange(vote.clone()),
        Message::NewView(of) if of.signer == node => Record::NewView(of.clone()),
        _ => return None,
    };
    (durable.record(&record.key()) != Some(record)).then(|| message.name())
}

fn covers(durable: &Contents, kind: Kind, place: PrePrepare) -> bool {
    let stable = durable
        .ledger
        .newest_certificate()
        .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
    place.sequence <= stable
        || durable
            .records()
            .iter()
            .any(|record| permits(record, kind, place))
}

fn permits(record: &Record, kind: Kind, place: PrePrepare) -> bool {
    match (record, kind) {
        (Record::PrePrepared(proposed), Kind::PrePrepare | Kind::Prepare) => {
            proposed.pre_prepare.body == place
        }
        (Record::NewView(of), Kind::PrePrepare) => {
            of.body.pre_prepares.iter().any(|of| of.body == place)
        }
        (Record::Prepared(certificate), Kind::Commit) => certificate.pre_prepare.body == place,
        _ => false,
    }
}
