//! The promises of `node::network`, over real sockets on the loopback
//! interface. Ports come from the system: nodes start from the highest
//! transport identity downwards, and each is given the addresses of those that
//! listen already, which are the ones that it is to dial.

mod common;
mod exchange;
mod reconnection;
mod refusal;
mod relay;
mod requests;
mod shutdown;
mod slow_peers;
