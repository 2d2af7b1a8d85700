//! The agreed beginning of a network: one document, checked.
//!
//! A document (JSON) becomes a [`Genesis`] or an error that names the field.
//! Its hash is the network id, which every signature covers, so replicas and
//! clients with different documents never understand each other.
//!
//! The only crate below the node that knows both `consensus` and `ledger`: it
//! hands each what it needs in its own words. What deliberately does not live
//! here: files (the node reads them), multiaddresses (libp2p knows them; here
//! they are texts), and anything that one node may choose for itself.

#![forbid(unsafe_code)]

mod block;
mod builder;
mod contracts;
pub mod document;
mod error;
mod genesis;
mod members;
mod params;

pub use builder::{GenesisBuilder, NewReplica};
pub use document::{ConsensusDocument, Document};
pub use error::{GenesisError, Problem};
pub use genesis::Genesis;
pub use members::ReplicaEntry;
pub use params::Parameters;
