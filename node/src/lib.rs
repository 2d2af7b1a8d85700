//! Everything of a replica that touches the world: sockets, disk, clock, tasks.

#![forbid(unsafe_code)]

pub mod config;
pub mod home;
mod metrics;
pub mod network;
pub mod services;
