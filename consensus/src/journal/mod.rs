//! What happened to a replica and what it asked for, to be run again.
//!
//! A journal is a sequence of frames: a start, then inputs, each followed by
//! what the replica did with it. Whoever has one runs the same machine through
//! the same inputs and sees whether it does the same ([`Replay`]). It holds no
//! key: the signatures are in it, see [`Signer`](crate::Signer).
//!
//! How frames are kept is the node's affair; here they are bytes.

mod replay;

use std::fmt::{self, Write as _};
use std::time::Duration;

use crypto::codec::{self, CodecError, Decode, Encode};
use crypto::{Digest, Domain, NetworkId, PublicKey, Signature};

use crate::{Config, Effect, Input, ReplicaId, ReplicaSet, Start, Verifier};

pub use replay::{Place, Replay, ReplayError, Report};

/// The largest frame, in bytes: a start may hold a whole log window.
pub const MAX_FRAME_BYTES: usize = 512 * 1024 * 1024;

/// How many characters of an effect or an input are shown.
const SHOWN: usize = 240;

const STARTED: u8 = 0;
const INPUT: u8 = 1;
const DONE: u8 = 2;

/// A replica starts.
#[must_use]
pub fn started(config: &Config, start: &Start) -> Vec<u8> {
    frame(STARTED, &(Parameters::of(config), start))
}

/// This happens to it.
#[must_use]
pub fn input(input: &Input) -> Vec<u8> {
    frame(INPUT, input)
}

/// This it did with what happened, and these signatures it made meanwhile.
#[must_use]
pub fn done(signatures: Vec<Signature>, effects: &[Effect]) -> Vec<u8> {
    let effects = effects.iter().map(Recorded::of).collect();
    frame(
        DONE,
        &Done {
            signatures,
            effects,
        },
    )
}

fn frame(kind: u8, body: &impl Encode) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(codec::encode(body));
    bytes
}

/// What a replica did in one step.
#[derive(Debug, Encode, Decode)]
struct Done {
    signatures: Vec<Signature>,
    effects: Vec<Recorded>,
}

/// An effect, by its digest, and enough of it to tell people which it was.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Recorded {
    digest: Digest,
    text: String,
}

impl Recorded {
    fn of(effect: &Effect) -> Self {
        Self {
            digest: Domain::Journal.hash(&codec::encode(effect)),
            text: shown(effect),
        }
    }
}

/// The beginning of what `Debug` says: no more is made of a message of megabytes.
fn shown(what: &impl fmt::Debug) -> String {
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = SHOWN.saturating_sub(self.0.len());
            if let Some(fits) = text.get(..room.min(text.len())) {
                self.0.push_str(fits);
            }
            if text.len() > room {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }
    let mut beginning = Beginning(String::new());
    let whole = write!(beginning, "{what:?}").is_ok();
    let ending = if whole { "" } else { " …" };
    beginning.0 + ending
}

/// A [`Config`], as it is written.
#[derive(Debug, Encode, Decode)]
struct Parameters {
    id: ReplicaId,
    keys: Vec<PublicKey>,
    network: NetworkId,
    checkpoint_interval: u64,
    log_window: u64,
    max_in_flight: u64,
    max_batch_requests: u64,
    status_interval: Duration,
    request_timeout: Duration,
    request_timeout_cap: Duration,
}

impl Parameters {
    fn of(config: &Config) -> Self {
        let ids = config.replicas.ids();
        Self {
            id: config.id,
            keys: ids.filter_map(|id| config.replicas.key(id)).collect(),
            network: config.network,
            checkpoint_interval: config.checkpoint_interval,
            log_window: config.log_window,
            max_in_flight: config.max_in_flight,
            max_batch_requests: config.max_batch_requests as u64,
            status_interval: config.status_interval,
            request_timeout: config.request_timeout,
            request_timeout_cap: config.request_timeout_cap,
        }
    }

    fn config(self) -> Option<Config> {
        Some(Config {
            id: self.id,
            replicas: ReplicaSet::new(self.keys)?,
            network: self.network,
            checkpoint_interval: self.checkpoint_interval,
            log_window: self.log_window,
            max_in_flight: self.max_in_flight,
            max_batch_requests: usize::try_from(self.max_batch_requests).ok()?,
            status_interval: self.status_interval,
            request_timeout: self.request_timeout,
            request_timeout_cap: self.request_timeout_cap,
        })
    }
}

/// A frame as it was read. What peers said in it has passed the door again.
enum Frame {
    Started(Box<(Parameters, Start)>),
    Input(Box<Input>),
    Done(Done),
}

impl Frame {
    fn decode(bytes: &[u8], verifier: Option<&Verifier>) -> Result<Self, ReplayError> {
        let malformed = |error: CodecError| ReplayError::Malformed(error.to_string());
        let (kind, body) = bytes
            .split_first()
            .ok_or_else(|| ReplayError::Malformed("an empty frame".to_owned()))?;
        match *kind {
            STARTED => codec::decode(body, MAX_FRAME_BYTES)
                .map(|started| Self::Started(Box::new(started)))
                .map_err(malformed),
            INPUT => {
                let verifier = verifier.ok_or(ReplayError::OutOfPlace)?;
                codec::decode_with(body, MAX_FRAME_BYTES, verifier.clone())
                    .map(|input| Self::Input(Box::new(input)))
                    .map_err(malformed)
            }
            DONE => codec::decode(body, MAX_FRAME_BYTES)
                .map(Self::Done)
                .map_err(malformed),
            other => Err(ReplayError::Malformed(format!("a frame of kind {other}"))),
        }
    }
}
