//! What can go wrong, in words that say what to do.

use std::io;
use std::time::Duration;

use crypto::PublicKey;
use libp2p::Multiaddr;

use super::hello::HelloError;
use super::protocol::PeerId;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Somebody listens there already.
    #[error(
        "cannot listen on {address}: another process has that port; \
         stop it, or give this node another p2p_listen address"
    )]
    AddressInUse {
        /// Where.
        address: Multiaddr,
    },
    /// The system refused the address.
    #[error("cannot listen on {address}: {source}; check p2p_listen in node.toml")]
    Listen {
        /// Where.
        address: Multiaddr,
        /// What the system said.
        source: io::Error,
    },
    /// Not an address to listen on.
    #[error(
        "cannot listen on {address}: expected an IP address and a TCP port, \
         such as /ip4/0.0.0.0/tcp/4001"
    )]
    NoListenAddress {
        /// What was given.
        address: Multiaddr,
    },
    /// The listener did not come up.
    #[error("listening did not begin within {} s", .after.as_secs())]
    ListenTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// A key that no peer can prove to have.
    #[error("the transport key {key} of replica {peer} is not a usable Ed25519 key")]
    BadTransportKey {
        /// Whose.
        peer: PeerId,
        /// The key.
        key: PublicKey,
    },
    /// The private key at hand is not the one that the others expect.
    #[error(
        "this node's transport key is {own}, but replica {local} is listed with {listed}: \
         the others would refuse it; give it the key file made for replica {local}"
    )]
    NotOwnKey {
        /// Which replica this is to be.
        local: PeerId,
        /// The public half of the key at hand.
        own: PublicKey,
        /// The key in the list.
        listed: PublicKey,
    },
    /// Two replicas with one number or one transport key, or a key that is
    /// this node's.
    #[error("replica {peer} is listed twice, or with the transport key of another")]
    Ambiguous {
        /// The second of the two.
        peer: PeerId,
    },
    /// The system's resolver configuration cannot be read, and there are names
    /// to be resolved.
    #[error(
        "cannot resolve the host names among the peers' addresses: {source}; \
         mend /etc/resolv.conf or list IP addresses"
    )]
    Resolver {
        /// What the resolver said.
        source: io::Error,
    },
    /// The handshake cannot be set up.
    #[error("cannot set up the encryption of connections: {reason}")]
    Encryption {
        /// What the library said.
        reason: String,
    },
}

/// Why a request has no response.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not a replica of this network, or this one.
    #[error("replica {peer} is not a peer of this node")]
    UnknownPeer {
        /// Who.
        peer: PeerId,
    },
    /// There is no connection to it.
    #[error("there is no connection to replica {peer}")]
    NotConnected {
        /// Who.
        peer: PeerId,
    },
    /// The request is longer than the peer would read.
    #[error("the request has {size} bytes and may have {limit}")]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// No response came in time.
    #[error("replica {peer} did not respond within {} ms", .after.as_millis())]
    Timeout {
        /// Who.
        peer: PeerId,
        /// How long was waited.
        after: Duration,
    },
    /// The peer is of another network or version.
    #[error("replica {peer} cannot be asked: {source}")]
    Hello {
        /// Who.
        peer: PeerId,
        /// What it said.
        source: HelloError,
    },
    /// The peer closed the stream without a response: it has too many requests
    /// to serve, or none to give.
    #[error("replica {peer} closed the stream without a response")]
    Refused {
        /// Who.
        peer: PeerId,
    },
    /// The response broke off or is longer than allowed.
    #[error("the stream to replica {peer} failed: {reason}")]
    Failed {
        /// Who.
        peer: PeerId,
        /// What happened.
        reason: String,
    },
    /// The network of this node has been stopped.
    #[error("the network of this node has been stopped")]
    Stopped,
}
