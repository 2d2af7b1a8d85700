//! Everything of a replica that touches the world: sockets, disk, clock, tasks.

#![forbid(unsafe_code)]

mod allowance;
pub mod api;
mod certificates;
pub mod chronicle;
mod clock;
mod committer;
pub mod config;
mod driver;
mod endorser;
pub mod evidence;
pub mod fault;
mod fetch;
mod flood;
mod gossip;
pub mod home;
mod inbound;
mod ingress;
pub mod journal;
mod list;
mod metrics;
pub mod network;
mod node;
pub mod order;
mod pool;
mod recent;
mod request;
pub mod services;
mod sync;
#[cfg(test)]
mod testing;

pub use driver::DriverError;
pub use node::{NodeError, run};
pub use sync::SyncError;
