//! Faults on demand: what a correct replica says, distorted on its way out.
//!
//! A faulty node is a correct node whose outputs pass through [`Byzantine`]. It
//! holds the replica's key, so that its lies are well-signed where that matters.
//! The simulator and a running node use it unchanged; the replica knows nothing
//! of it. Chance comes from a seed: the same messages are distorted alike.

mod flood;
mod lies;
mod mode;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crypto::codec;
use crypto::{Digest, Domain, NetworkId, Signature, SigningKey};

pub use mode::{Mode, ModeError, Modes};

use crate::message::{Body, Signed};
use crate::{Config, Message, PreparedCertificate, ReplicaId, SequenceNumber, View};

/// How many messages are remembered to be replayed.
const REMEMBERED: usize = 64;

/// A message on its way out, after distortion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom it goes to.
    pub to: ReplicaId,
    /// What is said.
    pub message: Message,
    /// How much later it leaves.
    pub delay: Duration,
}

/// The distortion of one replica's outputs.
pub struct Byzantine {
    modes: Modes,
    id: ReplicaId,
    peers: Vec<ReplicaId>,
    key: SigningKey,
    network: NetworkId,
    log_window: u64,
    quorum: usize,
    /// The last view that it has asked for in a flood.
    wanted: View,
    /// A signature that is well-formed, so that it takes work to see that it does
    /// not hold.
    junk: Signature,
    /// What chance is made of, and how often it was asked.
    seed: u64,
    drawn: u64,
    /// What was said before, to be said again.
    said: VecDeque<Message>,
    /// What prepared first at each sequence number, and the view on the way to which
    /// nothing was said of it.
    kept_back: BTreeMap<SequenceNumber, (View, PreparedCertificate)>,
}

impl Byzantine {
    /// A distortion of the outputs of the replica with this configuration.
    #[must_use]
    pub fn new(config: &Config, key: SigningKey, modes: Modes, seed: u64) -> Self {
        Self {
            modes,
            id: config.id,
            peers: config
                .replicas
                .ids()
                .filter(|of| *of != config.id)
                .collect(),
            network: config.network,
            log_window: config.log_window,
            quorum: config.replicas.quorum(),
            wanted: View::default(),
            junk: key.sign(Domain::Batch, &config.network, &[]),
            key,
            seed,
            drawn: 0,
            said: VecDeque::new(),
            kept_back: BTreeMap::new(),
        }
    }

    /// What becomes of a message to one replica, or to all.
    pub fn distort(&mut self, to: Option<ReplicaId>, message: &Message) -> Vec<Outgoing> {
        let receivers = to.map_or_else(|| self.peers.clone(), |to| vec![to]);
        let mut outgoing: Vec<Outgoing> = receivers
            .into_iter()
            .map(|to| Outgoing {
                to,
                message: message.clone(),
                delay: Duration::ZERO,
            })
            .collect();
        for mode in self.modes_now() {
            outgoing = self.apply(&mode, outgoing);
        }
        if self.said.len() == REMEMBERED {
            self.said.pop_front();
        }
        self.said.push_back(message.clone());
        outgoing
    }

    /// The modes that hold for this message: of a chaotic replica, one of them
    /// all, or none.
    fn modes_now(&mut self) -> Vec<Mode> {
        let modes = self.modes.iter().cloned().collect::<Vec<_>>();
        let chance = |mode: Mode, this: &mut Self| match mode {
            Mode::Chaotic => this.any_mode(),
            mode => Some(mode),
        };
        modes
            .into_iter()
            .filter_map(|mode| chance(mode, self))
            .collect()
    }

    fn any_mode(&mut self) -> Option<Mode> {
        Some(match self.below(20) {
            0 => Mode::Silent,
            1 => Mode::Delay(Duration::from_millis(self.below(400))),
            2 => Mode::Drop(self.peers.iter().take(1).copied().collect()),
            3 | 4 => Mode::Equivocate,
            5 => Mode::WrongDigest,
            6 => Mode::CorruptSignatures,
            7 | 8 => Mode::Replay,
            9 | 10 => Mode::LieViewChange,
            11 => Mode::LieSync,
            12 => Mode::SkipSequences,
            13 => Mode::WrongTimes,
            14 => Mode::InventRequests,
            _ => return None,
        })
    }

    fn apply(&mut self, mode: &Mode, outgoing: Vec<Outgoing>) -> Vec<Outgoing> {
        match mode {
            Mode::Silent => Vec::new(),
            Mode::Drop(nodes) => outgoing
                .into_iter()
                .filter(|of| !nodes.contains(&of.to))
                .collect(),
            Mode::Lose(percent) => outgoing
                .into_iter()
                .filter(|_| self.below(100) >= *percent)
                .collect(),
            Mode::Delay(delay) => outgoing
                .into_iter()
                .map(|of| Outgoing {
                    delay: of.delay.saturating_add(*delay),
                    ..of
                })
                .collect(),
            Mode::Replay => {
                let again = self.replayed(&outgoing);
                outgoing.into_iter().chain(again).collect()
            }
            Mode::Flood => self.flooded(outgoing),
            // What is withheld from batches and served to others is not among
            // the messages: see `censors` and `lies_in_sync`.
            Mode::Censor(_) | Mode::Chaotic => outgoing,
            lie => outgoing
                .into_iter()
                .flat_map(|of| self.lie(lie, of))
                .collect(),
        }
    }

    /// Something that was said before, to everybody who is spoken to now.
    fn replayed(&mut self, outgoing: &[Outgoing]) -> Vec<Outgoing> {
        let mut again = Vec::new();
        for of in outgoing {
            let count = self.said.len() as u64;
            let at = usize::try_from(self.below(count.max(1))).unwrap_or(0);
            if let Some(message) = self.said.get(at) {
                again.push(Outgoing {
                    message: message.clone(),
                    ..of.clone()
                });
            }
        }
        again
    }

    /// Whether the requests of this client are kept out of batches.
    #[must_use]
    pub fn censors(&self, client: &str) -> bool {
        let censors = |mode: &Mode| matches!(mode, Mode::Censor(name) if name == client);
        self.modes.iter().any(censors)
    }

    /// Whether blocks that it hands to others are altered.
    #[must_use]
    pub fn lies_in_sync(&self) -> bool {
        self.modes.lie_in_sync()
    }

    fn sign<B: Body>(&self, body: B) -> Signed<B> {
        Signed::sign(body, self.id, &self.key, &self.network)
    }

    /// A number below `limit`, which is at least 1.
    fn below(&mut self, limit: u64) -> u64 {
        self.drawn += 1;
        let drawn = Domain::Batch.hash(&codec::encode(&(self.seed, self.drawn)));
        let (head, _) = drawn
            .0
            .split_first_chunk()
            .expect("a digest is long enough");
        u64::from_le_bytes(*head) % limit
    }

    /// Another digest, always the same for the same one.
    fn other(digest: Digest) -> Digest {
        Domain::Batch.hash(digest.as_bytes())
    }

    /// Whether `to` is among those who are told the other story.
    fn is_in_other_half(&self, to: ReplicaId) -> bool {
        let place = self.peers.iter().position(|peer| *peer == to);
        place.is_some_and(|place| place * 2 >= self.peers.len())
    }
}
