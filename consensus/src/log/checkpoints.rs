//! What replicas attest about executed sequence numbers, this one included
//! (paper, 4.3).

use std::collections::BTreeMap;

use super::{Added, Votes};
use crate::message::{Checkpoint, Signed};
use crate::{CheckpointCertificate, CheckpointDigest, SequenceNumber};

/// The attestations of one sequence number.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Attested {
    /// The CHECKPOINTs, this replica's own among them.
    pub(crate) votes: Votes<Checkpoint>,
    /// What this replica's own execution led to.
    pub(crate) outcome: Option<CheckpointDigest>,
    /// A quorum of equal attestations, made here or received.
    pub(crate) certificate: Option<CheckpointCertificate>,
    /// Whether the certificate agrees with `outcome` and was handed out.
    pub(crate) certified: bool,
}

/// The attestations in a bounded range of sequence numbers. It reaches below
/// the low watermark, because every block needs its own certificate and a late
/// one must still find its place.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Checkpoints {
    by_sequence: BTreeMap<SequenceNumber, Attested>,
}

impl Checkpoints {
    /// The entry of `sequence`, made if need be.
    pub(crate) fn entry(&mut self, sequence: SequenceNumber) -> &mut Attested {
        self.by_sequence.entry(sequence).or_default()
    }

    /// The entry of `sequence`.
    pub(crate) fn get(&self, sequence: SequenceNumber) -> Option<&Attested> {
        self.by_sequence.get(&sequence)
    }

    /// Takes in a CHECKPOINT.
    pub(crate) fn add(&mut self, vote: Signed<Checkpoint>) -> Added<Checkpoint> {
        self.entry(vote.body.sequence).votes.add(vote)
    }

    /// Every entry, in ascending order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (SequenceNumber, &Attested)> {
        self.by_sequence
            .iter()
            .map(|(sequence, entry)| (*sequence, entry))
    }

    /// The newest certificate that agrees with this replica's own outcome.
    pub(crate) fn newest_certified(&self) -> Option<&CheckpointCertificate> {
        self.iter()
            .rev()
            .find(|(_, entry)| entry.certified)
            .and_then(|(_, entry)| entry.certificate.as_ref())
    }

    /// What this replica executed and has no certificate of, in ascending order.
    pub(crate) fn uncertified(&self) -> impl Iterator<Item = SequenceNumber> {
        self.iter()
            .filter(|(_, entry)| entry.outcome.is_some() && !entry.certified)
            .map(|(sequence, _)| sequence)
    }

    /// The first sequence number that was executed here and that no quorum has
    /// attested yet, itself or by a later one.
    pub(crate) fn first_unattested(&self) -> Option<SequenceNumber> {
        let attested = self.newest_certified();
        let attested = attested.map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        let mut later = self.by_sequence.range(attested.next()..);
        let first = later.find(|(_, entry)| entry.outcome.is_some());
        first.map(|(sequence, _)| *sequence)
    }

    /// Forgets everything up to `through`.
    pub(crate) fn discard(&mut self, through: SequenceNumber) {
        self.by_sequence = self.by_sequence.split_off(&through.next());
    }
}
