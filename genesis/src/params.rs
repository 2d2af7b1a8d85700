//! The parameters of consensus, checked: every combination that comes out of
//! here is one under which replicas can work.

use std::time::Duration;

use consensus::certificate::PreparedCertificate;
use consensus::message::{Checkpoint, NewView, PrePrepare, Proposed, Signed, ViewChange};
use consensus::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Message, Record, ReplicaId,
    ReplicaSet, RequestDigest, SequenceNumber, View,
};
use crypto::{Digest, Signature};
use ledger::Limits;

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
        let least = KIB + Limits::signature_bytes(replicas.n()) as u64;
        let max_bytes = Range::new("max_transaction_bytes", least, 4 * MIB)
            .because(" (a transaction has room for an endorsement of every replica)")
            .check(d.max_transaction_bytes)?;
        let batch_bytes = Range::new("max_batch_bytes", max_bytes, 32 * MIB)
            .because(" (a batch has room for the largest transaction)")
            .check(d.max_batch_bytes)?;
        let batch = Range::new("max_batch_transactions", 1, largest_batch())
            .because(" (what fits into a PRE-PREPARE and into a record of it)")
            .check(d.max_batch_transactions)?;
        let interval = Range::new("checkpoint_interval", 1, 512).check(d.checkpoint_interval)?;
        let widest = (MAX_WINDOW_BYTES / batch_bytes).min(widest_window(replicas.n()));
        let window = Range::new("log_window", interval.saturating_mul(2), widest)
            .because(
                " (the window spans two checkpoint intervals, its batches fit into 1 GiB, and a NEW-VIEW of so many replicas into a message)",
            )
            .check(d.log_window)?;
        let in_flight = Range::new("max_in_flight", 1, window)
            .because(" (what is in flight lies in the log window)")
            .check(d.max_in_flight)?;
        let timeout = Range::new("request_timeout_ms", 10, HOUR).check(d.request_timeout_ms)?;
        let cap = Range::new("request_timeout_cap_ms", timeout.max(SECOND), HOUR)
            .because(" (the request timeout grows up to its cap, which must leave time to agree)")
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
fn largest_batch() -> u64 {
    let proposed = |requests| Proposed {
        pre_prepare: pre_prepare(),
        batch: Batch {
            timestamp_ms: 0,
            requests,
        },
    };
    let message = |requests| Message::PrePrepare(proposed(requests)).encode().len();
    let record = Record::PrePrepared(proposed(Vec::new())).encode().len();
    let per_request = message(vec![RequestDigest(Digest::ZERO)]) - message(Vec::new());
    let room = Message::MAX_PRE_PREPARE_BYTES - message(Vec::new()).max(record);
    (room / per_request) as u64
}

/// How wide the log window of so many replicas can be so that a NEW-VIEW in
/// which all of it prepared at everybody fits into a message: measured as well.
pub(crate) fn widest_window(replicas: usize) -> u64 {
    let faulty = replicas.saturating_sub(1) / 3;
    let quorum = usize::midpoint(replicas, faulty) + 1;
    let signatures = |count| vec![(ReplicaId(0), Signature([0; 64])); count];
    let prepared = PreparedCertificate {
        pre_prepare: pre_prepare(),
        prepares: signatures(quorum - 1),
    };
    let stable = CheckpointCertificate {
        checkpoint: Checkpoint {
            sequence: SequenceNumber(0),
            digest: CheckpointDigest(Digest::ZERO),
        },
        signatures: signatures(replicas),
    };
    let length = |window: usize| {
        let view_change = signed(ViewChange {
            view: View(0),
            stable: Some(stable.clone()),
            prepared: vec![prepared.clone(); window],
        });
        let new_view = Message::NewView(signed(NewView {
            view: View(0),
            view_changes: vec![view_change; quorum],
            pre_prepares: vec![pre_prepare(); window],
        }));
        new_view.encode().len()
    };
    let per_sequence = length(1) - length(0);
    let room = Message::MAX_BYTES.saturating_sub(length(0));
    ((room / per_sequence) as u64).min(1024)
}

fn signed<B>(body: B) -> Signed<B> {
    Signed {
        body,
        signer: ReplicaId(0),
        signature: Signature([0; 64]),
    }
}

fn pre_prepare() -> Signed<PrePrepare> {
    signed(PrePrepare {
        view: View(0),
        sequence: SequenceNumber(0),
        digest: BatchDigest(Digest::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use crypto::{PublicKey, SigningKey};

    use super::*;
    use crate::{Genesis, GenesisBuilder, NewReplica};

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
        let largest = largest_batch();
        let length = |requests| pre_prepare_of(requests).encode().len();
        assert!(length(largest) <= Message::MAX_PRE_PREPARE_BYTES);
        assert!(length(largest + 1) > Message::MAX_PRE_PREPARE_BYTES);
    }

    #[test]
    fn the_default_parameters_suit_any_number_of_replicas_once_the_window_is_narrow_enough() {
        for n in [1, 2, 3, 4, 7, 16, 28, 100] {
            let mut document = ConsensusDocument::default();
            document.log_window = document.log_window.min(widest_window(usize::from(n)));
            assert!(Parameters::check(&document, &replicas(n)).is_ok(), "{n}");
        }
        assert!(widest_window(28) >= ConsensusDocument::default().log_window);
        assert!(widest_window(100) >= 8);
    }

    #[test]
    fn a_network_of_a_hundred_is_made_with_a_narrow_window_and_a_wide_one_is_refused_by_name() {
        let key = |of: u8, i: u8| -> PublicKey {
            let mut seed = [of; 32];
            seed[0] = i;
            SigningKey::from_seed(&seed).public()
        };
        let replicas = (0..100).map(|i| NewReplica {
            name: format!("node{i}"),
            organisation: format!("org{i}"),
            consensus_key: key(1, i),
            transport_key: key(2, i),
            addresses: vec![format!("/ip4/10.0.0.{i}/tcp/4001")],
        });
        let builder = replicas.fold(GenesisBuilder::new("many"), GenesisBuilder::replica);
        let genesis = builder.build().unwrap();
        assert_eq!(genesis.parameters().log_window, widest_window(100));
        let mut document = genesis.document().clone();
        document.consensus.log_window += 1;
        let error = Genesis::new(document).unwrap_err().to_string();
        assert!(error.contains("consensus.log_window"), "{error}");
        assert!(error.contains("NEW-VIEW"), "{error}");
    }
}
