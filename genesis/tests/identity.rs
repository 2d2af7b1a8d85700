//! What the network id depends on: every value of the document, and nothing else.

mod common;

use common::{builder, json, leaves, network_of};
use crypto::{Domain, PublicKey};
use genesis::{Document, Genesis};
use proptest::prelude::*;
use serde_json::{Value, json};

fn id(document: &Value) -> String {
    let document: Document = serde_json::from_value(document.clone()).unwrap();
    document.network_id().to_string()
}

/// The id of a fixed document never changes: it would cut every existing
/// network off from its own chain.
#[test]
fn the_network_id_of_the_example_is_golden() {
    let text = include_str!("vectors/example.json");
    let genesis = Genesis::from_json(text.as_bytes()).unwrap();
    assert_eq!(
        genesis.network_id().to_string(),
        include_str!("vectors/example.id").trim()
    );
    assert_eq!(genesis.to_json(), text, "the example is in our own writing");
}

/// The canonical bytes, built here by hand from the words of the description:
/// fields in order, numbers as 8 bytes little-endian, booleans as one byte,
/// texts and lists behind their length in 8 bytes, keys as 32 bytes.
#[test]
fn the_canonical_bytes_are_those_of_the_description() {
    fn write(value: &Value, order: &[&str], bytes: &mut Vec<u8>) {
        match value {
            Value::Bool(flag) => bytes.push(u8::from(*flag)),
            Value::Number(number) => bytes.extend(number.as_u64().unwrap().to_le_bytes()),
            Value::String(text) => {
                if let Ok(key) = text.parse::<PublicKey>() {
                    bytes.extend(key.0);
                } else {
                    bytes.extend((text.len() as u64).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
            Value::Array(items) => {
                bytes.extend((items.len() as u64).to_le_bytes());
                for item in items {
                    write(item, order, bytes);
                }
            }
            Value::Object(fields) => {
                let known = order.iter().filter_map(|name| fields.get(*name));
                for field in known {
                    write(field, order, bytes);
                }
            }
            Value::Null => panic!("a document has no null"),
        }
    }
    let order = [
        "format",
        "id",
        "network",
        "name",
        "testing",
        "organisations",
        "admins",
        "clients",
        "replicas",
        "organisation",
        "consensus_key",
        "transport_key",
        "addresses",
        "key",
        "contracts",
        "version",
        "policy",
        "consensus",
        "max_batch_transactions",
        "max_batch_bytes",
        "max_transaction_bytes",
        "checkpoint_interval",
        "log_window",
        "max_in_flight",
        "request_timeout_ms",
        "request_timeout_cap_ms",
        "max_timestamp_ahead_ms",
        "status_interval_ms",
    ];
    let mut bytes = Vec::new();
    write(&json(), &order, &mut bytes);
    let genesis = builder().build().unwrap();
    assert_eq!(genesis.document().canonical_bytes(), bytes);
    assert_eq!(genesis.network_id(), Domain::Genesis.hash(&bytes));
}

#[test]
fn every_value_of_the_document_is_in_the_id() {
    let original = json();
    let before = id(&original);
    let paths = leaves(&original);
    assert!(paths.len() > 50, "the example has every kind of field");
    for path in paths {
        let mut changed = original.clone();
        let value = changed.pointer_mut(&path).unwrap();
        *value = match value {
            Value::Bool(flag) => json!(!*flag),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            // A digit of a key, a letter of a name.
            Value::String(text) => json!(text.replacen(|c: char| c.is_ascii_digit(), "a", 1) + ""),
            other => panic!("{path}: {other}"),
        };
        if changed == original {
            *changed.pointer_mut(&path).unwrap() = json!("other");
        }
        assert_ne!(id(&changed), before, "{path} is not in the network id");
    }
}

#[test]
fn every_list_of_the_document_is_in_the_id_with_its_order() {
    let original = json();
    for path in [
        "/organisations",
        "/organisations/0/admins",
        "/organisations/0/clients",
        "/replicas",
        "/replicas/0/addresses",
        "/contracts",
    ] {
        let mut shorter = original.clone();
        let list = shorter.pointer_mut(path).unwrap().as_array_mut().unwrap();
        list.pop().unwrap();
        assert_ne!(id(&shorter), id(&original), "{path} can lose an entry");
        let mut turned = original.clone();
        let list = turned.pointer_mut(path).unwrap().as_array_mut().unwrap();
        list.reverse();
        let same = turned == original;
        assert_eq!(
            id(&turned) == id(&original),
            same,
            "{path} can be reordered"
        );
    }
}

/// Writes `value` with keys in an order and white space that `choices` decide.
fn scribble(value: &Value, choices: &mut impl Iterator<Item = usize>) -> String {
    let space = |choices: &mut dyn Iterator<Item = usize>| {
        [" ", "", "\n\t", "\r\n  "][choices.next().unwrap_or(0) % 4].to_owned()
    };
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            let mut parts = Vec::new();
            while !fields.is_empty() {
                let at = choices.next().unwrap_or(0) % fields.len();
                let (name, inner) = fields.remove(at);
                let (before, after) = (space(choices), space(choices));
                parts.push(format!(
                    "{before}\"{name}\"{after}:{}",
                    scribble(inner, choices)
                ));
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| scribble(item, choices)).collect();
            format!("[{}{}]", space(choices), items.join(","))
        }
        scalar => format!("{}{scalar}{}", space(choices), space(choices)),
    }
}

proptest! {
    #[test]
    fn white_space_and_the_order_of_keys_are_not_in_the_id(
        choices in proptest::collection::vec(any::<usize>(), 1..400)
    ) {
        let text = scribble(&json(), &mut choices.into_iter().cycle().take(4000));
        let genesis = Genesis::from_json(text.as_bytes()).unwrap();
        prop_assert_eq!(genesis.network_id(), builder().build().unwrap().network_id());
    }

    #[test]
    fn a_genesis_survives_its_json(n in 1_u8..=20, testing: bool, interval in 1_u64..=64) {
        let consensus = genesis::ConsensusDocument {
            checkpoint_interval: interval,
            ..Default::default()
        };
        let genesis = network_of(n).testing(testing).consensus(consensus).build().unwrap();
        let again = Genesis::from_json(genesis.to_json().as_bytes()).unwrap();
        prop_assert_eq!(again.document(), genesis.document());
        prop_assert_eq!(again.network_id(), genesis.network_id());
    }

    #[test]
    fn any_bytes_are_a_genesis_or_an_error(bytes in any::<Vec<u8>>()) {
        let _verdict = Genesis::from_json(&bytes);
    }

    /// One value of the document replaced by anything: it is refused, or it is
    /// another network.
    #[test]
    fn a_changed_document_is_refused_or_another_network(
        at in any::<prop::sample::Index>(), number: u64, text in ".{0,40}", kind in 0..3_u8
    ) {
        let mut document = json();
        let paths = leaves(&document);
        let place = document.pointer_mut(&paths[at.index(paths.len())]).unwrap();
        let value = match kind { 0 => json!(number), 1 => json!(text), _ => json!(null) };
        let same = *place == value;
        *place = value;
        if let Ok(genesis) = Genesis::from_json(document.to_string().as_bytes()) {
            let id = builder().build().unwrap().network_id();
            prop_assert_eq!(genesis.network_id() == id, same);
        }
    }
}
