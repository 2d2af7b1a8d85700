//! The other replicas, as far as bytes go: opaque frames and requests between
//! known peers over TCP, Noise and Yamux.
//!
//! A peer is known by the transport key that genesis gives it, and nobody else
//! gets past the handshake. Between two peers there is one long-lived stream
//! per [`Class`] and direction, and a fresh stream per request, so that a bulk
//! transfer never stands in the way of a vote. Nothing here waits for a slow
//! peer: queues are bounded in frames and in bytes, and what does not fit is
//! dropped and counted, because the protocol above sends again what was missed.
//!
//! Deliberately not here: what a frame means, who signed what is in it (a
//! transport key proves who delivered a message, never who made it), and any
//! promise of delivery. Frames of one stream arrive in order; a stream that
//! breaks loses what was under way.
//!
//! *Architecture invariant:* the only tasks that touch sockets are made in this
//! module, and none of them holds more than the limits of [`Limits`] say.

mod behaviour;
mod config;
mod counters;
mod error;
mod frame;
mod framed;
mod handle;
mod handshakes;
mod hello;
mod inbox;
mod incoming;
mod muxer;
mod outgoing;
mod peers;
mod protocol;
mod redial;
mod request;
mod seldom;
mod start;
mod substreams;
mod switchboard;
mod transport;

pub use config::{Limits, NetworkConfig, Peer};
pub use counters::{Counters, FrameCounters};
pub use error::{NetworkError, RequestError};
pub use frame::{FrameCodec, FrameError};
pub use handle::{NetworkHandle, PeerStatus};
pub use hello::{Hello, HelloError, PROTOCOL_VERSION};
pub use inbox::{Inbox, NetworkEvent};
pub use protocol::{Class, PeerId};
pub use request::InboundRequest;
pub use start::Network;
