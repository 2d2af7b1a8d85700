//! The deterministic simulator: a whole network in one thread, in virtual
//! time, and one seed decides everything that happens in it.
//!
//! Real replicas with real signatures; around them a lossy [`network`], a
//! [`disk`] that forgets what was not synced, a [`ledger`] that only hashes,
//! [`client`]s that do not give up, and a schedule of [`faults`]: crashes, pauses,
//! wrong clocks, altered states, liars and [`twins`] among them. Every step is
//! held against the [`invariants`]. A failing seed comes with the last events
//! before the failure and replays exactly; [`shrink()`] makes it smaller.
//!
//! Not here: threads, files, the real clock. Whoever wants many seeds at once
//! runs one [`Simulation`] on each of its own threads.

mod agenda;
mod client;
mod config;
mod dice;
mod disk;
mod door;
mod faults;
mod invariants;
mod ledger;
mod network;
mod node;
mod report;
mod shrink;
mod sim;
mod trace;
mod twins;
mod world;

pub use config::{Faults, Links, SimulationConfig};
pub use report::{Failure, Summary};
pub use shrink::{Shrunk, shrink};
pub use sim::Simulation;
