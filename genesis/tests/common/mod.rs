//! A network of four to take apart.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use crypto::{PublicKey, SigningKey};
use genesis::{GenesisBuilder, NewReplica};
use serde_json::Value;

/// The public key of a seed of which every byte is `byte`.
pub(crate) fn key(byte: u8) -> PublicKey {
    SigningKey::from_seed(&[byte; 32]).public()
}

/// Four replicas of four organisations, an admin for each, two clients.
pub(crate) fn builder() -> GenesisBuilder {
    network_of(4)
}

/// As many replicas as organisations, an admin for each, two clients.
pub(crate) fn network_of(n: u8) -> GenesisBuilder {
    let mut builder = GenesisBuilder::new("example").testing(true);
    for i in 0..n {
        let organisation = format!("org{}", i + 1);
        builder = builder
            .admin(
                &organisation,
                &format!("{organisation}-admin"),
                key(100 + i),
            )
            .replica(NewReplica {
                name: format!("node{i}"),
                organisation,
                consensus_key: key(1 + i),
                transport_key: key(50 + i),
                addresses: vec![format!("/ip4/127.0.0.1/tcp/{}", 4001 + u16::from(i))],
            });
    }
    let second = if n == 1 { "org1" } else { "org2" };
    builder
        .client("org1", "alice", key(200))
        .client(second, "bob", key(201))
}

/// The document of [`builder`] as JSON to be changed.
pub(crate) fn json() -> Value {
    serde_json::from_str(&builder().build().unwrap().to_json()).unwrap()
}

/// The pointers of every value in `value` that holds no others.
pub(crate) fn leaves(value: &Value) -> Vec<String> {
    let inside = |name: String, inner: &Value| {
        let below = leaves(inner).into_iter();
        below
            .map(|path| format!("/{name}{path}"))
            .collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, inner)| inside(name.clone(), inner))
            .collect(),
        Value::Array(items) => (0..)
            .zip(items)
            .flat_map(|(i, inner): (usize, _)| inside(i.to_string(), inner))
            .collect(),
        _ => vec![String::new()],
    }
}
