//! The HTTP API under `/v1`: what people and programs ask one node.
//!
//! A node's answer is one node's word. Whoever needs more asks for a receipt or
//! for blocks with their certificates, and verifies them against genesis.
//!
//! *Architecture invariant:* nothing here knows how transactions are ordered or
//! executed; it asks through [`Services`](crate::services::Services). Whatever a
//! client sends is bounded before it is read.

mod answers;
pub mod client;
mod creator;
mod error;
mod filter;
mod present;
mod reason;
mod routes;
mod server;
mod stream;
pub mod types;

pub use client::{ApiClient, ClientError};
pub use server::{Api, ApiError, ApiLimits};
