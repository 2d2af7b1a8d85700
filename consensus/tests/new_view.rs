//! VIEW-CHANGE and NEW-VIEW at the door: what a new view begins with is computed
//! here a second time, in the plainest way, and nothing else passes.

mod world;

use std::collections::BTreeMap;

use consensus::message::{NewView, PrePrepare, Prepare, Signed, ViewChange};
use consensus::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Evidence, Message,
    PreparedCertificate, ReplicaId, SequenceNumber, Verifier, View,
};
use crypto::Digest;
use proptest::prelude::*;
use world::{NETWORK, Sizes, certificate, config, sign};

const NEXT: View = View(5);

fn verifier() -> Verifier {
    Verifier::new(&config(Sizes::of(4), 0))
}

fn passes(message: Message) -> bool {
    let again = Message::decode(&message.encode()).unwrap();
    assert_eq!(again, message);
    verifier().verify(message).is_ok()
}

/// What is proposed in a view for a sequence number: one batch.
fn digest(view: View, sequence: SequenceNumber) -> BatchDigest {
    BatchDigest(Digest(
        [u8::try_from(view.0 * 16 + sequence.0).unwrap(); 32],
    ))
}

fn prepared(view: View, sequence: SequenceNumber) -> PreparedCertificate {
    let digest = digest(view, sequence);
    let primary = ReplicaId(u32::try_from(view.0 % 4).unwrap());
    let body = Prepare {
        view,
        sequence,
        digest,
    };
    let backups = (0..4).map(ReplicaId).filter(|id| *id != primary).take(2);
    PreparedCertificate {
        pre_prepare: sign(
            PrePrepare {
                view,
                sequence,
                digest,
            },
            primary,
        ),
        prepares: backups.map(|id| (id, sign(body, id).signature)).collect(),
    }
}

fn stable(sequence: u64) -> Option<CheckpointCertificate> {
    let outcome = CheckpointDigest(Digest([9; 32]));
    (sequence > 0).then(|| certificate(SequenceNumber(sequence), outcome, &[0, 1, 2]))
}

/// A VIEW-CHANGE with this low watermark, and above it what prepared in which view.
fn vote(signer: u32, low: u64, above: &BTreeMap<u64, u64>) -> Signed<ViewChange> {
    let above = above
        .iter()
        .map(|(distance, view)| prepared(View(*view), SequenceNumber(low + distance)));
    let body = ViewChange {
        view: NEXT,
        stable: stable(low),
        prepared: above.collect(),
    };
    sign(body, ReplicaId(signer))
}

/// The plainest computation of `O`.
fn begins_with(votes: &[Signed<ViewChange>]) -> Vec<PrePrepare> {
    let low = |vote: &Signed<ViewChange>| {
        let stable = vote.body.stable.as_ref();
        stable.map_or(0, |of| of.checkpoint.sequence.0)
    };
    let min = votes.iter().map(low).max().unwrap();
    let all: Vec<PrePrepare> = votes
        .iter()
        .flat_map(|vote| &vote.body.prepared)
        .map(|certificate| certificate.pre_prepare.body)
        .collect();
    let max = all.iter().map(|body| body.sequence.0).max().unwrap_or(0);
    let of = |sequence| {
        let here = all.iter().filter(|body| body.sequence.0 == sequence);
        let latest = here.max_by_key(|body| body.view);
        PrePrepare {
            view: NEXT,
            sequence: SequenceNumber(sequence),
            digest: latest.map_or(Batch::null().digest(), |body| body.digest),
        }
    };
    (min + 1..=max).map(of).collect()
}

fn new_view(votes: Vec<Signed<ViewChange>>, begins: &[PrePrepare]) -> Signed<NewView> {
    let primary = ReplicaId(1);
    let body = NewView {
        view: NEXT,
        view_changes: votes,
        pre_prepares: begins.iter().map(|body| sign(*body, primary)).collect(),
    };
    sign(body, primary)
}

fn votes() -> impl Strategy<Value = Vec<Signed<ViewChange>>> {
    let above = prop::collection::btree_map(1_u64..=8, 0_u64..5, 0..5);
    let one = (0_u64..4, above);
    (prop::collection::vec(one, 3), 0_u32..4).prop_map(|(all, without)| {
        let signers = (0..4).filter(|id| *id != without);
        let votes = signers.zip(all);
        votes
            .map(|(signer, (low, above))| vote(signer, low, &above))
            .collect()
    })
}

proptest! {
    /// V1 to V4: whatever was stable and prepared where, there is one beginning,
    /// without a gap, and no other passes.
    #[test]
    fn a_new_view_begins_with_what_follows_from_its_view_changes_and_nothing_else(
        votes in votes(), at: prop::sample::Index, how in 0_u8..4,
    ) {
        let begins = begins_with(&votes);
        prop_assert!(passes(Message::NewView(new_view(votes.clone(), &begins))));
        let mut other = begins.clone();
        match how {
            0 => {
                let last = begins.last().map_or(1, |body| body.sequence.0 + 1);
                let digest = Batch::null().digest();
                other.push(PrePrepare { view: NEXT, sequence: SequenceNumber(last), digest });
            }
            _ if begins.is_empty() => return Ok(()),
            1 => drop(other.remove(at.index(begins.len()))),
            2 => other[at.index(begins.len())].digest = BatchDigest(Digest([255; 32])),
            _ => other[at.index(begins.len())].view = View(1),
        }
        prop_assert!(!passes(Message::NewView(new_view(votes, &other))));
    }
}

fn plain() -> Vec<Signed<ViewChange>> {
    let above = BTreeMap::from([(1, 0), (2, 3)]);
    (0..3).map(|signer| vote(signer, 0, &above)).collect()
}

/// V14, S1: a quorum of distinct replicas, all for this view.
#[test]
fn a_new_view_needs_a_quorum_of_distinct_replicas_that_want_it() {
    let begins = begins_with(&plain());
    let of = |votes: Vec<Signed<ViewChange>>| passes(Message::NewView(new_view(votes, &begins)));
    assert!(of(plain()));
    let mut fewer = plain();
    fewer.pop();
    assert!(!of(fewer.clone()), "two are no quorum");
    fewer.push(fewer[1].clone());
    assert!(!of(fewer), "one of them twice is none either");
    let mut more = plain();
    more.push(vote(3, 0, &BTreeMap::new()));
    assert!(!of(more), "a quorum, no more: there is one beginning");
    let mut shuffled = plain();
    shuffled.swap(0, 2);
    assert!(!of(shuffled), "in one order");
    let mut stale = plain();
    let mut body = stale[2].body.clone();
    body.view = View(4);
    stale[2] = sign(body, ReplicaId(2));
    assert!(!of(stale), "who wanted another view does not count");
    let mut forged = plain();
    forged[2].body.prepared.pop();
    assert!(!of(forged), "nobody signed it so");
}

/// A NEW-VIEW is its primary's, and so is everything it assigns.
#[test]
fn only_the_primary_begins_a_view() {
    let begins = begins_with(&plain());
    let mut by_another = new_view(plain(), &begins);
    by_another = sign(by_another.body, ReplicaId(2));
    assert!(!passes(Message::NewView(by_another)));
    let mut in_anothers_name = new_view(plain(), &begins).body;
    in_anothers_name.pre_prepares[0] = sign(begins[0], ReplicaId(2));
    assert!(!passes(Message::NewView(sign(
        in_anothers_name,
        ReplicaId(1)
    ))));
}

/// S4: every field of what a VIEW-CHANGE carries is held against the rest.
#[test]
fn a_view_change_carries_proof_of_what_it_reports() {
    let sound = vote(2, 3, &BTreeMap::from([(1, 0), (2, 4), (8, 1)]));
    assert!(passes(Message::ViewChange(sound.clone())));
    let changed = |change: &dyn Fn(&mut ViewChange)| {
        let mut body = sound.body.clone();
        change(&mut body);
        passes(Message::ViewChange(sign(body, ReplicaId(2))))
    };
    assert!(!changed(&|body| body.view = View(0)));
    assert!(
        !changed(&|body| body.view = View(4)),
        "it prepared in view 4"
    );
    assert!(
        !changed(&|body| body.stable = stable(4)),
        "n4 is not above n4"
    );
    assert!(
        !changed(&|body| body.stable = None),
        "n11 is beyond the window of 8"
    );
    assert!(!changed(&|body| body.prepared.swap(0, 1)));
    assert!(!changed(&|body| body.prepared[1] = body.prepared[0].clone()));
    assert!(!changed(&|body| {
        body.prepared[0].prepares.pop();
    }));
    assert!(!changed(&|body| {
        let twice = body.prepared[0].prepares[0];
        body.prepared[0].prepares[1] = twice;
    }));
    assert!(!changed(
        &|body| body.prepared[0].prepares[0].0 = ReplicaId(0)
    ));
    assert!(!changed(&|body| {
        body.prepared[0].pre_prepare.body.digest = BatchDigest(Digest([1; 32]));
    }));
    assert!(!changed(&|body| {
        let body = body.stable.as_mut().unwrap();
        body.signatures.pop();
    }));
}

/// Evidence is two statements of one replica that a correct one does not both
/// make; nothing else verifies, whoever is to be accused.
#[test]
fn nobody_can_be_framed() {
    let replicas = config(Sizes::of(4), 0).replicas;
    let statement = |view, sequence, digest: u8, signer| {
        let body = PrePrepare {
            view: View(view),
            sequence: SequenceNumber(sequence),
            digest: BatchDigest(Digest([digest; 32])),
        };
        sign(body, ReplicaId(signer))
    };
    let verify = |a, b| {
        let evidence = Evidence::PrePrepare(a, b).ordered();
        let again = Evidence::decode(&evidence.encode()).unwrap();
        assert_eq!(again, evidence);
        again.verify(&replicas, &NETWORK).is_ok()
    };
    let first = || statement(0, 7, 1, 0);
    assert!(verify(first(), statement(0, 7, 2, 0)));
    assert!(
        !verify(first(), first()),
        "to say the same again is no fault"
    );
    assert!(!verify(first(), statement(1, 7, 2, 0)), "another view");
    assert!(!verify(first(), statement(0, 8, 2, 0)), "another place");
    assert!(!verify(first(), statement(0, 7, 2, 1)), "another replica");
    let mut forged = statement(0, 7, 2, 1);
    forged.signer = ReplicaId(0);
    assert!(!verify(first(), forged), "a statement that was not made");
    let elsewhere = Signed::sign(first().body, ReplicaId(0), &world::key(0), &Digest([8; 32]));
    let mut other = elsewhere;
    other.body.digest = BatchDigest(Digest([2; 32]));
    assert!(!verify(first(), other), "made in another network");
}
