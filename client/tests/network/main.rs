//! What the library promises, against four whole nodes on real sockets and real
//! disks, and against nodes that lie to their clients.

mod common;
mod endorsing;
mod ordering;
mod relay;
mod retrying;
