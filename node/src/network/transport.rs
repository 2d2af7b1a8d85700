//! Connections: TCP, Noise with the transport key, Yamux; and who a transport
//! key is for libp2p.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use crypto::{PublicKey, SigningKey};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::{Keypair, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId as TransportId, Transport as _, dns, noise, tcp};

use super::error::NetworkError;
use super::muxer::Multiplexing;

/// The identity of a key on the wire, if it is a usable key.
pub(super) fn transport_id(key: &PublicKey) -> Option<TransportId> {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// The key of an identity on the wire, if it holds one.
pub(super) fn transport_key(id: &TransportId) -> Option<PublicKey> {
    let key = libp2p::identity::PublicKey::try_decode_protobuf(id.as_ref().digest()).ok()?;
    Some(PublicKey(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The pair of keys that connections are made with.
pub(super) fn keypair(key: &SigningKey) -> Result<Keypair, NetworkError> {
    Keypair::ed25519_from_bytes(key.seed().as_mut_slice()).map_err(|error| encryption(&error))
}

fn encryption(error: &impl ToString) -> NetworkError {
    NetworkError::Encryption {
        reason: error.to_string(),
    }
}

/// A transport whose handshakes, in both directions, end within `timeout`.
/// Names are resolved only `with_names`, so that a machine without a resolver
/// can run a network of IP addresses.
pub(super) fn transport(
    keypair: &Keypair,
    timeout: Duration,
    with_names: bool,
) -> Result<Boxed<(TransportId, StreamMuxerBox)>, NetworkError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    let sockets = if with_names {
        dns::tokio::Transport::system(tcp)
            .map_err(|source| NetworkError::Resolver { source })?
            .map_err(io::Error::other)
            .boxed()
    } else {
        tcp.boxed()
    };
    let noise = noise::Config::new(keypair).map_err(|error| encryption(&error))?;
    let connections = sockets
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(Multiplexing)
        .timeout(timeout)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(connections.boxed())
}

/// Whether an address has a name to be resolved.
pub(super) fn has_name(address: &Multiaddr) -> bool {
    address.iter().any(|part| {
        matches!(
            part,
            Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)
        )
    })
}

/// Makes sure that nobody listens on an address. The transport itself would
/// not notice: its sockets share a port with any other process of this user,
/// and two nodes would each get some of the connections.
pub(super) fn check_free(address: &Multiaddr) -> Result<(), NetworkError> {
    let wrong = || NetworkError::NoListenAddress {
        address: address.clone(),
    };
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Err(wrong()),
    };
    let (Some(Protocol::Tcp(port)), None) = (parts.next(), parts.next()) else {
        return Err(wrong());
    };
    TcpListener::bind(SocketAddr::new(ip, port))
        .map(drop)
        .map_err(|source| listen_error(address, source))
}

/// What it means that an address cannot be listened on.
pub(super) fn listen_error(address: &Multiaddr, source: io::Error) -> NetworkError {
    let address = address.clone();
    if source.kind() == io::ErrorKind::AddrInUse {
        return NetworkError::AddressInUse { address };
    }
    NetworkError::Listen { address, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_key_and_its_identity_lead_to_each_other() {
        let key = SigningKey::from_seed(&[5; 32]);
        let id = transport_id(&key.public()).unwrap();
        assert_eq!(transport_key(&id), Some(key.public()));
        assert_eq!(keypair(&key).unwrap().public().to_peer_id(), id);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_named() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let error = check_free(&address).unwrap_err();
        assert!(
            matches!(&error, NetworkError::AddressInUse { address: named } if *named == address)
        );
        drop(other);
        check_free(&address).unwrap();
    }

    #[test]
    fn what_is_no_place_to_listen_on_is_said_to_be_none() {
        for text in ["/dns4/example.org/tcp/1", "/ip4/127.0.0.1", "/memory/1"] {
            let error = check_free(&text.parse().unwrap()).unwrap_err();
            assert!(
                matches!(error, NetworkError::NoListenAddress { .. }),
                "{text}"
            );
        }
    }
}
