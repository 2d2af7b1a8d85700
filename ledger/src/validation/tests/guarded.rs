//! Keys with endorsement policies of their own.

use std::cell::Cell;

use super::*;
use crate::proposal::TransactionId;
use crate::row::{LongValue, StateRow};
use crate::state::Rows;
use crate::store::StoreError;
use crate::validation::verdict::Reason;
use ValidationCode::{EndorsementPolicyFailure, Valid};

/// In a chain where `kv`, which any peer may endorse, has the key `gold` that only
/// a peer of org2 may.
fn guarded() -> Chain {
    let mut chain = Chain::new();
    let set = Draft::new(100)
        .writes("gold", Some("1"))
        .guards("gold", Some("org2"));
    assert_eq!(chain.commit(vec![set.checked()]), [Valid]);
    chain
}

fn by(peers: &[u8], draft: Draft) -> Arc<CheckedTransaction> {
    let endorsers = peers.to_vec();
    Draft { endorsers, ..draft }.checked()
}

#[test]
fn a_key_with_a_policy_is_guarded_by_that_and_not_by_its_contracts() {
    let mut chain = guarded();
    let gold = |nonce| Draft::new(nonce).writes("gold", Some("2"));
    let both = |nonce| gold(nonce).writes("silver", Some("2"));
    let codes = chain.commit(vec![
        by(&[PEER1], gold(1)),
        by(&[PEER2], gold(2)),
        // A deletion is guarded as a write is.
        by(&[PEER1], Draft::new(3).writes("gold", None)),
        // Another key beside it does not make it free.
        by(&[PEER1], both(4)),
        by(&[PEER2], both(5)),
        // Reading is free.
        by(&[PEER1], Draft::new(6).reads("gold", Some(at(2, 4)))),
    ]);
    let no = EndorsementPolicyFailure;
    assert_eq!(codes, [no, Valid, no, no, Valid, Valid]);
}

/// The contract's policy asks for two, the key's for one of them: for the key
/// alone one is enough, for any other key it takes both.
#[test]
fn a_contracts_policy_is_asked_for_keys_without_their_own() {
    let mut chain = Chain::new();
    let both = |nonce, draft: Draft| {
        let contract = "both";
        by(
            &[PEER1, PEER2],
            Draft {
                nonce,
                contract,
                ..draft
            },
        )
    };
    let one = |nonce, draft: Draft| {
        let contract = "both";
        by(
            &[PEER1],
            Draft {
                nonce,
                contract,
                ..draft
            },
        )
    };
    let gold = || Draft::new(0).writes("gold", Some("1"));
    let codes = chain.commit(vec![
        both(1, gold().guards("gold", Some("org1"))),
        one(2, gold()),
        one(3, gold().writes("silver", Some("1"))),
        one(4, Draft::new(0)),
    ]);
    let no = EndorsementPolicyFailure;
    assert_eq!(codes, [Valid, Valid, no, no]);
}

#[test]
fn a_policy_guards_itself_and_goes_with_its_key() {
    let mut chain = guarded();
    let free = |nonce| Draft::new(nonce).guards("gold", None);
    let write = |nonce, value| Draft::new(nonce).writes("gold", value);
    let codes = chain.commit(vec![
        by(&[PEER1], free(1)),
        by(&[PEER2], Draft::new(2).guards("gold", Some("org1"))),
        by(&[PEER2], free(3)),
        by(&[PEER1], write(4, None)),
        // A key that was deleted has lost its policy, and one that is made again
        // has none.
        by(&[PEER2], write(5, Some("again"))),
        by(&[PEER1], Draft::new(6).guards("gold", Some("org1"))),
        by(&[PEER1], free(7)),
        by(&[PEER2], write(8, Some("free"))),
    ]);
    let no = EndorsementPolicyFailure;
    assert_eq!(codes, [no, Valid, no, Valid, Valid, Valid, Valid, Valid]);
    let row = chain.state.get("kv", "gold").unwrap().unwrap();
    assert_eq!((row.value, row.policy), (b"free".to_vec(), None));
}

#[test]
fn a_policy_without_a_key_is_none_and_one_that_is_set_is_a_write() {
    let mut chain = Chain::new();
    let absent = Draft::new(1).guards("none", Some("org2"));
    let made = Draft::new(2).writes("a", Some("1"));
    let set = Draft::new(3).guards("a", Some("org2"));
    let stale = Draft::new(4).reads("a", Some(at(1, 1)));
    let codes = chain.commit(vec![
        absent.checked(),
        made.checked(),
        set.checked(),
        stale.checked(),
    ]);
    assert_eq!(
        codes,
        [Valid, Valid, Valid, ValidationCode::MvccReadConflict]
    );
    assert_eq!(chain.state.get("kv", "none").unwrap(), None);
    let row = chain.state.get("kv", "a").unwrap().unwrap();
    assert_eq!((row.value, row.version), (b"1".to_vec(), at(1, 2)));
}

#[test]
fn a_shortfall_names_the_key_whose_policy_it_is() {
    let mut chain = guarded();
    let draft = Draft::new(1)
        .writes("gold", Some("2"))
        .guards("bronze", None);
    let verdict = chain.verdicts(vec![draft.checked()]).remove(0);
    let Some(Reason::Policy(shortfall)) = verdict.reason else {
        panic!("{verdict:?}");
    };
    // Bronze and gold, in order.
    assert_eq!((shortfall.key, shortfall.since), (Some(1), at(1, 0)));
    assert_eq!(shortfall.met, []);
}

/// Whoever may give keys policies must not be able to stop the chain with them: one
/// that takes long to decide is decided, and a thousand at a time are not.
#[test]
fn the_policies_of_many_keys_are_decided_in_bounded_time() {
    let many = |count: usize, policy: &str| {
        let mut chain = Chain::new();
        let mut draft = Draft::new(1);
        for i in 0..count {
            let key = format!("k{i:04}");
            let guarded = VersionedValue {
                policy: Some(policy.parse().unwrap()),
                ..row(at(1, 0), Vec::new())
            };
            chain.state.write("kv", &key, Some(guarded));
            draft = draft.writes(&key, Some("1"));
        }
        verdict(&chain, &draft)
    };
    let one = "OutOf(1, 'org1.peer')";
    let hard = format!("OR(OutOf(5, {}), {one})", [one; 11].join(", "));
    assert_eq!(many(1, &hard), Valid);
    assert_eq!(many(1000, &hard), EndorsementPolicyFailure);

    let pairs = "AND(OR('org1.peer', 'org2.peer'), OR('org1.peer', 'org2.admin'))";
    assert_eq!(many(1, pairs), EndorsementPolicyFailure);
    let ordinary = "OR(AND('org2.peer', 'org2.admin'), OutOf(1, 'org1.peer', 'org2.peer'))";
    assert_eq!(many(1000, ordinary), Valid);
}

/// A state that counts the keys which are read of it one by one.
struct Counting<'a> {
    state: &'a MemoryState,
    read: Cell<usize>,
}

impl StateView for Counting<'_> {
    fn row(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        if namespace == "kv" {
            self.read.update(|read| read + 1);
        }
        self.state.row(namespace, key)
    }

    fn long_value(&self, _: &str, key: &str, _: &LongValue) -> Result<Vec<u8>, StoreError> {
        panic!("{key}: no verdict on it depends on a long value")
    }

    fn range(&self, namespace: &str, start: &str, end: &str) -> Rows<'_> {
        self.state.range(namespace, start, end)
    }

    fn place_of(&self, id: &TransactionId) -> Result<Option<Version>, StoreError> {
        self.state.place_of(id)
    }
}

/// A member's transactions that nobody endorses name as many keys as they like, and
/// must not make every node read them.
#[test]
fn who_did_not_endorse_is_found_out_by_the_first_key() {
    let chain = guarded();
    let names = (0..100).map(|key| format!("{key:03}"));
    let draft = names.fold(Draft::new(1), |draft, key| draft.writes(&key, None));
    for (endorser, keys, code) in [(STRANGER, 1, EndorsementPolicyFailure), (PEER1, 100, Valid)] {
        let view = Counting {
            state: &chain.state,
            read: Cell::new(0),
        };
        let transaction = by(&[endorser], draft.clone());
        assert_eq!(validate(&view, &transaction, 2).unwrap().code, code);
        assert_eq!(view.read.get(), keys);
    }
}
