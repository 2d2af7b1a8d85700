//! What one node may choose for itself: `node.toml`, checked.
//!
//! Nothing that genesis says is repeated here, so the two cannot disagree. A
//! limit that is left out has a default that suits a small machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use consensus::ReplicaId;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// The text of `node.toml`, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDocument {
    /// Where the genesis document lies; relative to the home.
    pub genesis: PathBuf,
    /// Which replica of the genesis document this is.
    pub id: u32,
    /// Where the HTTP API listens, such as `127.0.0.1:8080`.
    pub api_listen: String,
    /// Where other replicas are expected, as multiaddresses.
    pub p2p_listen: Vec<String>,
    /// How many transactions may wait to be ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_max_transactions: Option<u64>,
    /// How many bytes the waiting transactions may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_max_bytes: Option<u64>,
    /// How many HTTP connections are served at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_max_connections: Option<u64>,
    /// How many contract calls for endorsement and evaluation run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_calls: Option<u64>,
}

/// Why `node.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or a field too many, too few or of another type.
    #[error("{path}: {source}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the line.
        source: Box<toml::de::Error>,
    },
    /// A field that does not hold what it must.
    #[error("{path}: {field}: expected {expected}, found {found}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it must hold.
        expected: String,
        /// What it holds.
        found: String,
    },
}

/// The configuration of one node, checked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    genesis: PathBuf,
    id: ReplicaId,
    api_listen: SocketAddr,
    p2p_listen: Vec<Multiaddr>,
    pool_max_transactions: usize,
    pool_max_bytes: usize,
    api_max_connections: usize,
    max_concurrent_calls: usize,
}

impl NodeDocument {
    /// A document that leaves every limit at its default.
    #[must_use]
    pub fn new(genesis: PathBuf, id: u32, api_listen: SocketAddr, p2p_listen: Vec<String>) -> Self {
        Self {
            genesis,
            id,
            api_listen: api_listen.to_string(),
            p2p_listen,
            pool_max_transactions: None,
            pool_max_bytes: None,
            api_max_connections: None,
            max_concurrent_calls: None,
        }
    }
}

impl NodeConfig {
    /// Checks the text of the file at `path`, which is named in errors and
    /// from whose folder relative paths count.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the field and what was expected of it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let document: NodeDocument = toml::from_str(text).map_err(|source| ConfigError::Shape {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Self::check(path, &document)
    }

    fn check(path: &Path, document: &NodeDocument) -> Result<Self, ConfigError> {
        let fields = Fields { path };
        let home = path.parent().unwrap_or(Path::new("."));
        let api_listen = document.api_listen.parse().map_err(|_| {
            let expected = "an IP address and a port such as 127.0.0.1:8080";
            fields.error("api_listen", expected, &document.api_listen)
        })?;
        if document.p2p_listen.is_empty() {
            return Err(fields.error("p2p_listen", "at least one address", "none"));
        }
        let p2p_listen = document
            .p2p_listen
            .iter()
            .enumerate()
            .map(|(i, text)| fields.address(&format!("p2p_listen[{i}]"), text))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            genesis: home.join(&document.genesis),
            id: ReplicaId(document.id),
            api_listen,
            p2p_listen,
            pool_max_transactions: Limit::new("pool_max_transactions", 20_000, 1..=10_000_000)
                .check(fields, document.pool_max_transactions)?,
            // The least has room for the largest transaction any genesis allows.
            pool_max_bytes: Limit::new("pool_max_bytes", 64 * MIB, 4 * MIB..=65_536 * MIB)
                .check(fields, document.pool_max_bytes)?,
            api_max_connections: Limit::new("api_max_connections", 512, 1..=65_536)
                .check(fields, document.api_max_connections)?,
            max_concurrent_calls: Limit::new("max_concurrent_calls", 16, 1..=1024)
                .check(fields, document.max_concurrent_calls)?,
        })
    }

    /// Where the genesis document lies.
    #[must_use]
    pub fn genesis(&self) -> &Path {
        &self.genesis
    }

    /// Which replica this is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Where the HTTP API listens.
    #[must_use]
    pub fn api_listen(&self) -> SocketAddr {
        self.api_listen
    }

    /// Where other replicas are expected.
    #[must_use]
    pub fn p2p_listen(&self) -> &[Multiaddr] {
        &self.p2p_listen
    }

    /// How many transactions may wait to be ordered. More are refused with
    /// `POOL_FULL`.
    #[must_use]
    pub fn pool_max_transactions(&self) -> usize {
        self.pool_max_transactions
    }

    /// How many bytes the waiting transactions may have together.
    #[must_use]
    pub fn pool_max_bytes(&self) -> usize {
        self.pool_max_bytes
    }

    /// How many HTTP connections are served at a time. Further ones wait to be
    /// accepted.
    #[must_use]
    pub fn api_max_connections(&self) -> usize {
        self.api_max_connections
    }

    /// How many contract calls for endorsement and evaluation run at a time.
    #[must_use]
    pub fn max_concurrent_calls(&self) -> usize {
        self.max_concurrent_calls
    }
}

/// Errors about the fields of one file.
#[derive(Clone, Copy)]
struct Fields<'a> {
    path: &'a Path,
}

impl Fields<'_> {
    fn error(
        self,
        field: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Field {
            path: self.path.to_owned(),
            field: field.to_owned(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn address(self, field: &str, text: &str) -> Result<Multiaddr, ConfigError> {
        let address = text.parse::<Multiaddr>().ok();
        let listens = |address: &Multiaddr| {
            let mut parts = address.iter();
            let first = parts.next();
            let local = matches!(first, Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
            local && matches!(parts.next(), Some(Protocol::Tcp(_))) && parts.next().is_none()
        };
        address.filter(listens).ok_or_else(|| {
            let expected = "a multiaddress to listen on such as /ip4/0.0.0.0/tcp/4001";
            self.error(field, expected, text)
        })
    }
}

/// A local limit with its default.
struct Limit {
    name: &'static str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
}

impl Limit {
    fn new(name: &'static str, default: u64, range: std::ops::RangeInclusive<u64>) -> Self {
        Self {
            name,
            default,
            range,
        }
    }

    fn check(self, fields: Fields<'_>, found: Option<u64>) -> Result<usize, ConfigError> {
        let value = found.unwrap_or(self.default);
        let sound = self.range.contains(&value);
        let size = usize::try_from(value).ok().filter(|_| sound);
        size.ok_or_else(|| {
            let expected = format!("{} to {}", self.range.start(), self.range.end());
            fields.error(self.name, expected, value.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        genesis = "../../genesis.json"
        id = 2
        api_listen = "127.0.0.1:8080"
        p2p_listen = ["/ip4/127.0.0.1/tcp/4001"]
    "#;

    fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
        NodeConfig::parse(Path::new("net/nodes/node2/node.toml"), text)
    }

    #[test]
    fn a_small_configuration_has_defaults_for_the_rest() {
        let config = parse(GOOD).unwrap();
        assert_eq!(config.id(), ReplicaId(2));
        assert_eq!(
            config.genesis(),
            Path::new("net/nodes/node2/../../genesis.json")
        );
        assert_eq!(config.api_listen().to_string(), "127.0.0.1:8080");
        assert_eq!(
            config.p2p_listen()[0].to_string(),
            "/ip4/127.0.0.1/tcp/4001"
        );
        assert_eq!(config.pool_max_bytes(), 64 * 1024 * 1024);
    }

    #[test]
    fn what_is_written_is_read() {
        let document = NodeDocument {
            pool_max_transactions: Some(7),
            ..NodeDocument::new(
                PathBuf::from("/etc/genesis.json"),
                1,
                SocketAddr::from(([127, 0, 0, 1], 9)),
                vec!["/ip6/::1/tcp/4001".to_owned()],
            )
        };
        let config = parse(&toml::to_string(&document).unwrap()).unwrap();
        assert_eq!(config.genesis(), Path::new("/etc/genesis.json"));
        assert_eq!(config.pool_max_transactions(), 7);
    }

    #[test]
    fn a_wrong_field_is_named_with_what_it_should_hold() {
        let replaced =
            |from: &str, to: &str| parse(&GOOD.replace(from, to)).unwrap_err().to_string();
        let added = |line: &str| parse(&format!("{GOOD}\n{line}\n")).unwrap_err().to_string();
        let cases = [
            (
                replaced("127.0.0.1:8080", "localhost"),
                "api_listen: expected",
            ),
            (
                replaced("/ip4/127.0.0.1/tcp/4001", "127.0.0.1:4001"),
                "p2p_listen[0]: expected",
            ),
            (
                replaced("/tcp/4001", "/udp/4001"),
                "p2p_listen[0]: expected",
            ),
            (
                replaced("\"/ip4/127.0.0.1/tcp/4001\"", ""),
                "p2p_listen: expected at least one",
            ),
            (replaced("id = 2", "id = -2"), "id"),
            (replaced("id = 2", ""), "missing field `id`"),
            (
                added("pool_max_transactions = 0"),
                "pool_max_transactions: expected 1 to 10000000, found 0",
            ),
            (
                added("pool_max_bytes = 5"),
                "pool_max_bytes: expected 4194304",
            ),
            (added("log_window = 5"), "unknown field `log_window`"),
        ];
        for (said, expected) in cases {
            assert!(
                said.contains(expected),
                "{said:?} should contain {expected:?}"
            );
            assert!(said.starts_with("net/nodes/node2/node.toml: "), "{said:?}");
        }
    }
}
