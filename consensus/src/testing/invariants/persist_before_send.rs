//! Persist before send: a vote leaves a node only when a durable record covers
//! it, or a durable certificate says that its sequence number is past.

use super::{Invariant, Kind, Observation, vote_of};
use crate::certificate::PreparedCertificate;
use crate::message::{Message, PrePrepare, Proposed, Signed};
use crate::testing::disk::Contents;
use crate::{Batch, Record, ReplicaId, SequenceNumber};

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
        let Some(vote) = vote_of(message).filter(|vote| vote.signer == *node) else {
            return Ok(());
        };
        if covers(durable, vote.kind, vote.place, *node) {
            return Ok(());
        }
        let name = message.name();
        let sequence = vote.place.sequence;
        Err(format!(
            "the {name} of {sequence} leaves {node}, and no durable record covers it"
        ))
    }
}

fn covers(durable: &Contents, kind: Kind, place: PrePrepare, node: ReplicaId) -> bool {
    let stable = durable
        .ledger
        .newest_certificate()
        .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
    let key = record_of(kind, place, node).key();
    place.sequence <= stable || durable.vote(&key) == Some(place.digest)
}

/// A record of the kind that covers such a vote, for its key alone.
fn record_of(kind: Kind, place: PrePrepare, signer: ReplicaId) -> Record {
    let pre_prepare = Signed {
        body: place,
        signer,
        signature: crypto::Signature([0; 64]),
    };
    match kind {
        Kind::PrePrepare | Kind::Prepare => Record::PrePrepared(Proposed {
            pre_prepare,
            batch: Batch {
                timestamp_ms: 0,
                requests: Vec::new(),
            },
        }),
        Kind::Commit => Record::Prepared(PreparedCertificate {
            pre_prepare,
            prepares: Vec::new(),
        }),
    }
}
