//! The verdicts, one by one and in their order. The conflicts between
//! transactions are compared with a reference in `model`.

mod budget;
mod guarded;
mod model;
mod reasons;
mod system;

use std::sync::Arc;

use crypto::{Digest, SigningKey, encode};

use self::budget::validate;
use super::{ValidationCode, Verdict};
use crate::block::Attesters;
use crate::chain::{Executed, GenesisState, OrderedBatch, Parent, execute};
use crate::digest::StateAccumulator;
use crate::endorsement::{EndorsedAction, ProposalResponse, Response};
use crate::identity::{Identity, Role};
use crate::members::{contract_row, member_row};
use crate::policy::ContractDefinition;
use crate::proposal::{NO_EXPIRY, Proposal};
use crate::row::VersionedValue;
use crate::rwset::{KeyPolicy, RangeRead, Read, ReadWriteSet, Version, Write};
use crate::state::{CONTRACTS, MEMBERS, MemoryState, Overlay, StateView};
use crate::transaction::{
    CheckedTransaction, Limits, Transaction, UncheckedTransaction, check_transactions,
};

const NETWORK: Digest = Digest([1; 32]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// Members: 1 a client and 2 an admin of org1, 3 and 4 peers of org1 and org2, 5
/// an admin of org2.
const CLIENT: u8 = 1;
const ADMIN: u8 = 2;
const PEER1: u8 = 3;
const PEER2: u8 = 4;
const ADMIN2: u8 = 5;
const STRANGER: u8 = 9;

/// A chain in memory, executed as on disk.
pub(super) struct Chain {
    pub(super) state: MemoryState,
    parent: Parent,
    accumulator: StateAccumulator,
}

impl Chain {
    /// `kv` takes one peer's endorsement, `both` takes a peer of each organisation.
    pub(super) fn new() -> Self {
        let member = |seed, organisation: &str, role| Identity {
            name: format!("member{seed}"),
            organisation: organisation.parse().unwrap(),
            role,
            key: key(seed).public(),
        };
        let members = [
            member(CLIENT, "org1", Role::Client),
            member(ADMIN, "org1", Role::Admin),
            member(PEER1, "org1", Role::Peer),
            member(PEER2, "org2", Role::Peer),
            member(ADMIN2, "org2", Role::Admin),
        ];
        let contract = |name: &str, policy: &str| ContractDefinition {
            name: name.to_owned(),
            version: 1,
            policy: policy.parse().unwrap(),
        };
        let contracts = [
            contract("kv", "OR('org1.peer', 'org2.peer')"),
            contract("both", "AND('org1.peer', 'org2.peer')"),
        ];
        let attesters = Attesters::new(vec![key(PEER1).public()], 1).unwrap();
        let genesis =
            GenesisState::new(NETWORK, attesters, Limits::default(), &members, &contracts);
        let mut state = MemoryState::default();
        for change in genesis.changes() {
            state.apply(&change.namespace, &change.key, &change.write);
        }
        Self {
            state,
            parent: Parent {
                header: genesis.block().header.clone(),
                hash: genesis.hash(),
            },
            accumulator: genesis.accumulator().clone(),
        }
    }

    /// Executes the next block, and gives its verdicts.
    pub(super) fn commit(
        &mut self,
        transactions: Vec<Arc<CheckedTransaction>>,
    ) -> Vec<ValidationCode> {
        let verdicts = self.verdicts(transactions);
        verdicts.into_iter().map(|verdict| verdict.code).collect()
    }

    /// The same, with reasons.
    fn verdicts(&mut self, transactions: Vec<Arc<CheckedTransaction>>) -> Vec<Verdict> {
        let sequence = self.parent.header.number + 1;
        let batch = OrderedBatch {
            sequence,
            name: crypto::Digest::ZERO,
            timestamp_ms: sequence,
            transactions,
        };
        let executed = execute(&self.state, &self.parent, &self.accumulator, batch).unwrap();
        self.advance(&executed);
        executed.block.verdicts
    }

    fn advance(&mut self, executed: &Executed) {
        for change in &executed.changes {
            self.state
                .apply(&change.namespace, &change.key, &change.write);
        }
        for indexed in &executed.indexed {
            self.state.commit_id(indexed.id, indexed.location.place());
        }
        self.accumulator = executed.accumulator.clone();
        self.parent = executed.parent();
    }
}

/// A transaction in the making; as it stands it is valid.
#[derive(Clone)]
pub(super) struct Draft {
    nonce: u64,
    contract: &'static str,
    version: u32,
    creator: u8,
    endorsers: Vec<u8>,
    valid_until_block: u64,
    pub(super) rwset: ReadWriteSet,
}

impl Draft {
    pub(super) fn new(nonce: u64) -> Self {
        Self {
            nonce,
            contract: "kv",
            version: 1,
            creator: CLIENT,
            endorsers: vec![PEER1],
            valid_until_block: NO_EXPIRY,
            rwset: ReadWriteSet::default(),
        }
    }

    fn reads(mut self, key: &str, version: Option<Version>) -> Self {
        let key = key.to_owned();
        self.rwset.reads.push(Read { key, version });
        self
    }

    fn ranges(mut self, start: &str, end: &str, rows: &[(&str, Version)]) -> Self {
        let rows = rows
            .iter()
            .map(|(key, version)| ((*key).to_owned(), *version));
        self.rwset.ranges.push(RangeRead {
            start: start.to_owned(),
            end: end.to_owned(),
            result: RangeRead::digest(&rows.collect()),
        });
        self
    }

    fn writes(mut self, key: &str, value: Option<&str>) -> Self {
        self.rwset.writes.push(Write {
            key: key.to_owned(),
            value: value.map(|value| value.as_bytes().to_vec().into()),
        });
        self
    }

    fn guards(mut self, key: &str, policy: Option<&str>) -> Self {
        self.rwset.policies.push(KeyPolicy {
            key: key.to_owned(),
            policy: policy.map(|policy| policy.parse().unwrap()),
        });
        self
    }

    pub(super) fn checked(&self) -> Arc<CheckedTransaction> {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let creator = key(self.creator);
        let proposal = Proposal {
            network: NETWORK,
            contract: self.contract.to_owned(),
            function: "f".to_owned(),
            args: vec![],
            creator: creator.public(),
            nonce,
            valid_until_block: self.valid_until_block,
        };
        let action = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: self.version,
            rwset: self.rwset.clone(),
            response: Response::default(),
        };
        let endorse = |seed: &u8| ProposalResponse::endorse(action.clone(), &NETWORK, &key(*seed));
        let answers = self.endorsers.iter().map(endorse).collect();
        let transaction = Transaction::from_responses(proposal, answers, &creator).unwrap();
        let bytes = encode(&transaction);
        let unchecked = UncheckedTransaction::decode(&bytes, &NETWORK, &Limits::default());
        let checked = check_transactions(vec![unchecked.unwrap()]).remove(0);
        Arc::new(checked.unwrap())
    }
}

const fn at(block: u64, index: u32) -> Version {
    Version { block, index }
}

fn verdict(chain: &Chain, draft: &Draft) -> ValidationCode {
    validate(&chain.state, &draft.checked(), 1).unwrap().code
}

fn row(version: Version, value: Vec<u8>) -> VersionedValue {
    VersionedValue {
        version,
        value,
        policy: None,
    }
}

/// What is wrong with a transaction is told in one order on every node.
#[test]
fn the_first_check_that_fails_gives_the_verdict() {
    let mut chain = Chain::new();
    let mut draft = Draft::new(1)
        .reads("a", Some(at(7, 7)))
        .ranges("", "", &[("b", at(7, 7))]);
    draft.valid_until_block = 0;
    draft.creator = STRANGER;
    draft.contract = "none";
    draft.endorsers = vec![STRANGER];
    chain.state.commit_id(draft.checked().id(), at(0, 0));
    assert_eq!(
        verdict(&chain, &draft),
        ValidationCode::DuplicateTransaction
    );
    draft.nonce = 2;
    assert_eq!(verdict(&chain, &draft), ValidationCode::Expired);
    draft.valid_until_block = 1;
    assert_eq!(verdict(&chain, &draft), ValidationCode::UnknownCreator);
    draft.creator = PEER1;
    assert_eq!(verdict(&chain, &draft), ValidationCode::CreatorNotPermitted);
    draft.creator = ADMIN;
    assert_eq!(verdict(&chain, &draft), ValidationCode::UnknownContract);
    draft.contract = "kv";
    draft.version = 2;
    let mismatch = ValidationCode::ContractVersionMismatch;
    assert_eq!(verdict(&chain, &draft), mismatch);
    draft.version = 1;
    let failure = ValidationCode::EndorsementPolicyFailure;
    assert_eq!(verdict(&chain, &draft), failure);
    draft.endorsers = vec![PEER2];
    assert_eq!(verdict(&chain, &draft), ValidationCode::MvccReadConflict);
    draft.rwset.reads[0].version = None;
    assert_eq!(verdict(&chain, &draft), ValidationCode::PhantomReadConflict);
    draft.rwset.ranges[0].result = RangeRead::digest(&vec![]);
    assert_eq!(verdict(&chain, &draft), ValidationCode::Valid);
}

#[test]
fn a_transaction_may_take_effect_up_to_its_last_block() {
    let chain = Chain::new();
    let mut draft = Draft::new(1);
    draft.valid_until_block = 5;
    let verdict = |number| {
        validate(&chain.state, &draft.checked(), number)
            .unwrap()
            .code
    };
    assert_eq!(verdict(5), ValidationCode::Valid);
    assert_eq!(verdict(6), ValidationCode::Expired);
}

#[test]
fn endorsers_count_as_what_the_state_says_they_are() {
    let chain = Chain::new();
    let mut draft = Draft::new(1);
    draft.contract = "both";
    let failure = ValidationCode::EndorsementPolicyFailure;
    for (endorsers, expected) in [
        (vec![PEER1], failure),
        (vec![PEER1, PEER1], failure),
        (vec![PEER1, STRANGER], failure),
        (vec![PEER1, ADMIN, CLIENT], failure),
        (vec![PEER1, PEER2], ValidationCode::Valid),
        // A stranger does not help, and does no harm.
        (vec![PEER1, PEER2, STRANGER], ValidationCode::Valid),
    ] {
        draft.endorsers = endorsers;
        assert_eq!(verdict(&chain, &draft), expected, "{:?}", draft.endorsers);
    }
}

/// Members and policies hold as they are at the transaction's place of the
/// order, also where the same block changed them.
#[test]
fn a_change_of_members_or_policy_holds_from_the_next_transaction_on() {
    let chain = Chain::new();
    let transaction = Draft::new(1).checked();
    let [client, peer] = [CLIENT, PEER1].map(|seed| key(seed).public().to_string());
    let verdict_after = |namespace, key: &str, value: Option<Vec<u8>>| {
        let mut overlay = Overlay::new(&chain.state);
        let value = value.map(|value| row(at(1, 0), value));
        overlay.apply(namespace, key, &value.into());
        validate(&overlay, &transaction, 1).unwrap().code
    };
    let unknown = ValidationCode::UnknownCreator;
    assert_eq!(verdict_after(MEMBERS, &client, None), unknown);
    let failure = ValidationCode::EndorsementPolicyFailure;
    assert_eq!(verdict_after(MEMBERS, &peer, None), failure);
    assert_eq!(
        verdict_after(CONTRACTS, "kv", None),
        ValidationCode::UnknownContract
    );
    let stricter = ContractDefinition {
        name: "kv".to_owned(),
        version: 1,
        policy: "AND('org1.peer', 'org2.peer')".parse().unwrap(),
    };
    assert_eq!(
        verdict_after(CONTRACTS, "kv", Some(encode(&stricter))),
        failure
    );
}

#[test]
fn a_damaged_row_of_the_system_is_an_error_and_no_verdict() {
    let chain = Chain::new();
    let mut overlay = Overlay::new(&chain.state);
    let client = key(CLIENT).public().to_string();
    let damaged = Some(row(at(0, 0), vec![1, 2, 3]));
    overlay.apply(MEMBERS, &client, &damaged.into());
    let error = validate(&overlay, &Draft::new(1).checked(), 1).unwrap_err();
    assert!(error.to_string().contains(&client), "{error}");
}

#[test]
fn of_two_that_read_and_write_a_key_in_one_block_the_first_wins() {
    use ValidationCode::{MvccReadConflict, Valid};
    let mut chain = Chain::new();
    let increment = |nonce, version| Draft::new(nonce).reads("a", version).writes("a", Some("x"));
    let codes = chain.commit(vec![
        increment(1, None).checked(),
        increment(2, None).checked(),
    ]);
    assert_eq!(codes, [Valid, MvccReadConflict]);
    // One whose predecessor in the block was refused meets no conflict.
    let stale = increment(3, None).checked();
    let codes = chain.commit(vec![stale, increment(4, Some(at(1, 0))).checked()]);
    assert_eq!(codes, [MvccReadConflict, Valid]);
}

#[test]
fn a_key_that_was_deleted_and_made_again_is_not_the_one_that_was_read() {
    use ValidationCode::{MvccReadConflict, PhantomReadConflict, Valid};
    let mut chain = Chain::new();
    chain.commit(vec![Draft::new(1).writes("a", Some("same")).checked()]);
    let seen = at(1, 0);
    let reader = Draft::new(10).reads("a", Some(seen));
    let ranger = Draft::new(11).ranges("a", "b", &[("a", seen)]);
    let codes = chain.commit(vec![
        reader.checked(),
        ranger.checked(),
        Draft::new(2).writes("a", None).checked(),
        Draft::new(3).writes("a", Some("same")).checked(),
        Draft::new(12).reads("a", Some(seen)).checked(),
        Draft::new(13).ranges("a", "b", &[("a", seen)]).checked(),
        Draft::new(14).reads("a", None).checked(),
        Draft::new(15).reads("a", Some(at(2, 3))).checked(),
    ]);
    let conflicts = [MvccReadConflict, PhantomReadConflict, MvccReadConflict];
    assert_eq!(codes[..4], [Valid; 4]);
    assert_eq!(codes[4..7], conflicts);
    assert_eq!(codes[7], Valid);
}

#[test]
fn a_range_notices_what_came_what_went_and_what_changed_within_it_only() {
    use ValidationCode::{PhantomReadConflict, Valid};
    let base = [("b", at(1, 0)), ("c", at(1, 1))];
    for (key, value, expected) in [
        ("bb", Some("new"), PhantomReadConflict),
        ("b", None, PhantomReadConflict),
        ("c", Some("other"), PhantomReadConflict),
        ("d", Some("the end is not in it"), Valid),
        ("a", Some("before"), Valid),
        ("bb", None, Valid),
    ] {
        let mut chain = Chain::new();
        let first = base.iter().zip(1..);
        let first = first.map(|((key, _), nonce)| Draft::new(nonce).writes(key, Some("1")));
        chain.commit(first.map(|draft| draft.checked()).collect());
        let codes = chain.commit(vec![
            Draft::new(8).writes(key, value).checked(),
            Draft::new(9).ranges("b", "d", &base).checked(),
        ]);
        assert_eq!(codes, [Valid, expected], "{key} {value:?}");
    }
}

/// A replay must change nothing wherever it comes, whatever became of the first.
#[test]
fn an_id_takes_effect_once_within_a_block_and_across_blocks() {
    use ValidationCode::{DuplicateTransaction, MvccReadConflict, Valid};
    let mut chain = Chain::new();
    let once = Draft::new(1).writes("a", Some("1"));
    let mut variant = once.clone();
    variant.endorsers = vec![PEER2];
    let refused = Draft::new(2).reads("a", Some(at(9, 9)));
    assert_ne!(once.checked().hash(), variant.checked().hash());
    let both = vec![
        once.checked(),
        variant.checked(),
        once.checked(),
        refused.checked(),
    ];
    let codes = chain.commit(both);
    let expected = [
        Valid,
        DuplicateTransaction,
        DuplicateTransaction,
        MvccReadConflict,
    ];
    assert_eq!(codes, expected);
    let again = vec![variant.checked(), once.checked(), refused.checked()];
    assert_eq!(chain.commit(again), [DuplicateTransaction; 3]);
}
