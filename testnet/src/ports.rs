//! Free ports on the loopback interface.
//!
//! A network that is stopped has ports that nothing listens on and that are its
//! own all the same: they stand in its genesis document. So ports are not only
//! looked for but reserved, in one small file per user in the folder for
//! temporary files, for as long as the network's folder exists.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{TestnetError, io_error};
use crate::folder::network_file;
use crate::spec::draft;

/// Below this, ports belong to well-known services.
const FIRST: u16 = 10_000;

/// Where outgoing connections take their ports from, if the system does not say.
const USUAL_EPHEMERAL: u16 = 32_768;

/// `count` distinct ports for the network in `path`: nothing listens on them
/// just now, and no other network of this user has them.
///
/// The system hands its ephemeral ports to any outgoing connection, so these
/// are taken from below them. They begin at random, because what other users
/// reserve is not known.
pub(crate) fn reserve_ports(count: usize, path: &Path) -> Result<Vec<u16>, TestnetError> {
    let user = rustix::process::getuid().as_raw();
    let registry = std::env::temp_dir().join(format!("logothete-ports-{user}"));
    let candidates = FIRST..first_ephemeral().max(FIRST + 1000);
    Registry::open(&registry)?.reserve(count, &candidates, path)
}

/// The file of reserved ports, held against other commands: a line per port,
/// with the folder of its network.
struct Registry {
    path: PathBuf,
    file: File,
}

impl Registry {
    fn open(path: &Path) -> Result<Self, TestnetError> {
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).expect("an open flag is small");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(path);
        let held = file.and_then(|file| file.lock().map(|()| file));
        let file = held.map_err(|source| io_error("open and lock", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn reserve(
        mut self,
        count: usize,
        candidates: &Range<u16>,
        network: &Path,
    ) -> Result<Vec<u16>, TestnetError> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| io_error(operation, &path, source)
        };
        let network = std::path::absolute(network).map_err(failed("find", network))?;
        let path = self.path.clone();
        let mut reserved = self.read().map_err(failed("read", &path))?;
        reserved.retain(|(_, owner)| *owner != network && exists(owner));
        let free = |port: &u16| reserved.iter().all(|(taken, _)| taken != port);
        // Held until all are found, so that none is found twice.
        let held: Vec<TcpListener> = from_anywhere(candidates)
            .filter(free)
            .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .take(count)
            .collect();
        let found = held
            .iter()
            .filter_map(|listener| listener.local_addr().ok());
        let ports: Vec<u16> = found.map(|address| address.port()).collect();
        if ports.len() != count {
            return Err(TestnetError::NoPorts { count });
        }
        reserved.extend(ports.iter().map(|port| (*port, network.clone())));
        self.write(&reserved).map_err(failed("write", &path))?;
        Ok(ports)
    }

    fn read(&mut self) -> io::Result<Vec<(u16, PathBuf)>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let entry = |line: &str| {
            let (port, network) = line.split_once(' ')?;
            Some((port.parse().ok()?, PathBuf::from(network)))
        };
        Ok(text.lines().filter_map(entry).collect())
    }

    fn write(&mut self, reserved: &[(u16, PathBuf)]) -> io::Result<()> {
        let line = |(port, network): &(u16, PathBuf)| format!("{port} {}\n", network.display());
        let text: String = reserved.iter().map(line).collect();
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

/// Whether there is a network in `path`, or one in the making.
fn exists(path: &Path) -> bool {
    network_file(path).exists() || draft(path).exists()
}

/// All of `candidates` once, beginning at random.
fn from_anywhere(candidates: &Range<u16>) -> impl Iterator<Item = u16> + use<> {
    // The standard library seeds its hashers at random, which is random enough.
    let random = RandomState::new().build_hasher().finish();
    let length = candidates.len() as u64;
    let start = usize::try_from(random.checked_rem(length).unwrap_or(0)).unwrap_or(0);
    let around = candidates.clone().cycle().skip(start);
    around.take(candidates.len())
}

fn first_ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| {
        let first = range.split_whitespace().next()?;
        first.parse().ok()
    });
    first.unwrap_or(USUAL_EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A registry with networks and candidates of its own: enough of them that
    /// those which other programs use do not matter.
    struct Place {
        folder: tempfile::TempDir,
        candidates: Range<u16>,
    }

    impl Place {
        fn new(first: u16) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let candidates = first..first + 400;
            Self { folder, candidates }
        }

        fn network(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Reserves ports for a network and makes its folder.
        fn reserve(&self, name: &str, count: usize) -> Result<BTreeSet<u16>, TestnetError> {
            let registry = Registry::open(&self.folder.path().join("ports"))?;
            let ports = registry.reserve(count, &self.candidates, &self.network(name))?;
            fs::create_dir_all(self.network(name)).unwrap();
            fs::write(network_file(&self.network(name)), "").unwrap();
            let distinct: BTreeSet<_> = ports.into_iter().collect();
            assert_eq!(distinct.len(), count, "no port is given twice");
            Ok(distinct)
        }
    }

    #[test]
    fn no_two_networks_share_a_port_even_while_they_are_stopped() {
        let place = Place::new(20_000);
        let first = place.reserve("first", 150).unwrap();
        let second = place.reserve("second", 150).unwrap();
        assert!(first.is_disjoint(&second));
        let third = place.reserve("third", 150);
        assert!(matches!(third, Err(TestnetError::NoPorts { count: 150 })));
    }

    #[test]
    fn the_ports_of_a_network_that_is_gone_are_free_again() {
        let place = Place::new(20_400);
        place.reserve("first", 250).unwrap();
        assert!(place.reserve("second", 250).is_err());
        fs::remove_dir_all(place.network("first")).unwrap();
        assert!(place.reserve("second", 250).is_ok());
    }

    #[test]
    fn a_port_that_is_in_use_is_not_given_out() {
        let place = Place::new(20_800);
        let candidates = place.candidates.clone();
        let held: Vec<TcpListener> = candidates
            .step_by(2)
            .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .collect();
        let used: BTreeSet<u16> = held
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        assert!(place.reserve("first", 100).unwrap().is_disjoint(&used));
    }

    #[test]
    fn junk_in_the_registry_is_no_reservation() {
        let place = Place::new(21_200);
        fs::write(place.folder.path().join("ports"), b"x\n1\n99999 /\n\xff\n").unwrap();
        assert!(place.reserve("first", 2).is_ok());
    }
}
