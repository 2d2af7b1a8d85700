//! Messages of other replicas: decoded, verified together, handed to the driver.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use consensus::{Input, Message, ReplicaId, Verifier};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::allowance::{Allowances, PerSecond};
use crate::driver::Event;
use crate::metrics::Metrics;
use crate::network::{Class, Inbox, NetworkEvent, PeerId};
use crate::request::Request;

/// How many messages are verified together at most.
const MAX_TOGETHER: usize = 64;

/// How many bytes they have together, but for the last.
const MAX_BYTES_TOGETHER: usize = 1024 * 1024;

/// How many signatures of one peer are verified together, but for those of the
/// last message.
const MAX_SIGNATURES_TOGETHER: usize = 64;

/// How many VIEW-CHANGEs and NEW-VIEWs of one peer are looked at in a second. Each
/// carries many signatures: a flood of them would keep this node from everything
/// else. What is not looked at is sent again, if its sender means it.
const HEAVY_PER_SECOND: u32 = 8;

/// What each peer has had of that in the current second.
#[derive(Default)]
struct HeavyShares(HashMap<u32, PerSecond>);

impl HeavyShares {
    /// Whether a message of this peer is to be looked at.
    fn admits(&mut self, peer: u32, message: &Message, now: Instant) -> bool {
        if !matches!(message, Message::ViewChange(_) | Message::NewView(_)) {
            return true;
        }
        let share = self.0.entry(peer).or_default();
        share.admits(HEAVY_PER_SECOND, now)
    }
}

/// How much work one peer's messages may make in a second: a signature to verify
/// is a unit, and so is a message by itself. A correct replica sends three
/// messages per block, and a few more where some were lost.
const WORK_PER_SECOND: u64 = 3072;

/// How many bytes count as a unit.
const BYTES_PER_UNIT: usize = 4096;

/// What a message that is sound counts at most: of those with more signatures
/// only a few are looked at anyway.
const MOST_FOR_SOUND: u64 = 64;

/// A message that does not pass the door counts so many times: no correct replica
/// sends one.
const BAD_TIMES: u64 = 16;

/// What a message is and what looking at it costs.
struct Weighed {
    /// Its place among those that came together.
    place: usize,
    message: Message,
    work: u64,
}

/// What came of looking at what came together.
struct Looked {
    /// In the order of their coming.
    inputs: Vec<Input>,
    /// Whose messages made how much work.
    work: BTreeMap<PeerId, u64>,
}

/// The work that bytes make before they are a message.
fn work_of(bytes: &[u8]) -> u64 {
    (1 + bytes.len() / BYTES_PER_UNIT) as u64
}

/// Hands on what replicas say, until `stop` is cancelled.
pub(crate) async fn messages<R: Request>(
    verifier: Verifier,
    mut inbox: Inbox,
    driver: mpsc::Sender<Event<R>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut shares = HeavyShares::default();
    let mut allowances = Allowances::new(WORK_PER_SECOND);
    loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            event = inbox.recv() => event,
        };
        let Some(first) = first else { return };
        let events = gather(first, &mut inbox);
        let Looked { inputs, work } = look_at(&verifier, events, &mut shares, &metrics);
        let now = Instant::now();
        for (peer, work) in work {
            if let Some(until) = allowances.charge(peer, work, now) {
                metrics.rests(peer.0, Class::Consensus);
                inbox.rest(peer, until);
            }
        }
        for input in inputs {
            if driver.send(Event::Input(input)).await.is_err() {
                return;
            }
        }
    }
}

/// What is there already, up to a bound in number and in bytes.
fn gather(first: NetworkEvent, inbox: &mut Inbox) -> Vec<NetworkEvent> {
    let length = |event: &NetworkEvent| match event {
        NetworkEvent::Frame { bytes, .. } => bytes.len(),
        NetworkEvent::Connected(_) | NetworkEvent::Disconnected(_) => 0,
    };
    let mut bytes = length(&first);
    let mut events = vec![first];
    while events.len() < MAX_TOGETHER && bytes < MAX_BYTES_TOGETHER {
        let Some(event) = inbox.try_recv() else { break };
        bytes = bytes.saturating_add(length(&event));
        events.push(event);
    }
    events
}

/// What these events are to the replica: connections first, then the messages
/// that hold, in their order.
fn look_at(
    verifier: &Verifier,
    events: Vec<NetworkEvent>,
    shares: &mut HeavyShares,
    metrics: &Metrics,
) -> Looked {
    let now = Instant::now();
    let mut inputs = Vec::new();
    let mut work: BTreeMap<PeerId, u64> = BTreeMap::new();
    let mut decoded: BTreeMap<PeerId, Vec<Weighed>> = BTreeMap::new();
    for (place, event) in events.into_iter().enumerate() {
        match event {
            NetworkEvent::Connected(peer) => inputs.push(Input::Connected(ReplicaId(peer.0))),
            NetworkEvent::Disconnected(peer) => {
                tracing::info!(%peer, "lost the connection");
                inputs.push(Input::Disconnected(ReplicaId(peer.0)));
            }
            NetworkEvent::Frame { from, bytes, .. } => match Message::decode(&bytes) {
                Ok(message) if !shares.admits(from.0, &message, now) => {
                    metrics.too_many(from.0);
                    *work.entry(from).or_default() += work_of(&bytes);
                }
                Ok(message) => decoded.entry(from).or_default().push(Weighed {
                    place,
                    work: work_of(&bytes) + message.signatures() as u64,
                    message,
                }),
                Err(error) => {
                    tracing::debug!(peer = %from, %error, "not a message");
                    metrics.undecodable(from.0);
                    *work.entry(from).or_default() += BAD_TIMES * work_of(&bytes);
                }
            },
        }
    }
    let mut sound = BTreeMap::new();
    for (from, messages) in decoded {
        let caused = work.entry(from).or_default();
        *caused += verify(verifier, from, messages, &mut sound, metrics);
    }
    inputs.extend(sound.into_values());
    Looked { inputs, work }
}

/// Verifies what one peer sent, apart from what others sent: where one signature
/// in a batch does not hold, each is verified by itself. After a message that no
/// correct replica sends the rest is not looked at. Returns the work.
fn verify(
    verifier: &Verifier,
    from: PeerId,
    messages: Vec<Weighed>,
    sound: &mut BTreeMap<usize, Input>,
    metrics: &Metrics,
) -> u64 {
    let mut caused = 0;
    let mut rest = messages.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut weights, mut together, mut signatures) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = rest.next_if(|_| signatures < MAX_SIGNATURES_TOGETHER) {
            signatures += next.message.signatures();
            weights.push((next.place, next.work));
            together.push(next.message);
        }
        let mut bad = false;
        for ((place, work), verdict) in weights.into_iter().zip(verifier.verify_all(together)) {
            match verdict {
                Ok(message) => {
                    caused += work.min(MOST_FOR_SOUND);
                    let from = ReplicaId(from.0);
                    sound.insert(place, Input::Message { from, message });
                }
                Err(reason) => {
                    caused += BAD_TIMES * work;
                    metrics.rejected(from.0, &reason);
                    bad = true;
                }
            }
        }
        if bad {
            break;
        }
    }
    caused
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use consensus::message::{Commit, Signed, ViewChange};
    use consensus::{BatchDigest, SequenceNumber, View};
    use crypto::Digest;

    use super::*;
    use crate::testing::{genesis, replica_key};

    /// One replica that floods costs the others nothing of their share.
    #[test]
    fn a_peer_has_its_share_of_heavy_messages_and_no_more() {
        let body = ViewChange {
            view: View(1),
            stable: None,
            prepared: Vec::new(),
        };
        let key = replica_key(1);
        let vote = Signed::sign(body, ReplicaId(1), &key, &genesis().network_id());
        let message = Message::ViewChange(vote);
        let mut shares = HeavyShares::default();
        let begin = Instant::now();
        let admitted = (0..100).filter(|_| shares.admits(1, &message, begin));
        assert_eq!(admitted.count(), HEAVY_PER_SECOND as usize);
        assert!(
            shares.admits(2, &message, begin),
            "another peer's is its own"
        );
        assert!(shares.admits(1, &message, begin + Duration::from_secs(1)));
    }

    fn frame(from: u32, message: &Message) -> NetworkEvent {
        NetworkEvent::Frame {
            from: PeerId(from),
            class: Class::Consensus,
            bytes: message.encode().into(),
        }
    }

    fn commit(signer: u32, key: u8) -> Message {
        let body = Commit {
            view: View(0),
            sequence: SequenceNumber(1),
            digest: BatchDigest(Digest([1; 32])),
        };
        let network = genesis().network_id();
        Message::Commit(Signed::sign(
            body,
            ReplicaId(signer),
            &replica_key(key),
            &network,
        ))
    }

    #[test]
    fn what_does_not_pass_the_door_is_counted_many_times_and_to_its_sender() {
        let config = genesis().consensus_config(ReplicaId(0)).unwrap();
        let (sound, forged) = (commit(1, 1), commit(2, 3));
        let events = vec![
            frame(3, &forged),
            frame(1, &sound),
            NetworkEvent::Frame {
                from: PeerId(2),
                class: Class::Consensus,
                bytes: vec![0xff; 3 * BYTES_PER_UNIT].into(),
            },
            frame(1, &sound),
        ];
        let mut shares = HeavyShares::default();
        let metrics = Metrics::default();
        let looked = look_at(&Verifier::new(&config), events, &mut shares, &metrics);
        assert_eq!(looked.inputs.len(), 2);
        let work: Vec<(u32, u64)> = looked.work.iter().map(|(peer, it)| (peer.0, *it)).collect();
        assert_eq!(work, [(1, 4), (2, 4 * BAD_TIMES), (3, 2 * BAD_TIMES)]);
    }

    /// The window as full of votes as it can be, all of them sent again at once, and
    /// whatever else a correct replica may say in a second.
    #[test]
    fn a_correct_replica_that_has_much_to_say_stays_within_its_allowance() {
        let window = genesis().parameters().log_window;
        let heavy = u64::from(HEAVY_PER_SECOND) * MOST_FOR_SOUND;
        let votes = 3 * window * (1 + 1);
        let mut allowances = Allowances::new(WORK_PER_SECOND);
        let now = Instant::now();
        assert_eq!(allowances.charge(PeerId(1), votes + heavy, now), None);
    }
}
