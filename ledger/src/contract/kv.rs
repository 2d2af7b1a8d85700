//! `kv`: keys and values, and nothing more.
//!
//! Putting and deleting look at nothing, so they conflict with nothing, and can
//! be repeated: of two the later one stands. A key can be given an endorsement
//! policy of its own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::context::at_most;
use super::{Context, Contract, ContractError, Function, json};

/// The key-value contract. Values are text.
#[derive(Clone, Copy, Debug)]
pub struct KvContract;

impl KvContract {
    /// How many keys are put together at most: what each holds by now is read for its
    /// policy.
    pub const MAX_PUT_TOGETHER: usize = 256;
}

/// A row as `range` shows it.
#[derive(Serialize)]
struct Row {
    key: String,
    value: String,
}

const FUNCTIONS: &[Function] = &[
    Function {
        name: "put",
        args: &["key", "value"],
    },
    Function {
        name: "put_all",
        args: &["values"],
    },
    Function {
        name: "get",
        args: &["key"],
    },
    Function {
        name: "delete",
        args: &["key"],
    },
    Function {
        name: "range",
        args: &["start", "end"],
    },
    Function {
        name: "set_policy",
        args: &["key", "policy"],
    },
];

impl Contract for KvContract {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }

    fn invoke(
        &self,
        context: &mut Context<'_>,
        function: &str,
        args: &[String],
    ) -> Result<Vec<u8>, ContractError> {
        match (function, args) {
            ("put", [key, value]) => {
                context.put(key, value.clone().into_bytes())?;
                Ok(Vec::new())
            }
            ("put_all", [values]) => {
                for (key, value) in values_by_key(values)? {
                    context.put(&key, value.into_bytes())?;
                }
                Ok(Vec::new())
            }
            ("get", [key]) => context
                .get(key)?
                .ok_or_else(|| ContractError::failed(format!("the key {key} does not exist"))),
            ("delete", [key]) => {
                context.delete(key)?;
                Ok(Vec::new())
            }
            ("range", [start, end]) => range(context, start, end),
            // An empty policy leaves the key to the contract's again.
            ("set_policy", [key, policy]) => {
                let policy = if policy.is_empty() {
                    None
                } else {
                    Some(context.policy(policy)?)
                };
                context.set_policy(key, policy)?;
                Ok(Vec::new())
            }
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

/// Keys and their values, as a JSON object has them. Of a key that comes again the last
/// value stands, as with `put`.
fn values_by_key(values: &str) -> Result<BTreeMap<String, String>, ContractError> {
    let values: BTreeMap<String, String> = serde_json::from_str(values).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let expected = "values must be a JSON object of keys and texts";
        ContractError::failed(format!("{expected}: line {line}, column {column}"))
    })?;
    let limit = KvContract::MAX_PUT_TOGETHER;
    at_most("keys put together", values.len(), limit)?;
    Ok(values)
}

fn range(context: &mut Context<'_>, start: &str, end: &str) -> Result<Vec<u8>, ContractError> {
    let rows = context
        .range(start, end)?
        .into_iter()
        .map(|(key, value)| match String::from_utf8(value) {
            Ok(value) => Ok(Row { key, value }),
            // Endorsers that agree can write what `put` would not.
            Err(_) => Err(ContractError::failed(format!(
                "the value of the key {key} is not text"
            ))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json(&rows))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::rwset::WriteValue;

    #[test]
    fn what_was_put_is_got_until_it_is_deleted() {
        let mut world = World::new(&KvContract);
        world.fails("get", &["a"], "the key a does not exist");
        assert_eq!(world.submit("put", &["a", "one"]), "");
        assert_eq!(world.submit("get", &["a"]), "one");
        world.submit("put", &["a", "two"]);
        assert_eq!(world.submit("get", &["a"]), "two");
        world.submit("delete", &["a"]);
        world.fails("get", &["a"], "the key a does not exist");
        assert_eq!(world.submit("delete", &["a"]), "");
    }

    #[test]
    fn values_are_put_together_or_not_at_all() {
        let mut world = World::new(&KvContract);
        assert_eq!(world.submit("put_all", &[r#"{"b":"2","a":"1"}"#]), "");
        assert_eq!(
            world.submit("range", &["", ""]),
            r#"[{"key":"a","value":"1"},{"key":"b","value":"2"}]"#
        );
        assert_eq!(world.submit("put_all", &["{}"]), "");
        let begin = "values must be a JSON object of keys and texts: line 1, column ";
        for (values, column) in [(r#"{"c":3}"#, 6), ("a", 1)] {
            world.fails("put_all", &[values], &format!("{begin}{column}"));
        }
        let many: BTreeMap<_, _> = (0..257).map(|key| (key.to_string(), "v")).collect();
        let many = String::from_utf8(json(&many)).unwrap();
        let message = "keys put together: 257, and at most 256 are allowed";
        world.fails("put_all", &[&many], message);
        let empty = r#"{"c":"3","":"4"}"#;
        world.fails("put_all", &[empty], "key must not be an empty string");
        world.fails("get", &["c"], "the key c does not exist");
    }

    /// What stands in the state is what enough endorsers signed, not what `put` takes.
    #[test]
    fn a_value_that_is_not_text_is_named_and_stops_nobody() {
        let mut world = World::new(&KvContract);
        world.submit("put", &["a", "1"]);
        world.write("b", &[0xff]);
        world.fails("range", &["", ""], "the value of the key b is not text");
        assert_eq!(
            world.submit("range", &["", "b"]),
            r#"[{"key":"a","value":"1"}]"#
        );
    }

    #[test]
    fn a_range_is_a_json_array_by_key_without_its_end() {
        let mut world = World::new(&KvContract);
        assert_eq!(world.submit("range", &["", ""]), "[]");
        for (key, value) in [("b", "2"), ("a", "\"1\""), ("c", "ö")] {
            world.submit("put", &[key, value]);
        }
        assert_eq!(
            world.submit("range", &["a", "c"]),
            r#"[{"key":"a","value":"\"1\""},{"key":"b","value":"2"}]"#
        );
        assert_eq!(
            world.submit("range", &["c", ""]),
            r#"[{"key":"c","value":"ö"}]"#
        );
        assert_eq!(world.submit("range", &["c", "a"]), "[]");
    }

    /// What is given stands in the proposal, and is not said again.
    #[test]
    fn a_write_of_an_argument_refers_to_it() {
        let mut world = World::new(&KvContract);
        let written = |world: &World, args: &[&str]| {
            let (mut rwset, _) = world.simulate("put", args).unwrap();
            rwset.writes.remove(0).value.unwrap()
        };
        assert_eq!(written(&world, &["a", "v"]), WriteValue::Argument(1));
        assert_eq!(written(&world, &["a", "a"]), WriteValue::Argument(0));
        world.submit("put", &["a", "v"]);
        assert_eq!(world.submit("get", &["a"]), "v");
        let (mut rwset, _) = world.simulate("put_all", &[r#"{"a":"v"}"#]).unwrap();
        let value = rwset.writes.remove(0).value;
        assert_eq!(value, Some(WriteValue::Bytes(b"v".to_vec())));
    }

    #[test]
    fn a_key_is_given_a_policy_and_relieved_of_it() {
        let mut world = World::new(&KvContract);
        let message = "the key a does not exist, so it has no policy";
        world.fails("set_policy", &["a", "org1"], message);
        world.submit("put", &["a", "1"]);
        let message = "there is no organisation org9";
        world.fails("set_policy", &["a", "org1 and org9"], message);
        let (rwset, _) = world.simulate("set_policy", &["a", "majority"]).unwrap();
        let policy = "OutOf(2, 'org1.peer', 'org2.peer')".parse().unwrap();
        assert_eq!((rwset.writes.len(), rwset.policies.len()), (0, 1));
        assert_eq!(rwset.policies[0].policy, Some(policy));
        // That there was a key is what the call relies on.
        assert_eq!(rwset.reads[0].key, "a");
        let (rwset, _) = world.simulate("set_policy", &["a", ""]).unwrap();
        assert_eq!(rwset.policies[0].policy, None);
    }

    #[test]
    fn keys_and_calls_that_cannot_be_are_refused() {
        let world = World::new(&KvContract);
        world.fails("put", &["", "v"], "key must not be an empty string");
        let long = "k".repeat(1025);
        let message = "bytes of a key: 1025, and at most 1024 are allowed";
        world.fails("put", &[&long, "v"], message);
        world.fails("get", &[&long], message);
        world.fails("range", &["", &long], message);
        let message = "Incorrect number of params. Expected 2, received 1";
        world.fails("put", &["a"], message);
        world.fails("drop", &[], "Function drop not found in contract kv");
    }
}
