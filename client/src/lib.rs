//! A client's way through the network: propose, have it endorsed, hand it in, and
//! hold a receipt that verifies against genesis. No single node is believed in
//! any of it.
//!
//! ```no_run
//! use client::{Call, Client, Error, Genesis, ReplicaId, SigningKey};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let genesis = Genesis::from_json(&std::fs::read("genesis.json")?)?;
//! let alice = SigningKey::read_file("keys/alice.pem".as_ref())?;
//! let nodes = [
//!     (ReplicaId(0), "http://127.0.0.1:8080"),
//!     (ReplicaId(1), "http://127.0.0.1:8081"),
//! ];
//! let client = Client::new(genesis, nodes)?;
//!
//! let call = Call::new("kv", "put", ["greeting", "hello"]);
//! match client.submit(&alice, call).retry_conflicts(3).await {
//!     Ok(done) => println!("{} in block {}", done.code(), done.receipt.header.number),
//!     // Kept, and handed in again later: it takes effect at most once.
//!     Err(Error::Unknown { transaction, .. }) => {
//!         client.order(*transaction, client::TIMEOUT).await?;
//!     }
//!     Err(error) => return Err(error.into()),
//! }
//! let read = client.evaluate(&alice, Call::new("kv", "get", ["greeting"])).await?;
//! println!("{} according to {}", read.answer.response, read.answered_by.join(", "));
//! # Ok(())
//! # }
//! ```
//!
//! The same in steps: [`Client::propose`], [`Client::endorse`], [`Client::order`].
//! Whoever has many transactions under way at a time follows the blocks instead of
//! asking for each receipt: [`Client::follow`], [`Client::order_by`]. What is under way
//! at the same moment is signed together, where one key signs it and it goes to the same
//! node first: to the network that is much cheaper than as many signatures.
//!
//! # What is retried, and why that is safe
//!
//! - **A proposal may be endorsed any number of times**: endorsing changes nothing.
//!   Nodes that are gone, busy or refuse are made up for by others; a refusal
//!   counts once more nodes gave one than may be faulty. Where endorsers disagree,
//!   one of them may be behind: they are asked again, and then others, too, until
//!   enough are of one mind.
//! - **A transaction may be handed in any number of times, to any node**: its id is
//!   the hash of its proposal, and the chain takes each id once. So the same bytes
//!   go to another node when the first is gone, has no room, is in the middle of a
//!   change of the view, or shows no receipt that holds.
//! - **A new proposal is a new transaction**, which could take effect besides the
//!   first. It is made only for [`Submit::retry_conflicts`], and only after a
//!   receipt that verifies says that others wrote what the first had read: that
//!   verdict is final. A node's bare word is never enough.
//! - **Whether something was handed in is never guessed.** Once a node may have a
//!   transaction, and no receipt comes in time, the outcome is [`Error::Unknown`],
//!   with the transaction, whatever other nodes say of it.
//!
//! What deliberately does not live here: folders, key files and processes, which
//! belong to whoever uses the library, and anything that is printed.

#![forbid(unsafe_code)]

mod client;
mod disagreement;
mod endorse;
mod error;
mod follow;
mod order;
mod propose;
mod quorum;
mod signing;
mod submit;

pub use client::{Client, Node};
pub use disagreement::{Disagreement, Group};
pub use error::{Error, Unverified};
pub use follow::Follower;
pub use order::Submitted;
pub use propose::Call;
pub use quorum::{Answer, Answered};
pub use submit::{Submit, TIMEOUT, is_conflict};

pub use consensus::ReplicaId;
pub use crypto::SigningKey;
pub use genesis::Genesis;
pub use ledger::{
    Locator, Receipt, SignedProposal, Transaction, TransactionId, UnsignedTransaction,
    ValidationCode,
};
pub use node::api::{ApiClient, ClientError};
