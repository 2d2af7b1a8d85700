//! The parameters of consensus, checked: every combination that comes out of
//! here is one under which replicas can work.

use std::time::Duration;

use consensus::certificate::PreparedCertificate;
use consensus::message::{PrePrepare, Proposed, Signed};
use consensus::{
    Batch, BatchDigest, Message, Record, ReplicaId, ReplicaSet, RequestDigest, SequenceNumber, View,
};
use crypto::{Digest, Signature};

use crate::document::ConsensusDocument;
use crate::error::{GenesisError, Problem, at};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;

/// What a replica may have to hold for a faulty primary that fills the log
/// window with the largest batches.
const MAX_WINDOW_BYTES: u64 = 1024 * MIB;

/// The parameters that all replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How many transactions a batch may name.
    pub max_batch_transactions: usize,
    /// How many bytes the transactions of a batch may have together.
    pub max_batch_bytes: usize,
    /// How many bytes a transaction may have.
    pub max_transaction_bytes: usize,
    /// Every how many sequence numbers the low watermark moves.
    pub checkpoint_interval: u64,
    /// How many sequence numbers lie between the watermarks.
    pub log_window: u64,
    /// How many batches the primary keeps in flight.
    pub max_in_flight: u64,
    /// Starts when a backup holds a request; when it fires and the request is
    /// not executed, the backup suspects the primary.
    pub request_timeout: Duration,
    /// Where the doubling of the request timeout ends.
    pub request_timeout_cap: Duration,
    /// How far ahead of its own clock a backup lets a batch be.
    pub max_timestamp_ahead: Duration,
    /// How often an idle replica tells the others where it stands.
    pub status_interval: Duration,
}

impl Parameters {
    /// Checks the parameters of a network of these replicas.
    pub(crate) fn check(
        document: &ConsensusDocument,
        replicas: &ReplicaSet,
    ) -> Result<Self, GenesisError> {
        let d = document;
        let max_bytes =
            Range::new("max_transaction_bytes", KIB, 4 * MIB).check(d.max_transaction_bytes)?;
        let batch_bytes = Range::new("max_batch_bytes", max_bytes, 32 * MIB)
            .because(" (a batch has room for the largest transaction)")
            .check(d.max_batch_bytes)?;
        let batch = Range::new("max_batch_transactions", 1, largest_batch(replicas))
            .because(" (what fits into a PRE-PREPARE and into a record of it)")
            .check(d.max_batch_transactions)?;
        let interval = Range::new("checkpoint_interval", 1, 512).check(d.checkpoint_interval)?;
        let widest = (MAX_WINDOW_BYTES / batch_bytes).min(1024);
        let window = Range::new("log_window", interval.saturating_mul(2), widest)
            .because(" (the window spans two checkpoint intervals, and its batches fit into 1 GiB)")
            .check(d.log_window)?;
        let in_flight = Range::new("max_in_flight", 1, window)
            .because(" (what is in flight lies in the log window)")
            .check(d.max_in_flight)?;
        let timeout = Range::new("request_timeout_ms", 10, HOUR).check(d.request_timeout_ms)?;
        let cap = Range::new("request_timeout_cap_ms", timeout, HOUR)
            .because(" (the request timeout grows up to its cap)")
            .check(d.request_timeout_cap_ms)?;
        let ahead =
            Range::new("max_timestamp_ahead_ms", 1, 24 * HOUR).check(d.max_timestamp_ahead_ms)?;
        let status =
            Range::new("status_interval_ms", 10, 60 * SECOND).check(d.status_interval_ms)?;
        Ok(Self {
            max_batch_transactions: size(batch),
            max_batch_bytes: size(batch_bytes),
            max_transaction_bytes: size(max_bytes),
            checkpoint_interval: interval,
            log_window: window,
            max_in_flight: in_flight,
            request_timeout: Duration::from_millis(timeout),
            request_timeout_cap: Duration::from_millis(cap),
            max_timestamp_ahead: Duration::from_millis(ahead),
            status_interval: Duration::from_millis(status),
        })
    }
}

fn size(checked: u64) -> usize {
    usize::try_from(checked).expect("every range checked here ends below 2^32")
}

/// What one parameter may be.
struct Range {
    name: &'static str,
    min: u64,
    max: u64,
    because: &'static str,
}

impl Range {
    fn new(name: &'static str, min: u64, max: u64) -> Self {
        Self {
            name,
            min,
            max,
            because: "",
        }
    }

    fn because(self, because: &'static str) -> Self {
        Self { because, ..self }
    }

    fn check(self, found: u64) -> Result<u64, GenesisError> {
        if (self.min..=self.max).contains(&found) {
            return Ok(found);
        }
        let problem = Problem::OutOfRange {
            min: self.min,
            max: self.max,
            because: self.because,
            found,
        };
        Err(at(format!("consensus.{}", self.name), problem))
    }
}

/// How many requests a batch can name so that a PRE-PREPARE of it fits into a
/// message, and every record of it into a record: measured, not computed, so
/// that it cannot drift from the types.
fn largest_batch(replicas: &ReplicaSet) -> u64 {
    let signed = |body| Signed {
        body,
        signer: ReplicaId(0),
        signature: Signature([0; 64]),
    };
    let pre_prepare = || {
        signed(PrePrepare {
            view: View(0),
            sequence: SequenceNumber(0),
            digest: BatchDigest(Digest::ZERO),
        })
    };
    let proposed = |requests| Proposed {
        pre_prepare: pre_prepare(),
        batch: Batch {
            timestamp_ms: 0,
            requests,
        },
    };
    let message = |requests| Message::PrePrepare(proposed(requests)).encode().len();
    let record = Record::PrePrepared(proposed(Vec::new())).encode().len();
    let prepared = Record::Prepared(PreparedCertificate {
        pre_prepare: pre_prepare(),
        prepares: vec![(ReplicaId(0), Signature([0; 64])); replicas.n()],
    });
    assert!(
        prepared.encode().len() <= Record::MAX_BYTES,
        "a prepared certificate of the largest replica set fits into a record"
    );
    let per_request = message(vec![RequestDigest(Digest::ZERO)]) - message(Vec::new());
    let room = (Message::MAX_BYTES - message(Vec::new())).min(Record::MAX_BYTES - record);
    (room / per_request) as u64
}

#[cfg(test)]
mod tests {
    use crypto::{PublicKey, SigningKey};

    use super::*;

    fn replicas(n: u8) -> ReplicaSet {
        let key = |i| -> PublicKey { SigningKey::from_seed(&[i; 32]).public() };
        ReplicaSet::new((1..=n).map(key).collect()).unwrap()
    }

    fn pre_prepare_of(requests: u64) -> Message {
        Message::PrePrepare(Proposed {
            pre_prepare: Signed {
                body: PrePrepare {
                    view: View(u64::MAX),
                    sequence: SequenceNumber(u64::MAX),
                    digest: BatchDigest(Digest([255; 32])),
                },
                signer: ReplicaId(u32::MAX),
                signature: Signature([255; 64]),
            },
            batch: Batch {
                timestamp_ms: u64::MAX,
                requests: (0..requests).map(|_| RequestDigest(Digest::ZERO)).collect(),
            },
        })
    }

    #[test]
    fn the_largest_batch_that_is_allowed_fits_into_a_message_and_one_more_does_not() {
        let largest = largest_batch(&replicas(4));
        assert!(Message::decode(&pre_prepare_of(largest).encode()).is_ok());
        assert!(Message::decode(&pre_prepare_of(largest + 1).encode()).is_err());
    }

    #[test]
    fn the_default_parameters_are_accepted_for_any_number_of_replicas() {
        for n in [1, 2, 3, 4, 7, 100] {
            assert!(Parameters::check(&ConsensusDocument::default(), &replicas(n)).is_ok());
        }
    }
}
