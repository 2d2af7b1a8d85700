//! What shows that a verdict is right: it points at the chain, and at the first
//! thing that is wrong.

use super::*;
use crate::names::MAX_VALUE_BYTES;
use crate::validation::verdict::{Reason, Shortfall};

/// The verdict of the last of these, as the next block.
fn last(chain: &mut Chain, drafts: &[Draft]) -> Verdict {
    let block = drafts.iter().map(Draft::checked).collect();
    chain.verdicts(block).pop().unwrap()
}

fn because(code: ValidationCode, reason: Reason) -> Verdict {
    let reason = Some(reason);
    Verdict { code, reason }
}

/// Where a seed's endorsement stands among these, which are sorted by key.
fn position(endorsers: &[u8], seed: u8) -> u8 {
    let mut keys: Vec<_> = endorsers.iter().map(|seed| key(*seed).public()).collect();
    keys.sort();
    let at = keys.iter().position(|each| *each == key(seed).public());
    u8::try_from(at.unwrap()).unwrap()
}

#[test]
fn a_conflict_names_the_read_and_what_there_was_instead() {
    let mut chain = Chain::new();
    let reader = |nonce| Draft::new(nonce).reads("a", None).reads("b", None);
    let code = ValidationCode::MvccReadConflict;
    let verdict = last(
        &mut chain,
        &[Draft::new(1).writes("b", Some("1")), reader(2)],
    );
    let read = |found| Reason::Read { position: 1, found };
    assert_eq!(verdict, because(code, read(Some(at(1, 0)))));
    // Deleted since it was read: then there is nothing.
    let stale = Draft::new(4).reads("a", None).reads("b", Some(at(1, 0)));
    let verdict = last(&mut chain, &[Draft::new(3).writes("b", None), stale]);
    assert_eq!(verdict, because(code, read(None)));
}

#[test]
fn a_phantom_names_the_range_and_the_newest_row_in_it() {
    let mut chain = Chain::new();
    let ranges = Draft::new(3).ranges("a", "b", &[]).ranges("b", "d", &[]);
    let writes = [
        Draft::new(1).writes("c", Some("1")),
        Draft::new(2).writes("b", Some("1")),
    ];
    let [first, second] = writes;
    let verdict = last(&mut chain, &[first, second, ranges]);
    let reason = Reason::Range {
        position: 1,
        newest: Some(at(1, 1)),
    };
    let code = ValidationCode::PhantomReadConflict;
    assert_eq!(verdict, because(code, reason));
}

/// No call can have read so much, and every node would have to read it again.
#[test]
fn a_range_of_more_bytes_than_may_be_read_does_not_hold() {
    let mut chain = Chain::new();
    let keys: Vec<String> = (0..70).map(|i| format!("k{i:02}")).collect();
    for (key, index) in keys.iter().zip(0..) {
        let value = vec![0; MAX_VALUE_BYTES];
        chain.state.write("kv", key, Some(row(at(1, index), value)));
    }
    let read = |count: usize| {
        let rows = keys.iter().map(String::as_str).zip((0..).map(|i| at(1, i)));
        let rows: Vec<_> = rows.take(count).collect();
        verdict(&chain, &Draft::new(1).ranges("", &keys[count], &rows))
    };
    assert_eq!(read(60), ValidationCode::Valid);
    assert_eq!(read(69), ValidationCode::PhantomReadConflict);
}

#[test]
fn a_shortfall_tells_what_of_the_policy_is_met_and_by_whom() {
    let mut chain = Chain::new();
    let endorsers = vec![PEER2, STRANGER, CLIENT];
    let draft = Draft {
        contract: "both",
        endorsers: endorsers.clone(),
        ..Draft::new(1)
    };
    let since = contract_row(&chain.state, "both").unwrap().unwrap().1;
    let shortfall = Shortfall {
        key: None,
        since,
        // Of AND('org1.peer', 'org2.peer') the second.
        met: vec![(1, position(&endorsers, PEER2))],
        strangers: vec![position(&endorsers, STRANGER)],
        revoked: Vec::new(),
    };
    let code = ValidationCode::EndorsementPolicyFailure;
    let verdict = last(&mut chain, &[draft]);
    assert_eq!(verdict, because(code, Reason::Policy(shortfall)));
}

#[test]
fn what_comes_again_names_where_it_stands() {
    let mut chain = Chain::new();
    let once = Draft::new(1).writes("a", Some("1"));
    let code = ValidationCode::DuplicateTransaction;
    let earlier = Reason::Earlier { place: at(1, 1) };
    let block = [Draft::new(2), once.clone(), once.clone()];
    assert_eq!(last(&mut chain, &block), because(code, earlier.clone()));
    assert_eq!(last(&mut chain, &[once]), because(code, earlier));
}

#[test]
fn a_creator_or_a_contract_that_is_out_of_date_names_what_made_it_so() {
    let mut chain = Chain::new();
    let by_peer = Draft {
        creator: PEER1,
        ..Draft::new(1)
    };
    let peer = key(PEER1).public();
    let since = member_row(&chain.state, &peer).unwrap().unwrap().1;
    let code = ValidationCode::CreatorNotPermitted;
    let verdict = last(&mut chain, &[by_peer]);
    assert_eq!(verdict, because(code, Reason::Member { since }));
    let newer = Draft {
        version: 2,
        ..Draft::new(2)
    };
    let since = contract_row(&chain.state, "kv").unwrap().unwrap().1;
    let reason = Reason::Contract { agreed: 1, since };
    let code = ValidationCode::ContractVersionMismatch;
    assert_eq!(last(&mut chain, &[newer]), because(code, reason));
}

#[test]
fn what_needs_no_showing_has_no_reason() {
    let mut chain = Chain::new();
    assert_eq!(last(&mut chain, &[Draft::new(1)]), Verdict::VALID);
    let expired = Draft {
        valid_until_block: 1,
        ..Draft::new(2)
    };
    let verdict = Verdict {
        code: ValidationCode::Expired,
        reason: None,
    };
    assert_eq!(last(&mut chain, &[expired]), verdict);
}
