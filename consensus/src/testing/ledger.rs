//! A ledger that only hashes: the outcome of a block follows from the outcome
//! before it, its sequence number and its batch. Like the real one it applies
//! a request once and counts it as a duplicate ever after.

use std::collections::BTreeMap;
use std::sync::Arc;

use crypto::codec::{self, Encode};
use crypto::{Digest, Domain};

use super::node::Divergence;
use crate::{
    Batch, CheckpointCertificate, CheckpointDigest, Position, RequestDigest, SequenceNumber,
};

/// A request in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
pub(crate) struct Request {
    /// Which of the clients' requests it is.
    pub(crate) number: u32,
}

impl Request {
    pub(crate) fn digest(self) -> RequestDigest {
        RequestDigest(Domain::Proposal.hash(&codec::encode(&self)))
    }
}

/// An executed batch.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) sequence: SequenceNumber,
    pub(crate) timestamp_ms: u64,
    pub(crate) batch: Batch,
    /// The requests of the batch, in full and in its order.
    pub(crate) requests: Vec<Request>,
    /// Those of them that were not applied before.
    pub(crate) applied: Vec<RequestDigest>,
    pub(crate) outcome: CheckpointDigest,
}

/// A block as it is handed to a peer.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) block: Arc<Block>,
    pub(crate) certificate: Option<CheckpointCertificate>,
}

/// What a client is shown: its request is in this block, and a quorum attests
/// that block or one built on it.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) request: RequestDigest,
    pub(crate) sequence: SequenceNumber,
    pub(crate) outcome: CheckpointDigest,
    pub(crate) certificate: CheckpointCertificate,
}

/// A chain of blocks and the certificates for them.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    blocks: Vec<Arc<Block>>,
    certificates: BTreeMap<SequenceNumber, CheckpointCertificate>,
    applied: BTreeMap<RequestDigest, SequenceNumber>,
    /// Whether its state is not what its blocks led to.
    altered: bool,
}

impl Ledger {
    /// The last sequence number executed.
    pub(crate) fn tip(&self) -> SequenceNumber {
        self.blocks
            .last()
            .map_or(SequenceNumber::GENESIS, |block| block.sequence)
    }

    fn outcome(&self) -> CheckpointDigest {
        self.blocks
            .last()
            .map_or(CheckpointDigest(Digest::ZERO), |block| block.outcome)
    }

    pub(crate) fn block(&self, sequence: SequenceNumber) -> Option<&Arc<Block>> {
        let index = usize::try_from(sequence.0.checked_sub(1)?).ok()?;
        self.blocks.get(index)
    }

    /// Whether some block has another outcome there.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        let mut both = self.blocks.iter().zip(&other.blocks);
        both.any(|(one, other)| one.outcome != other.outcome)
    }

    pub(crate) fn certificate(&self, sequence: SequenceNumber) -> Option<&CheckpointCertificate> {
        self.certificates.get(&sequence)
    }

    pub(crate) fn newest_certificate(&self) -> Option<&CheckpointCertificate> {
        self.certificates.values().next_back()
    }

    /// How many blocks have no certificate of their own.
    pub(crate) fn uncertified(&self) -> usize {
        self.blocks.len() - self.certificates.len()
    }

    /// Its state is not any more what its blocks led to.
    pub(crate) fn alter_state(&mut self) {
        self.altered = true;
    }

    /// A bug: from now on everything is news.
    pub(crate) fn forget_applied(&mut self) {
        self.applied.clear();
    }

    /// Where this request was applied.
    pub(crate) fn applied_at(&self, request: &RequestDigest) -> Option<SequenceNumber> {
        self.applied.get(request).copied()
    }

    /// The request of this digest, if a block has it.
    pub(crate) fn request(&self, digest: &RequestDigest) -> Option<Request> {
        let block = self.block(self.applied_at(digest)?)?;
        block
            .requests
            .iter()
            .find(|request| request.digest() == *digest)
            .copied()
    }

    /// A block as it would be a moment later: it follows on its predecessor as
    /// well as the one that was executed.
    pub(crate) fn another(&self, block: &Block) -> Block {
        let before = self.block(block.sequence.saturating_sub(1));
        let previous = before.map_or(CheckpointDigest(Digest::ZERO), |of| of.outcome);
        let timestamp_ms = block.timestamp_ms + 1;
        let outcome = (previous, block.sequence, timestamp_ms, block.batch.digest());
        Block {
            sequence: block.sequence,
            timestamp_ms,
            batch: block.batch.clone(),
            requests: block.requests.clone(),
            applied: block.applied.clone(),
            outcome: CheckpointDigest(Domain::BlockHeader.hash(&codec::encode(&outcome))),
        }
    }

    /// Executes a batch on the tip, without keeping it.
    pub(crate) fn execute(
        &self,
        sequence: SequenceNumber,
        timestamp_ms: u64,
        batch: &Batch,
        requests: Vec<Request>,
    ) -> Block {
        let outcome = (self.outcome(), sequence, timestamp_ms, batch.digest());
        let mut outcome = Domain::BlockHeader.hash(&codec::encode(&outcome));
        if self.altered {
            outcome = Domain::BlockHeader.hash(outcome.as_bytes());
        }
        let applied = batch
            .requests
            .iter()
            .filter(|request| !self.applied.contains_key(request))
            .copied()
            .collect();
        Block {
            sequence,
            timestamp_ms,
            batch: batch.clone(),
            requests,
            applied,
            outcome: CheckpointDigest(outcome),
        }
    }

    pub(crate) fn append(&mut self, block: Arc<Block>) {
        assert_eq!(
            block.sequence,
            self.tip().next(),
            "a block follows on the tip"
        );
        let placed = if planted!(LastPlaceCounts) {
            &block.batch.requests
        } else {
            &block.applied
        };
        for request in placed {
            self.applied.insert(*request, block.sequence);
        }
        self.blocks.push(block);
    }

    pub(crate) fn put_certificate(&mut self, certificate: CheckpointCertificate) {
        let sequence = certificate.checkpoint.sequence;
        let block = self
            .block(sequence)
            .expect("a certificate comes after its block");
        assert_eq!(
            block.outcome, certificate.checkpoint.digest,
            "a certificate attests its block"
        );
        self.certificates.insert(sequence, certificate);
    }

    /// Re-executes what a peer served and takes as many blocks as a valid
    /// certificate covers; `valid` says which is. Fails when one is for another
    /// outcome of a block than comes of it here.
    pub(crate) fn check_served(
        &self,
        served: Vec<Served>,
        mut valid: impl FnMut(&CheckpointCertificate) -> bool,
    ) -> Result<Vec<Served>, Divergence> {
        let mut scratch = self.clone();
        let mut accepted: Vec<Served> = Vec::new();
        let mut covered = 0;
        for Served { block, certificate } in served {
            if block.sequence != scratch.tip().next() {
                continue;
            }
            let (sequence, time) = (block.sequence, block.timestamp_ms);
            let own = scratch.execute(sequence, time, &block.batch, block.requests.clone());
            let certificate = certificate
                .filter(|of| of.checkpoint.sequence == own.sequence)
                .filter(|of| of.checkpoint.digest == block.outcome)
                .filter(|of| planted!(BelieveBlocks) || valid(of));
            if own.outcome != block.outcome {
                // On what nobody attests anything may follow.
                if certificate.is_some() && covered == accepted.len() {
                    return Err(Divergence {
                        sequence,
                        own: own.outcome,
                        attested: block.outcome,
                    });
                }
                break;
            }
            scratch.append(Arc::new(own));
            accepted.push(Served { block, certificate });
            if accepted.last().is_some_and(|of| of.certificate.is_some()) {
                covered = accepted.len();
            }
        }
        accepted.truncate(covered);
        Ok(accepted)
    }

    /// The blocks after `after`, at most so many.
    pub(crate) fn serve(&self, after: SequenceNumber, most: usize) -> Vec<Served> {
        self.blocks
            .iter()
            .skip_while(|block| block.sequence <= after)
            .take(most)
            .map(|block| Served {
                block: block.clone(),
                certificate: self.certificate(block.sequence).cloned(),
            })
            .collect()
    }

    pub(crate) fn receipt(&self, request: RequestDigest) -> Option<Receipt> {
        let sequence = self.applied_at(&request)?;
        let (_, certificate) = self.certificates.range(sequence..).next()?;
        Some(Receipt {
            request,
            sequence,
            outcome: self.block(sequence)?.outcome,
            certificate: certificate.clone(),
        })
    }

    pub(crate) fn position(&self) -> Position {
        let stable = self.newest_certificate().cloned();
        let covered = stable
            .as_ref()
            .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        Position {
            last_executed: self.tip(),
            timestamp_ms: self.blocks.last().map_or(0, |block| block.timestamp_ms),
            stable,
            outcomes: self
                .blocks
                .iter()
                .skip_while(|block| block.sequence <= covered)
                .map(|block| (block.sequence, block.outcome))
                .collect(),
        }
    }
}
