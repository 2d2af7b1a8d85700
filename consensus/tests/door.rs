//! What comes through the door, and that nothing else does.

mod world;

use consensus::message::{Checkpoint, Commit, Prepare, SlotStatus, Status};
use consensus::{
    BatchDigest, CheckpointDigest, Message, PreparedCertificate, Record, Rejection, ReplicaId,
    SequenceNumber, Verifier, View,
};
use crypto::Digest;
use proptest::prelude::*;
use world::{Sizes, World, certificate, config, request, sign};

fn verifier(replicas: u8) -> Verifier {
    Verifier::new(&config(Sizes::of(replicas), 0))
}

fn batch(requests: &[u8], timestamp_ms: u64) -> consensus::Batch {
    consensus::Batch {
        timestamp_ms,
        requests: requests.iter().map(|of| request(&of.to_string())).collect(),
    }
}

prop_compose! {
    fn place()(view in 0_u64..9, sequence: u64, digest: [u8; 32], signer in 0_u32..4)
        -> (View, SequenceNumber, Digest, ReplicaId) {
        (View(view), SequenceNumber(sequence), Digest(digest), ReplicaId(signer))
    }
}

/// Any message, well-signed, that a replica of four may send.
fn message() -> impl Strategy<Value = Message> {
    let pre_prepare = (place(), any::<u64>(), 0_u8..=4).prop_map(|((view, at, ..), time, n)| {
        let primary = ReplicaId(u32::try_from(view.0 % 4).unwrap());
        let names: Vec<u8> = (0..n).collect();
        Message::PrePrepare(World::proposed(primary, view, at, batch(&names, time)))
    });
    let prepare = place().prop_map(|(view, sequence, digest, signer)| {
        let digest = BatchDigest(digest);
        let backup = ReplicaId(u32::try_from((view.0 + 1 + u64::from(signer.0 % 3)) % 4).unwrap());
        Message::Prepare(sign(
            Prepare {
                view,
                sequence,
                digest,
            },
            backup,
        ))
    });
    let commit = place().prop_map(|(view, sequence, digest, signer)| {
        let digest = BatchDigest(digest);
        Message::Commit(sign(
            Commit {
                view,
                sequence,
                digest,
            },
            signer,
        ))
    });
    let checkpoint = place().prop_map(|(_, sequence, digest, signer)| {
        let digest = CheckpointDigest(digest);
        Message::Checkpoint(sign(Checkpoint { sequence, digest }, signer))
    });
    let certified = (place(), 0_u32..4).prop_map(|((_, sequence, digest, _), without)| {
        let signers: Vec<u32> = (0..4).filter(|of| *of != without).collect();
        let digest = CheckpointDigest(digest);
        Message::CheckpointCertificate(certificate(sequence, digest, &signers))
    });
    prop_oneof![
        pre_prepare,
        prepare,
        commit,
        checkpoint,
        certified,
        status().prop_map(Message::Status)
    ]
}

prop_compose! {
    fn status()(
        (view, last, ..) in place(),
        below in 0_u64..9,
        asks: bool,
        suspects: bool,
        listening: bool,
        changing in prop::option::of(prop::collection::btree_set((0_u32..4).prop_map(ReplicaId), 0..4)),
        slots in prop::collection::btree_map(1_u64..9, any::<[bool; 3]>(), 0..8),
        uncertified in prop::collection::btree_set(0_u64..9, 0..8),
    ) -> Status {
        let last = SequenceNumber(last.0.clamp(9, u64::MAX - 9));
        Status {
            view,
            changing: changing.map(|of| of.into_iter().collect()),
            suspects,
            listening,
            last_executed: last,
            low: last.saturating_sub(below),
            asks,
            slots: slots
                .into_iter()
                .map(|(above, [pre_prepared, prepared, committed])| SlotStatus {
                    sequence: last.saturating_add(above),
                    pre_prepared,
                    prepared,
                    committed,
                })
                .collect(),
            uncertified: uncertified.into_iter().rev().map(|of| last.saturating_sub(of)).collect(),
        }
    }
}

proptest! {
    #[test]
    fn messages_survive_their_encoding_and_pass_the_door(message in message()) {
        let bytes = message.encode();
        prop_assert!(bytes.len() <= Message::MAX_BYTES);
        prop_assert_eq!(Message::decode(&bytes).unwrap(), message.clone());
        prop_assert_eq!(verifier(4).verify(message.clone()).unwrap().into_message(), message);
    }

    #[test]
    fn mutated_bytes_are_a_canonical_message_or_none(
        message in message(), changes: [(prop::sample::Index, u8); 2], cut in prop::option::of(any::<prop::sample::Index>())
    ) {
        let mut bytes = message.encode();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(other) = Message::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn records_survive_their_encoding(message in message(), until: u64) {
        let records = match message {
            Message::PrePrepare(proposed) => {
                let pre_prepare = proposed.pre_prepare.clone();
                let signature = pre_prepare.signature;
                let prepares = vec![(ReplicaId(1), signature), (ReplicaId(2), signature)];
                let certificate = PreparedCertificate { pre_prepare, prepares };
                vec![Record::PrePrepared(proposed), Record::Prepared(certificate)]
            }
            _ => vec![Record::Listening { until: SequenceNumber(until) }],
        };
        for record in records {
            prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
    }

    /// S7: whatever byte of a signed message is another, it is not the message
    /// that was signed, and nobody takes it. (A status is not signed.)
    #[test]
    fn no_flipped_bit_passes_the_door(message in message(), at: prop::sample::Index) {
        prop_assume!(!matches!(message, Message::Status(_)));
        let mut bytes = message.encode();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = Message::decode(&bytes) {
            prop_assert!(verifier(4).verify(flipped).is_err());
        }
    }

    /// One bad message in a batch of good ones costs no other its verdict.
    #[test]
    fn each_message_gets_its_own_verdict(
        messages in prop::collection::vec((message(), any::<bool>()), 1..12)
    ) {
        let mut given = Vec::new();
        let mut spoilt = Vec::new();
        for (message, spoil) in messages {
            let Message::Commit(mut commit) = message else {
                given.push(message);
                spoilt.push(false);
                continue;
            };
            if spoil {
                commit.signature.0[0] ^= 1;
            }
            given.push(Message::Commit(commit));
            spoilt.push(spoil);
        }
        let verdicts = verifier(4).verify_all(given.clone());
        prop_assert_eq!(verdicts.len(), given.len());
        for ((verdict, message), spoilt) in verdicts.into_iter().zip(given).zip(spoilt) {
            match verdict {
                Ok(verified) => prop_assert!(!spoilt && *verified.message() == message),
                Err(reason) => prop_assert!(spoilt, "{reason}"),
            }
        }
    }

    /// S1: a certificate is a quorum's: distinct replicas of the set, each once.
    #[test]
    fn certificates_need_a_quorum_of_distinct_signers(
        n in 1_u8..8, signers in prop::collection::vec(0_u32..8, 0..8), sort: bool
    ) {
        let mut signers = signers;
        if sort {
            signers.sort_unstable();
        }
        let replicas = config(Sizes::of(n), 0).replicas;
        let sound = signers.len() >= replicas.quorum()
            && signers.windows(2).all(|pair| pair[0] < pair[1])
            && signers.iter().all(|of| *of < u32::from(n));
        let digest = CheckpointDigest(Digest([3; 32]));
        let message = certificate(SequenceNumber(7), digest, &signers);
        let verdict = verifier(n).verify(Message::CheckpointCertificate(message));
        prop_assert_eq!(verdict.is_ok(), sound);
    }
}

/// Every single bit of one message of each kind.
#[test]
fn no_bit_of_a_message_is_without_meaning() {
    let (view, sequence) = (View(4), SequenceNumber(9));
    let proposed = World::proposed(ReplicaId(0), view, sequence, batch(&[1, 2], 77));
    let digest = proposed.pre_prepare.body.digest;
    let outcome = CheckpointDigest(digest.0);
    let prepare = Prepare {
        view,
        sequence,
        digest,
    };
    let commit = Commit {
        view,
        sequence,
        digest,
    };
    let checkpoint = Checkpoint {
        sequence,
        digest: outcome,
    };
    let messages = [
        Message::PrePrepare(proposed),
        Message::Prepare(sign(prepare, ReplicaId(1))),
        Message::Commit(sign(commit, ReplicaId(2))),
        Message::Checkpoint(sign(checkpoint, ReplicaId(3))),
        Message::CheckpointCertificate(certificate(sequence, outcome, &[0, 1, 3])),
    ];
    let verifier = verifier(4);
    for message in messages {
        let bytes = message.encode();
        verifier.verify(message).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = Message::decode(&flipped) {
                assert!(verifier.verify(flipped).is_err(), "bit {bit}");
            }
        }
    }
}

/// S5: who signed counts, not who claims to have.
#[test]
fn a_signature_is_of_the_replica_that_is_named() {
    let body = Commit {
        view: View(0),
        sequence: SequenceNumber(1),
        digest: BatchDigest(Digest([1; 32])),
    };
    let mut commit = sign(body, ReplicaId(1));
    commit.signer = ReplicaId(2);
    let verdict = verifier(4).verify(Message::Commit(commit.clone()));
    let expected = Rejection::BadSignature {
        message: "COMMIT",
        signer: ReplicaId(2),
    };
    assert_eq!(verdict, Err(expected));
    commit.signer = ReplicaId(4);
    let verdict = verifier(4).verify(Message::Commit(commit));
    assert_eq!(verdict, Err(Rejection::UnknownReplica(ReplicaId(4))));
}
