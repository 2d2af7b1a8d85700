//! The promises of `node::api`, over real sockets and a real ledger. What orders
//! transactions is played by the tests: they say when a block is committed and
//! when it is attested.

mod abuse;
mod answers;
mod common;
mod fuzz;
mod reads;
mod refusals;
mod services;
mod streams;
mod together;
mod waiting;
