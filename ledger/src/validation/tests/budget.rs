//! What one client can make all replicas do at a time.

use super::super::Budget;
use super::*;
use crate::store::StoreError;
use ValidationCode::{EndorsementPolicyFailure, PhantomReadConflict, Valid};

/// The verdict on the only transaction of a block.
pub(super) fn validate(
    view: &dyn StateView,
    transaction: &CheckedTransaction,
    number: u64,
) -> Result<Verdict, StoreError> {
    super::super::validate(view, transaction, number, &mut Budget::default())
}

/// A chain whose `kv` has so many keys, and the versions of all of them.
fn filled(count: u32) -> (Chain, Vec<(String, Version)>) {
    let mut chain = Chain::new();
    let keys = (0..count).map(|index| (format!("{index:05}"), at(1, index)));
    let keys: Vec<_> = keys.collect();
    for (key, version) in &keys {
        let written = row(*version, Vec::new());
        chain.state.apply("kv", key, &Some(written).into());
    }
    (chain, keys)
}

/// One that has read all keys that there are, from each of these on.
fn reads_all(nonce: u64, keys: &[(String, Version)], starts: &[&str]) -> Draft {
    let rows: Vec<_> = keys.iter().map(|(key, at)| (key.as_str(), *at)).collect();
    let draft = Draft::new(nonce);
    starts
        .iter()
        .fold(draft, |draft, start| draft.ranges(start, "", &rows))
}

#[test]
fn all_ranges_of_a_transaction_together_have_so_many_rows() {
    let (mut chain, keys) = filled(5_000);
    let codes = chain.commit(vec![
        reads_all(1, &keys, &["", "0"]).checked(),
        reads_all(2, &keys, &["", "0", "00"]).checked(),
    ]);
    assert_eq!(codes, [Valid, PhantomReadConflict]);
}

/// A transaction that reads much has few bytes, and a block holds a thousand of them.
#[test]
fn all_transactions_of_a_block_together_read_so_many_rows_again() {
    let (mut chain, keys) = filled(10_000);
    let mut block = |nonces: std::ops::Range<u64>| {
        let all = nonces.map(|nonce| reads_all(nonce, &keys, &[""]).checked());
        chain.commit(all.collect())
    };
    let codes = block(0..25);
    assert_eq!(
        codes,
        [[Valid; 20].as_slice(), &[PhantomReadConflict; 5]].concat()
    );
    assert_eq!(
        block(25..27),
        [Valid, Valid],
        "the next block has a budget of its own"
    );
}

/// Policies are found to be met at once as people write them; some take long.
#[test]
fn all_transactions_of_a_block_together_have_policies_searched_so_far() {
    let mut chain = Chain::new();
    let everybody = [CLIENT, ADMIN, PEER1, PEER2, ADMIN2];
    let several = |count: usize, principal: &str| vec![format!("OR('{principal}')"); count];
    let parts = [
        several(5, "org1.client"),
        several(2, "org1.admin"),
        several(2, "org1.peer"),
        several(1, "org2.peer"),
        several(1, "org2.admin"),
    ];
    let takes_long = format!("OutOf(5, {})", parts.concat().join(", "));
    let ordinary = "OR(AND('org1.peer', 'org2.peer'), AND('org1.admin', 'org2.admin'))";
    let by_everybody = |draft: Draft| Draft {
        endorsers: everybody.to_vec(),
        ..draft
    };
    let set = Draft::new(0)
        .writes("hard", Some("1"))
        .writes("plain", Some("1"))
        .guards("hard", Some(&takes_long))
        .guards("plain", Some(ordinary));
    assert_eq!(chain.commit(vec![set.checked()]), [Valid]);
    let mut block = |nonce: u64| {
        let hard = |at| by_everybody(Draft::new(nonce + at).writes("hard", Some("2")));
        let plain = by_everybody(Draft::new(nonce + 999).writes("plain", Some("2")));
        let all = (0..300).map(hard).chain([plain]);
        chain.commit(all.map(|draft| draft.checked()).collect())
    };
    for nonce in [1_000, 2_000] {
        let codes = block(nonce);
        let (plain, hard) = codes.split_last().unwrap();
        let met = hard.iter().take_while(|code| **code == Valid).count();
        assert!((50..250).contains(&met), "{met}");
        assert!(
            hard[met..]
                .iter()
                .all(|code| *code == EndorsementPolicyFailure)
        );
        assert_eq!(*plain, Valid, "what takes few steps always has them");
    }
}
