//! What is no transaction is refused before it is ordered, whatever is wrong with it.

mod common;

use common::{Network, write};
use crypto::merkle::leaf_hash;
use crypto::{Digest, Domain, PublicKey, SharedSignature, Signature, SigningKey, encode};
use ledger::names::{
    MAX_ARGS, MAX_ENDORSEMENTS, MAX_EVENTS, MAX_KEY_BYTES, MAX_KEYS, MAX_RANGES, MAX_VALUE_BYTES,
};
use ledger::{
    CheckedTransaction, EndorsedAction, Endorsement, Event, Limits, Proposal, ProposalResponse,
    RangeRead, Read, ReadWriteSet, Refusal, Response, Signer, Transaction, TransactionHash,
    UncheckedTransaction, Write, WriteValue, check_transactions,
};

fn check(network: &Network, bytes: &[u8]) -> Result<CheckedTransaction, Refusal> {
    let unchecked = UncheckedTransaction::decode(bytes, &network.id(), &Limits::default())?;
    check_transactions(vec![unchecked]).remove(0)
}

fn refusal(network: &Network, transaction: &Transaction) -> Refusal {
    check(network, &encode(transaction)).unwrap_err()
}

fn proposal(network: &Network) -> Proposal {
    network.put(1, "a", b"1").proposal
}

/// Signs whatever is in it: the form alone is to blame for what follows.
fn signed(
    network: &Network,
    proposal: Proposal,
    rwset: ReadWriteSet,
    response: Response,
    endorsers: &[&SigningKey],
) -> Transaction {
    let action = EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: 1,
        rwset,
        response,
    };
    let endorse = |key: &&SigningKey| {
        ProposalResponse::endorse(action.clone(), &network.id(), key).endorsement
    };
    let endorsements = endorsers.iter().map(endorse).collect();
    Transaction::assemble(proposal, action.clone(), endorsements, &network.client)
}

/// The leaf of what its creator signs alone: the hash of all before the signature, with
/// the place in a tree of one.
fn leaf(transaction: &Transaction) -> Digest {
    let bytes = encode(transaction);
    let unsigned = &bytes[..bytes.len() - (64 + 3 * 8)];
    leaf_hash(Domain::Transaction.hash(unsigned).as_bytes())
}

/// Signs again as the creator, after something was altered.
fn resigned(network: &Network, mut transaction: Transaction) -> Transaction {
    let (leaf, domain) = (leaf(&transaction), Domain::Transaction);
    transaction.signature = SharedSignature::of_one(leaf, domain, &network.id(), &network.client);
    transaction
}

#[test]
fn what_was_checked_is_what_came_with_its_id_and_hash() {
    let network = Network::new();
    let transaction = network.put(1, "a", b"1");
    let bytes = encode(&transaction);
    let checked = check(&network, &bytes).unwrap();
    assert_eq!(checked.transaction(), &transaction);
    assert_eq!(checked.id(), transaction.proposal.id());
    assert_eq!(checked.hash(), TransactionHash::of_bytes(&bytes));
    assert_eq!(checked.bytes()[..], bytes[..]);
}

/// A signature that leaves out a field leaves it to whoever passes the transaction on.
#[test]
fn a_transaction_with_any_bit_flipped_is_refused() {
    let network = Network::new();
    let mut transaction = network.put_after(1, "key", None);
    transaction.rwset.ranges.push(RangeRead {
        start: "a".to_owned(),
        end: "b".to_owned(),
        result: Digest([3; 32]),
    });
    let Transaction {
        proposal,
        rwset,
        response,
        ..
    } = transaction;
    let endorsers: Vec<_> = network.attesters.iter().collect();
    let bytes = encode(&signed(&network, proposal, rwset, response, &endorsers));
    check(&network, &bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let verdict = check(&network, &altered);
            assert!(verdict.is_err(), "byte {at}, bit {bit} was not missed");
        }
    }
}

#[test]
fn a_transaction_cut_short_or_followed_by_more_is_refused() {
    let network = Network::new();
    let mut bytes = encode(&network.put(1, "a", b"1"));
    for length in 0..bytes.len() {
        let error = check(&network, &bytes[..length]).unwrap_err();
        assert_eq!(error.code(), "MALFORMED", "{length} bytes: {error}");
    }
    bytes.push(0);
    assert_eq!(check(&network, &bytes).unwrap_err().code(), "MALFORMED");
}

#[test]
fn a_transaction_beyond_the_limit_is_refused_before_it_is_looked_at() {
    let network = Network::new();
    let bytes = encode(&network.put(1, "a", b"1"));
    let limits = Limits {
        max_transaction_bytes: bytes.len() - 1,
        ..Limits::default()
    };
    let verdict = UncheckedTransaction::decode(&bytes, &network.id(), &limits);
    let too_large = Refusal::TooLarge {
        found: bytes.len(),
        limit: bytes.len() - 1,
    };
    assert_eq!(verdict.unwrap_err(), too_large);
}

#[test]
fn a_transaction_for_another_network_is_refused_also_when_it_says_otherwise() {
    let (here, there) = (Network::named(1), Network::named(2));
    let mut transaction = there.put(1, "a", b"1");
    let wrong = Refusal::WrongNetwork {
        expected: here.id(),
        found: there.id(),
    };
    assert_eq!(refusal(&here, &transaction), wrong);
    transaction.proposal.network = here.id();
    assert_eq!(refusal(&here, &transaction).code(), "BAD_SIGNATURE");
    // Nor do the endorsements of another network count when the creator signs here.
    let transaction = resigned(&here, transaction);
    let endorser = transaction.endorsements[0].endorser;
    let bad = Refusal::BadSignature {
        signer: Signer::Endorser(endorser),
    };
    assert_eq!(refusal(&here, &transaction), bad);
}

#[test]
fn the_creator_and_every_endorser_must_have_signed_this_very_thing() {
    let network = Network::new();
    let good = network.put(1, "a", b"1");
    let creator = Refusal::BadSignature {
        signer: Signer::Creator(network.client.public()),
    };
    let mut unsigned = good.clone();
    unsigned.signature.signature = Signature([0; 64]);
    assert_eq!(refusal(&network, &unsigned), creator);

    let sign =
        |domain, key: &SigningKey| SharedSignature::of_one(leaf(&good), domain, &network.id(), key);
    let (mut by_another_key, other) = (good.clone(), &network.attesters[0]);
    by_another_key.signature = sign(Domain::Transaction, other);
    assert_eq!(refusal(&network, &by_another_key), creator);

    // A signature for one purpose does not serve another.
    let mut for_another_purpose = good.clone();
    for domain in Domain::ALL {
        for_another_purpose.signature = sign(domain, &network.client);
        let verdict = check(&network, &encode(&for_another_purpose));
        assert_eq!(verdict.is_ok(), domain == Domain::Transaction, "{domain:?}");
    }
    let mut name_of_another = good.clone();
    name_of_another.proposal.creator = other.public();
    let claimed = Refusal::BadSignature {
        signer: Signer::Creator(other.public()),
    };
    assert_eq!(refusal(&network, &name_of_another), claimed);

    let mut name_of_another = good;
    let endorser = network.attesters[0].public();
    name_of_another.endorsements[0].endorser = endorser;
    let claimed = Refusal::BadSignature {
        signer: Signer::Endorser(endorser),
    };
    let name_of_another = resigned(&network, name_of_another);
    assert_eq!(refusal(&network, &name_of_another), claimed);
}

/// Two endorsers that saw different effects, or another call, do not add up to
/// two endorsements of either.
#[test]
fn endorsements_of_different_effects_or_calls_cannot_be_combined() {
    let network = Network::new();
    let action = |transaction: &Transaction| EndorsedAction {
        transaction_id: transaction.proposal.id(),
        contract_version: transaction.contract_version,
        rwset: transaction.rwset.clone(),
        response: transaction.response.clone(),
    };
    let endorse = |transaction: &Transaction, key: &SigningKey| {
        ProposalResponse::endorse(action(transaction), &network.id(), key).endorsement
    };
    let good = network.put(3, "a", b"1");
    let mut other_effects = good.clone();
    other_effects.rwset.writes[0].value = Some(b"2".to_vec().into());
    let mut other_answer = good.clone();
    other_answer.response.payload = b"other".to_vec();
    let mut other_call = good.clone();
    other_call.proposal.args = vec!["x".to_owned()];
    let mut other_version = good.clone();
    other_version.contract_version = 2;
    for other in [other_effects, other_answer, other_call, other_version] {
        let [own, foreign] = [&network.attesters[0], &network.attesters[1]];
        let endorsements = vec![endorse(&good, own), endorse(&other, foreign)];
        let proposal = good.proposal.clone();
        let mixed = Transaction::assemble(proposal, action(&good), endorsements, &network.client);
        let bad = Refusal::BadSignature {
            signer: Signer::Endorser(foreign.public()),
        };
        assert_eq!(refusal(&network, &mixed), bad);
    }
}

#[test]
fn endorsements_are_there_in_order_and_each_endorser_once() {
    let network = Network::new();
    let endorsers: Vec<_> = network.attesters.iter().collect();
    let (empty, response) = (ReadWriteSet::default(), Response::default());
    let good = signed(&network, proposal(&network), empty, response, &endorsers);
    check(&network, &encode(&good)).unwrap();
    let altered = |alter: fn(&mut Vec<Endorsement>)| {
        let mut transaction = good.clone();
        alter(&mut transaction.endorsements);
        refusal(&network, &resigned(&network, transaction))
    };
    let not_ascending = |position| Refusal::NotAscending {
        what: "endorsements",
        position,
    };
    assert_eq!(altered(Vec::clear), Refusal::NotEndorsed);
    assert_eq!(altered(|all| all.swap(0, 1)), not_ascending(1));
    assert_eq!(altered(|all| all[2] = all[1].clone()), not_ascending(2));
    let many = altered(|all| {
        *all = (0..=MAX_ENDORSEMENTS)
            .map(|i| Endorsement {
                endorser: PublicKey([u8::try_from(i).unwrap(); 32]),
                ..all[0].clone()
            })
            .collect();
    });
    assert_eq!(many.code(), "TOO_MANY");
}

/// Assembling puts in order what came in any order, and more than once.
#[test]
fn assembling_sorts_and_leaves_out_repetitions() {
    let network = Network::new();
    let [a, b, c] = [0, 1, 2].map(|i| &network.attesters[i]);
    let proposal = proposal(&network);
    let (empty, response) = (ReadWriteSet::default(), Response::default());
    let transaction = signed(&network, proposal, empty, response, &[c, a, b, a, c]);
    assert_eq!(transaction.endorsements.len(), 3);
    check(&network, &encode(&transaction)).unwrap();
}

fn reads(reads: Vec<Read>) -> ReadWriteSet {
    ReadWriteSet {
        reads,
        ..ReadWriteSet::default()
    }
}

fn ranges(ranges: Vec<RangeRead>) -> ReadWriteSet {
    ReadWriteSet {
        ranges,
        ..ReadWriteSet::default()
    }
}

fn writes(writes: Vec<Write>) -> ReadWriteSet {
    ReadWriteSet {
        writes,
        ..ReadWriteSet::default()
    }
}

/// Were one argument written under many keys, a small transaction would write very much.
#[test]
fn an_argument_that_there_is_is_written_once() {
    let network = Network::new();
    let code = |arguments: &[u8]| {
        let arguments = arguments.iter().zip("abc".chars());
        let written = arguments.map(|(number, key)| Write {
            key: key.to_string(),
            value: Some(WriteValue::Argument(*number)),
        });
        let rwset = writes(written.collect());
        let mut proposal = proposal(&network);
        proposal.args = vec!["x".to_owned(), "y".to_owned()];
        let endorsers = [&network.attesters[0]];
        let made = signed(&network, proposal, rwset, Response::default(), &endorsers);
        let verdict = check(&network, &encode(&made));
        verdict.err().map(|refusal| refusal.code())
    };
    assert_eq!(code(&[1, 0]), None);
    for bad in [&[2][..], &[u8::MAX], &[1, 1], &[0, 1, 0]] {
        assert_eq!(code(bad), Some("BAD_ARGUMENT"), "{bad:?}");
    }
}

#[test]
fn reads_ranges_and_writes_are_bounded_sorted_and_named() {
    let network = Network::new();
    let read = |key: &str| Read {
        key: key.to_owned(),
        version: None,
    };
    let range = |start: &str, end: &str| RangeRead {
        start: start.to_owned(),
        end: end.to_owned(),
        result: Digest::ZERO,
    };
    let keys = |count: usize| (0..count).map(|i| format!("{i:05}"));
    let long_key = "k".repeat(MAX_KEY_BYTES + 1);
    let long_value = vec![0; MAX_VALUE_BYTES + 1];
    let table = [
        (reads(vec![read("a"), read("b")]), None),
        (reads(vec![read("b"), read("a")]), Some("NOT_ASCENDING")),
        (reads(vec![read("a"), read("a")]), Some("NOT_ASCENDING")),
        (reads(vec![read("")]), Some("EMPTY_KEY")),
        (reads(vec![read(&long_key)]), Some("TOO_LONG")),
        (reads(keys(MAX_KEYS).map(|key| read(&key)).collect()), None),
        (
            reads(keys(MAX_KEYS + 1).map(|key| read(&key)).collect()),
            Some("TOO_MANY"),
        ),
        (ranges(vec![range("", ""), range("a", "b")]), None),
        (
            ranges(vec![range("a", "c"), range("a", "b")]),
            Some("NOT_ASCENDING"),
        ),
        (ranges(vec![range("a", "a")]), Some("EMPTY_RANGE")),
        (ranges(vec![range("b", "a")]), Some("EMPTY_RANGE")),
        (ranges(vec![range("", &long_key)]), Some("TOO_LONG")),
        (
            ranges(keys(MAX_RANGES + 1).map(|key| range(&key, "")).collect()),
            Some("TOO_MANY"),
        ),
        (writes(vec![write("a", None), write("b", Some(b""))]), None),
        (
            writes(vec![write("a", None), write("a", Some(b""))]),
            Some("NOT_ASCENDING"),
        ),
        (writes(vec![write("", None)]), Some("EMPTY_KEY")),
        (
            writes(vec![write("a", Some(&long_value))]),
            Some("TOO_LONG"),
        ),
        (
            writes(keys(MAX_KEYS + 1).map(|key| write(&key, None)).collect()),
            Some("TOO_MANY"),
        ),
    ];
    for (rwset, expected) in table {
        let endorser = &network.attesters[0];
        let response = Response::default();
        let (shown, proposal) = (format!("{rwset:.0?}"), proposal(&network));
        let transaction = signed(&network, proposal, rwset, response, &[endorser]);
        let verdict = check(&network, &encode(&transaction));
        let code = verdict.err().map(|refusal| refusal.code());
        assert_eq!(code, expected, "{shown:.100}");
    }
}

#[test]
fn names_arguments_and_events_are_bounded() {
    let network = Network::new();
    let call = |alter: &dyn Fn(&mut Proposal, &mut Response)| {
        let (mut proposal, mut response) = (proposal(&network), Response::default());
        alter(&mut proposal, &mut response);
        let (empty, endorser) = (ReadWriteSet::default(), &network.attesters[0]);
        let transaction = signed(&network, proposal, empty, response, &[endorser]);
        let verdict = check(&network, &encode(&transaction));
        verdict.err().map(|refusal| refusal.code())
    };
    let event = |name: &str, payload| Event {
        name: name.to_owned(),
        payload,
    };
    assert_eq!(call(&|_, _| {}), None);
    for bad in ["", "_other", "a/b", &"c".repeat(65)] {
        let code = call(&|proposal, _| proposal.contract = bad.to_owned());
        assert_eq!(code, Some("BAD_NAME"), "{bad}");
    }
    let code = call(&|proposal, _| proposal.function = "f(x)".to_owned());
    assert_eq!(code, Some("BAD_NAME"));
    let code = call(&|proposal, _| proposal.args = vec![String::new(); MAX_ARGS]);
    assert_eq!(code, None);
    let code = call(&|proposal, _| proposal.args = vec![String::new(); MAX_ARGS + 1]);
    assert_eq!(code, Some("TOO_MANY"));
    let code = call(&|proposal, _| proposal.args = vec!["x".repeat(MAX_VALUE_BYTES + 1)]);
    assert_eq!(code, Some("TOO_LONG"));
    let code = call(&|_, response| response.events = vec![event("e", vec![]); MAX_EVENTS + 1]);
    assert_eq!(code, Some("TOO_MANY"));
    let code = call(&|_, response| response.events = vec![event("", vec![])]);
    assert_eq!(code, Some("BAD_NAME"));
    let long = vec![0; MAX_VALUE_BYTES + 1];
    let code = call(&|_, response| response.events = vec![event("e", long.clone())]);
    assert_eq!(code, Some("TOO_LONG"));
}

/// One bad transaction among many must cost the others nothing.
#[test]
fn in_a_batch_each_transaction_has_the_verdict_it_has_alone() {
    let network = Network::new();
    let mut transactions: Vec<_> = (0..20).map(|i| network.put(i, "a", b"1")).collect();
    transactions[3].signature.signature = Signature([0; 64]);
    transactions[11].endorsements[0].signature.signature = Signature([0; 64]);
    transactions[11] = resigned(&network, transactions[11].clone());
    transactions[19].response.payload = b"other".to_vec();
    let all: Vec<_> = transactions.iter().map(encode).collect();
    let decode = |bytes: &Vec<u8>| {
        UncheckedTransaction::decode(bytes, &network.id(), &Limits::default()).unwrap()
    };
    let verdicts = check_transactions(all.iter().map(decode).collect());
    assert_eq!(verdicts.len(), all.len());
    for ((bytes, together), position) in all.iter().zip(verdicts).zip(0..) {
        let alone = check(&network, bytes).map(|checked| checked.hash());
        assert_eq!(together.map(|checked| checked.hash()), alone);
        assert_eq!(alone.is_err(), [3, 11, 19].contains(&position));
    }
    assert!(check_transactions(vec![]).is_empty());
}
