//! PBFT (Castro & Liskov, OSDI '99; TOCS '02) as a machine without I/O.
//!
//! A [`Replica`] takes an [`Input`] and returns [`Effect`]s, whose order is a
//! contract. It knows no clock, no socket, no disk, no thread and no
//! randomness: the same inputs give the same effects, in the node, in the
//! simulator and in a replay. What a request means, it does not know either.
//!
//! *Architecture invariant:* a message is handed in as [`Verified`] or not at
//! all, and only [`verify`] makes one.

#![forbid(unsafe_code)]

/// Whether a bug is planted: never, but in the tests of the simulator.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(feature = "planted-bugs")]
        let planted = crate::planted::has(crate::PlantedBug::$bug);
        #[cfg(not(feature = "planted-bugs"))]
        let planted = false;
        planted
    }};
}

mod batch;
pub mod byzantine;
pub mod certificate;
mod config;
mod effect;
pub mod evidence;
mod input;
pub mod journal;
mod log;
pub mod message;
#[cfg(feature = "planted-bugs")]
mod planted;
mod quorum;
mod record;
mod rejection;
mod replica;
mod reproposals;
mod signer;
#[cfg(feature = "testing")]
pub mod testing;
mod types;
pub mod verify;

pub use batch::Batch;
pub use certificate::{CheckpointCertificate, PreparedCertificate};
pub use config::Config;
pub use effect::{Effect, Timer};
pub use evidence::Evidence;
pub use input::{Input, Position, Start};
pub use message::Message;
#[cfg(feature = "planted-bugs")]
pub use planted::PlantedBug;
pub use quorum::ReplicaSet;
pub use record::{Record, RecordKey};
pub use rejection::Rejection;
pub use replica::Replica;
pub use signer::Signer;
pub use types::{
    BatchDigest, CheckpointDigest, ReplicaId, RequestDigest, SequenceNumber, View, Watermarks,
};
pub use verify::{Verified, Verifier};
