//! Junk without end: messages that are well-signed and lead nowhere, and some
//! that only look so until much of them was verified.

use crypto::{Digest, Domain, codec};

use super::{Byzantine, Outgoing};
use crate::message::{
    Checkpoint, Commit, NewView, PrePrepare, Prepare, Proposed, Signed, SlotStatus, Status,
    ViewChange,
};
use crate::{
    Batch, BatchDigest, CheckpointCertificate, CheckpointDigest, Message, PreparedCertificate,
    ReplicaId, RequestDigest, SequenceNumber, View,
};

/// How far off a sequence number or a view may be that is not the farthest.
const FAR: u64 = 1_000_000;

/// How many requests a batch of the flood names.
const REQUESTS: u64 = 64;

/// Beside what is said, junk that is long to make goes out only so seldom.
const JUNK_SELDOM: u64 = 16;

impl Byzantine {
    /// What is well-signed and of no use to a receiver that is in `view` and takes
    /// nothing above `high`: it has to be verified to be known as that.
    pub fn useless(&mut self, view: View, high: SequenceNumber) -> Vec<Message> {
        let beyond = high.saturating_add(1 + self.below(FAR));
        let within = SequenceNumber(high.0.saturating_sub(self.below(self.log_window)));
        let near = View(view.0.saturating_add(1 + self.below(8)));
        let far = View(view.0.saturating_add(1 + self.below(FAR)));
        let last = (View(u64::MAX), SequenceNumber(u64::MAX));
        let mut useless = Vec::new();
        for (view, sequence) in [(view, beyond), (near, within), (far, beyond), last] {
            useless.extend(self.votes(view, sequence));
        }
        self.wanted = View(self.wanted.0.max(view.0).saturating_add(1));
        let wish = ViewChange {
            view: self.wanted,
            stable: None,
            prepared: Vec::new(),
        };
        useless.push(Message::ViewChange(self.sign(wish)));
        useless.push(self.proposal(near));
        useless.push(self.status(view, high));
        useless
    }

    /// What no correct replica says: signatures that do not hold, deep within
    /// messages that are well-signed.
    pub fn junk(&mut self, view: View, high: SequenceNumber) -> Vec<Message> {
        let far = View(view.0.saturating_add(1 + self.below(FAR)));
        vec![
            self.view_change(far, self.log_window),
            self.new_view(view.next()),
            Message::CheckpointCertificate(self.certificate(high)),
        ]
    }

    /// A message of about so many bytes, well-signed and full of junk.
    pub fn giant(&mut self, bytes: usize) -> Message {
        let one = codec::encode(&self.prepared(View(0), SequenceNumber(1))).len();
        self.view_change(View(FAR), (bytes / one) as u64)
    }

    /// Junk beside what is said, to everybody who is spoken to.
    pub(super) fn flooded(&mut self, outgoing: Vec<Outgoing>) -> Vec<Outgoing> {
        let Some(first) = outgoing.first() else {
            return outgoing;
        };
        let (view, sequence) = place(&first.message);
        let high = sequence.saturating_add(self.log_window);
        let mut junk = self.useless(view, high);
        if self.below(JUNK_SELDOM) == 0 {
            junk.extend(self.junk(view, high));
        }
        let beside = |of: &Outgoing| {
            let (to, delay) = (of.to, of.delay);
            let junk = junk.clone().into_iter();
            let junk = junk.map(move |message| Outgoing { to, message, delay });
            junk.collect::<Vec<_>>()
        };
        let receivers: Vec<_> = outgoing.iter().flat_map(beside).collect();
        outgoing.into_iter().chain(receivers).collect()
    }

    /// One of each kind; the primary has no PREPARE that would pass the door.
    fn votes(&mut self, view: View, sequence: SequenceNumber) -> Vec<Message> {
        let digest = BatchDigest(self.any_digest());
        let commit = Commit {
            view,
            sequence,
            digest,
        };
        let checkpoint = Checkpoint {
            sequence,
            digest: CheckpointDigest(digest.0),
        };
        let mut votes = vec![
            Message::Commit(self.sign(commit)),
            Message::Checkpoint(self.sign(checkpoint)),
        ];
        if self.primary(view) != self.id {
            let prepare = Prepare {
                view,
                sequence,
                digest,
            };
            votes.push(Message::Prepare(self.sign(prepare)));
        }
        votes
    }

    /// A VIEW-CHANGE with so many certificates of which no signature holds.
    fn view_change(&mut self, view: View, certificates: u64) -> Message {
        let stable = self.certificate(SequenceNumber(1));
        let prepared = (2..certificates.saturating_add(2))
            .map(|sequence| self.prepared(View(0), SequenceNumber(sequence)))
            .collect();
        Message::ViewChange(self.sign(ViewChange {
            view,
            stable: Some(stable),
            prepared,
        }))
    }

    /// A batch that nobody has, for the next view from `view` on that is its own.
    fn proposal(&mut self, view: View) -> Message {
        let requests = (0..REQUESTS).map(|_| RequestDigest(self.any_digest()));
        let batch = Batch {
            requests: requests.collect(),
            timestamp_ms: FAR,
        };
        let pre_prepare = self.sign(PrePrepare {
            view: self.own_view_from(view),
            sequence: SequenceNumber(FAR),
            digest: batch.digest(),
        });
        Message::PrePrepare(Proposed { pre_prepare, batch })
    }

    fn new_view(&mut self, view: View) -> Message {
        let view = self.own_view_from(view);
        let body = ViewChange {
            view,
            stable: None,
            prepared: Vec::new(),
        };
        let mut view_changes = Vec::new();
        for signer in self.of_a_quorum() {
            view_changes.push(Signed {
                body: body.clone(),
                signer,
                signature: self.junk,
            });
        }
        Message::NewView(self.sign(NewView {
            view,
            view_changes,
            pre_prepares: Vec::new(),
        }))
    }

    fn certificate(&mut self, sequence: SequenceNumber) -> CheckpointCertificate {
        let digest = CheckpointDigest(self.any_digest());
        let signatures = self.of_a_quorum().into_iter();
        CheckpointCertificate {
            checkpoint: Checkpoint { sequence, digest },
            signatures: signatures.map(|id| (id, self.junk)).collect(),
        }
    }

    fn prepared(&mut self, view: View, sequence: SequenceNumber) -> PreparedCertificate {
        let primary = self.primary(view);
        let digest = BatchDigest(self.any_digest());
        let backups = self.of_a_quorum().into_iter().filter(|id| *id != primary);
        PreparedCertificate {
            pre_prepare: Signed {
                body: PrePrepare {
                    view,
                    sequence,
                    digest,
                },
                signer: primary,
                signature: self.junk,
            },
            prepares: backups.map(|id| (id, self.junk)).collect(),
        }
    }

    /// Lacks everything, suspects everybody, and asks.
    fn status(&mut self, view: View, high: SequenceNumber) -> Message {
        let low = high.saturating_sub(self.log_window);
        let slots = (low.0..high.0).map(|below| SlotStatus {
            sequence: SequenceNumber(below).next(),
            pre_prepared: false,
            prepared: false,
            committed: false,
        });
        Message::Status(Status {
            view,
            changing: None,
            suspects: true,
            listening: false,
            last_executed: low,
            low,
            asks: true,
            slots: slots.collect(),
            uncertified: Vec::new(),
        })
    }

    fn n(&self) -> u64 {
        self.peers.len() as u64 + 1
    }

    fn primary(&self, view: View) -> ReplicaId {
        ReplicaId(u32::try_from(view.0 % self.n()).unwrap_or_default())
    }

    /// The first view from `view` on of which it is the primary.
    fn own_view_from(&self, view: View) -> View {
        let n = self.n();
        let ahead = (n + u64::from(self.id.0) - view.0 % n) % n;
        View(view.0.saturating_add(ahead))
    }

    /// The first replicas that are a quorum.
    fn of_a_quorum(&self) -> Vec<ReplicaId> {
        let mut all: Vec<ReplicaId> = self.peers.iter().copied().chain([self.id]).collect();
        all.sort_unstable();
        all.truncate(self.quorum);
        all
    }

    fn any_digest(&mut self) -> Digest {
        self.drawn += 1;
        Domain::Batch.hash(&codec::encode(&(self.seed, self.drawn)))
    }
}

/// The view and the sequence number that a message is about, as far as it names
/// them.
fn place(message: &Message) -> (View, SequenceNumber) {
    let none = (View::default(), SequenceNumber::GENESIS);
    match message {
        Message::PrePrepare(of) => (of.pre_prepare.body.view, of.pre_prepare.body.sequence),
        Message::Prepare(vote) => (vote.body.view, vote.body.sequence),
        Message::Commit(vote) => (vote.body.view, vote.body.sequence),
        Message::Checkpoint(vote) => (none.0, vote.body.sequence),
        Message::CheckpointCertificate(of) => (none.0, of.checkpoint.sequence),
        Message::Status(status) => (status.view, status.last_executed),
        Message::ViewChange(vote) => (vote.body.view, none.1),
        Message::NewView(new_view) => (new_view.body.view, none.1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crypto::SigningKey;

    use super::super::Mode;
    use super::*;
    use crate::{Config, ReplicaSet, Verifier};

    fn key(id: u8) -> SigningKey {
        SigningKey::from_seed(&[id; 32])
    }

    fn config() -> Config {
        let keys = (0..4).map(|id| key(id).public()).collect();
        Config {
            id: ReplicaId(3),
            replicas: ReplicaSet::new(keys).unwrap(),
            network: Digest([7; 32]),
            checkpoint_interval: 1,
            log_window: 16,
            max_in_flight: 8,
            max_batch_requests: 100,
            status_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(2),
            request_timeout_cap: Duration::from_secs(16),
        }
    }

    /// Otherwise it would cost a receiver less than it is to cost.
    #[test]
    fn what_is_useless_passes_the_door_and_junk_does_not() {
        let config = config();
        let verifier = Verifier::new(&config);
        let mut byzantine = Byzantine::new(&config, key(3), Mode::Flood.into(), 0);
        for view in 0..8 {
            let place = (View(view), SequenceNumber(20 + view));
            for message in byzantine.useless(place.0, place.1) {
                let name = message.name();
                let passed = verifier.verify(message);
                assert!(passed.is_ok(), "{name}: {}", passed.unwrap_err());
            }
            for message in byzantine.junk(place.0, place.1) {
                let name = message.name();
                let refused = verifier.verify(message).unwrap_err();
                let is_late = matches!(refused, crate::Rejection::BadSignature { .. });
                assert!(is_late, "{name} is refused too early: {refused}");
            }
        }
    }

    #[test]
    fn a_giant_is_a_message_and_about_as_long_as_one_may_be() {
        let mut byzantine = Byzantine::new(&config(), key(3), Mode::Flood.into(), 0);
        let bytes = byzantine.giant(Message::MAX_BYTES - 1024).encode();
        assert!(bytes.len() > Message::MAX_BYTES - 4096);
        assert!(Message::decode(&bytes).is_ok());
    }
}
