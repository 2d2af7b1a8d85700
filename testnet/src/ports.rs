//! Free ports on the loopback interface.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::TestnetError;

/// Below this, ports belong to well-known services.
const FIRST: u16 = 10_000;

/// Where outgoing connections take their ports from, if the system does not say.
const USUAL_EPHEMERAL: u16 = 32_768;

/// `count` distinct ports that nothing listens on just now.
///
/// A stopped network is started again on its old ports, and the system hands
/// its ephemeral ports to any outgoing connection meanwhile: so these are taken
/// from below them, beginning at random so that networks that are made at the
/// same time do not meet.
///
/// # Errors
///
/// When there are not as many.
pub fn free_ports(count: usize) -> Result<Vec<u16>, TestnetError> {
    let candidates = FIRST..first_ephemeral().max(FIRST + 1000);
    let start = candidates.len().min(usize::from(random_u16()));
    let around = candidates.clone().cycle().skip(start);
    // Held until all are found, so that none is found twice.
    let held: Vec<TcpListener> = around
        .take(candidates.len())
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    let ports = held
        .iter()
        .filter_map(|listener| listener.local_addr().ok());
    let ports: Vec<u16> = ports.map(|address| address.port()).collect();
    if ports.len() == count {
        return Ok(ports);
    }
    Err(TestnetError::NoPorts { count })
}

fn first_ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| {
        let first = range.split_whitespace().next()?;
        first.parse().ok()
    });
    first.unwrap_or(USUAL_EPHEMERAL)
}

/// The standard library seeds its hashers at random, which is random enough here.
fn random_u16() -> u16 {
    let hash = RandomState::new().build_hasher().finish();
    u16::try_from(hash % 65_536).expect("a remainder of 65,536 is below it")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_distinct_free_and_not_ephemeral() {
        let ports = free_ports(40).unwrap();
        let distinct: BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), 40);
        assert!(ports.iter().all(|port| *port < first_ephemeral()));
    }

    #[test]
    fn a_port_that_is_in_use_is_not_given_out() {
        let held: Vec<_> = free_ports(20)
            .unwrap()
            .into_iter()
            .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .collect();
        let taken: BTreeSet<u16> = held
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        let all = usize::from(first_ephemeral() - FIRST);
        let others = free_ports(all / 2).unwrap();
        assert!(others.iter().all(|port| !taken.contains(port)));
    }
}
