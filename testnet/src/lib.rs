//! Launches real nodes on this machine, watches them and breaks them.
//!
//! A test network is a folder: the genesis document, everybody's keys, and a
//! home per node. Its nodes are processes of the one binary, on loopback. This
//! crate knows nothing of how a node works: it starts it, signals it, and asks
//! its HTTP API.
//!
//! *Architecture invariants:* a process is signalled only after it was seen to
//! be the one that was started, never by a bare number; a network in the
//! foreground does not outlive whoever watches it, however that ends.

#![forbid(unsafe_code)]

mod error;
mod faults;
mod folder;
mod lifeline;
mod ports;
mod process;
mod ready;
mod spec;
mod status;
mod up;

pub use error::TestnetError;
pub use faults::Stopped;
pub use folder::{NetworkFolder, NodeEntry};
pub use process::{Process, ProcessIdentity};
pub use spec::{Spec, create};
pub use status::{NetworkStatus, NodeStatus};
pub use up::{Launch, Mode, Running, Testnet, mirrored_variables, up};
