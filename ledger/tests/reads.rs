//! Reading in parts: whatever the size of the parts, together they are the whole.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Network, write};
use crypto::{PublicKey, SigningKey};
use ledger::{
    CommittedTransaction, KeyRange, Ledger, ListingPart, RangePart, StateView as _, Transaction,
    TransactionsOf, ValidationCode, Version,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Keys of which many begin alike, with zero bytes, the last character there is,
/// and keys that are the beginning of others.
fn keys() -> Vec<String> {
    let parts = ["", "a", "b", "\0", "/", "ä", "\u{10ffff}"];
    let pairs = parts.iter().flat_map(|a| parts.map(|b| format!("{a}{b}")));
    let mut keys: Vec<String> = pairs.flat_map(|pair| [format!("k{pair}"), pair]).collect();
    keys.retain(|key| !key.is_empty());
    keys.sort();
    keys.dedup();
    keys
}

/// All pages of a range, each asked for with where the one before it ended.
fn paged(ledger: &Ledger, keys: &KeyRange, rows: usize, bytes: usize) -> Vec<(String, Vec<u8>)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let part = RangePart {
            keys: keys.clone(),
            after,
            max_rows: rows,
            max_bytes: bytes,
        };
        let page = ledger.snapshot().unwrap().page("kv", &part).unwrap();
        assert!(page.rows.len() <= rows);
        assert!(page.next.is_none() || !page.rows.is_empty());
        all.extend(page.rows.into_iter().map(|(key, row)| (key, row.value)));
        assert!(page.next.is_none() || page.next > part.after, "it goes on");
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

#[test]
fn pages_of_a_range_are_together_the_range_whatever_their_size() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let mut model = BTreeMap::new();
    for (nonce, key) in (0_u8..).zip(keys()) {
        let value = vec![nonce; usize::from(nonce) % 7];
        network.commit(&ledger, &[network.put(nonce, &key, &value)]);
        model.insert(key, value);
    }
    let end = keys().len();
    let ask = (0..=end, 0..=end, 1..40_usize, 1..60_usize);
    let mut runner = TestRunner::default();
    let result = runner.run(&ask, |(from, to, rows, bytes)| {
        let name = |at: usize| keys().get(at).cloned().unwrap_or_default();
        let (start, end) = (name(from), name(to));
        let between = KeyRange::Between {
            start: start.clone(),
            end: end.clone(),
        };
        let within = |key: &str| key >= start.as_str() && (end.is_empty() || key < end.as_str());
        let beginning = |key: &str| key.starts_with(&start);
        let expected = |holds: &dyn Fn(&str) -> bool| -> Vec<(String, Vec<u8>)> {
            let rows = model.iter().filter(|(key, _)| holds(key));
            rows.map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        prop_assert_eq!(paged(&ledger, &between, rows, bytes), expected(&within));
        let prefix = KeyRange::Prefix(start.clone());
        prop_assert_eq!(paged(&ledger, &prefix, rows, bytes), expected(&beginning));
        Ok(())
    });
    result.unwrap();
}

/// A page is of one moment, and so is what is read beside it.
#[test]
fn a_page_does_not_see_the_blocks_that_come_while_it_is_read() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.commit(&ledger, &[network.put(1, "a", b"1")]);
    let before = ledger.snapshot().unwrap();
    network.commit(&ledger, &[network.put(2, "b", b"2")]);
    let all = RangePart {
        keys: KeyRange::Prefix(String::new()),
        after: None,
        max_rows: 9,
        max_bytes: usize::MAX,
    };
    assert_eq!(before.page("kv", &all).unwrap().rows.len(), 1);
    assert_eq!((before.number(), before.get("kv", "b").unwrap()), (1, None));
    let now = ledger.snapshot().unwrap();
    assert_eq!(now.page("kv", &all).unwrap().rows.len(), 2);
    for nothing in ["other", "no name", "", &"n".repeat(300)] {
        assert!(now.page(nothing, &all).unwrap().rows.is_empty());
    }
}

type Place = (u64, u32, ValidationCode, Transaction);

/// What stands in the blocks, the newest first, each id where it came first.
fn scanned(ledger: &Ledger) -> Vec<Place> {
    let mut found = Vec::new();
    for number in 0..=ledger.tip().number {
        let block = ledger.block(number).unwrap().unwrap();
        let pairs = block.transactions.iter().zip(block.codes());
        for (index, (bytes, code)) in (0..).zip(pairs) {
            let transaction = crypto::decode(bytes, bytes.len()).unwrap();
            if code != ValidationCode::DuplicateTransaction {
                found.push((number, index, code, transaction));
            }
        }
    }
    found.reverse();
    found
}

/// All parts of a listing, each begun where the one before it says.
fn listed(ledger: &Ledger, of: &TransactionsOf, from: Version, entries: usize) -> Vec<Place> {
    let (mut all, mut next) = (Vec::new(), Some(from));
    while let Some(from) = next {
        let part = ListingPart {
            from,
            max_entries: entries,
            max_bytes: 2_000,
        };
        let found = ledger.transactions_of(of, part).unwrap();
        assert!(found.transactions.len() <= entries);
        assert_eq!(found.height, ledger.tip().number);
        let places = found.transactions.into_iter();
        all.extend(places.map(|it: CommittedTransaction| {
            let at = it.location;
            (at.block, at.index, at.code, it.transaction)
        }));
        assert!(found.next.is_none_or(|next| next < from), "it goes back");
        next = found.next;
    }
    all
}

/// A transaction of this creator that calls this contract, known or not.
fn call(network: &Network, creator: &SigningKey, nonce: u8, contract: &str) -> Transaction {
    let write = write("key", Some(&[nonce]));
    let made = network.transaction_by(creator, nonce, vec![], vec![write]);
    let proposal = ledger::Proposal {
        contract: contract.to_owned(),
        ..made.proposal
    };
    let action = ledger::EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: made.contract_version,
        rwset: made.rwset,
        response: made.response,
    };
    let endorsed = ledger::ProposalResponse::endorse(action, &network.id(), &network.attesters[0]);
    Transaction::from_responses(proposal, vec![endorsed], creator).unwrap()
}

#[test]
fn the_index_lists_what_a_scan_of_the_chain_finds() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let strangers = [70, 71].map(|seed| SigningKey::from_seed(&[seed; 32]));
    let creators: Arc<[&SigningKey]> = [&network.client, &strangers[0], &strangers[1]].into();
    let contracts = ["kv", "k", "kvs"];
    let ledger = network.open(folder.path());
    for number in 0..24_u8 {
        // Sometimes nothing, sometimes one after the other, and some come again.
        let calls: Vec<Transaction> = (0..number % 5)
            .map(|i| {
                let nonce = (number * 5 + i) % 50;
                let creator = creators[usize::from(nonce) % 3];
                call(
                    &network,
                    creator,
                    nonce,
                    contracts[usize::from(nonce) % 7 % 3],
                )
            })
            .collect();
        network.commit(&ledger, &calls);
    }
    let all = scanned(&ledger);
    let codes: Vec<ValidationCode> = all.iter().map(|(_, _, code, _)| *code).collect();
    assert!(codes.contains(&ValidationCode::Valid));
    assert!(codes.contains(&ValidationCode::UnknownCreator));
    assert!(codes.contains(&ValidationCode::UnknownContract));
    let total: usize = (0..24).map(|number| number % 5).sum();
    assert!(all.len() < total, "some came again");

    let newest = Version {
        block: u64::MAX,
        index: u32::MAX,
    };
    let check = |of: &TransactionsOf, holds: &dyn Fn(&Transaction) -> bool| {
        let expected: Vec<Place> = all.iter().filter(|it| holds(&it.3)).cloned().collect();
        for entries in [1, 2, 3, 1000] {
            assert_eq!(listed(&ledger, of, newest, entries), expected, "{of:?}");
        }
        for at in expected.iter().map(|it| (it.0, it.1)) {
            let (block, index) = at;
            let below: Vec<Place> = expected
                .iter()
                .filter(|it| (it.0, it.1) <= at)
                .cloned()
                .collect();
            assert_eq!(listed(&ledger, of, Version { block, index }, 7), below);
        }
    };
    let keys: Vec<PublicKey> = creators.iter().map(|key| key.public()).collect();
    for contract in ["kv", "k", "kvs", "none", "no name"] {
        check(&TransactionsOf::Contract(contract.to_owned()), &|it| {
            it.proposal.contract == contract
        });
        for count in 0..=3 {
            let keys = keys[..count].to_vec();
            let made = |it: &Transaction| keys.contains(&it.proposal.creator);
            let of = |contract| TransactionsOf::Creators {
                keys: keys.clone(),
                contract,
            };
            check(&of(None), &made);
            check(&of(Some(contract.to_owned())), &|it| {
                made(it) && it.proposal.contract == contract
            });
        }
    }
}
