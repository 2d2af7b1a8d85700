//! Members and policies change by transactions: each holds from the next
//! transaction of the order on, and nobody who endorses one is believed.

use std::sync::Arc;

use super::{ADMIN, ADMIN2, CLIENT, Chain, Draft, NETWORK, PEER1, PEER2, key};
use crate::contract::Contracts;
use crate::endorsement::{EndorsedAction, ProposalResponse, Response};
use crate::members::{contract, member, members};
use crate::proposal::{NO_EXPIRY, Proposal};
use crate::rwset::{ReadWriteSet, Write};
use crate::simulate::{EndorseError, Simulation};
use crate::transaction::{
    CheckedTransaction, Limits, Transaction, UncheckedTransaction, check_transactions,
};
use crate::validation::ValidationCode::{
    self, ContractVersionMismatch, CreatorRevoked, EndorsementPolicyFailure, MvccReadConflict,
    UnknownCreator, Valid, WrongEffects,
};

/// A key that is not a member's yet.
const NEW: u8 = 20;

fn proposal(creator: u8, nonce: u8, contract: &str, function: &str, args: &[&str]) -> Proposal {
    Proposal {
        network: NETWORK,
        contract: contract.to_owned(),
        function: function.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        creator: key(creator).public(),
        nonce: [nonce; 32],
        valid_until_block: NO_EXPIRY,
    }
}

fn checked(proposal: Proposal, creator: u8, answer: ProposalResponse) -> Arc<CheckedTransaction> {
    let transaction = Transaction::from_responses(proposal, vec![answer], &key(creator)).unwrap();
    let bytes = crypto::encode(&transaction);
    let unchecked = UncheckedTransaction::decode(&bytes, &NETWORK, &Limits::default());
    let checked = check_transactions(vec![unchecked.unwrap()]).remove(0);
    Arc::new(checked.unwrap())
}

/// A call of the system as an honest endorser answers it now.
fn endorse(
    chain: &Chain,
    creator: u8,
    nonce: u8,
    (contract, function): (&str, &str),
    args: &[&str],
) -> Result<Arc<CheckedTransaction>, EndorseError> {
    let proposal = proposal(creator, nonce, contract, function, args);
    let simulation = Simulation {
        network: &NETWORK,
        limits: &Limits::default(),
        contracts: &Contracts::built_in(),
        view: &chain.state,
        height: 0,
    };
    let signed = proposal.clone().sign(&key(creator));
    let answer = simulation.endorse(&signed, &key(PEER1))?;
    Ok(checked(proposal, creator, answer))
}

fn call(
    chain: &Chain,
    creator: u8,
    nonce: u8,
    function: &str,
    args: &[&str],
) -> Arc<CheckedTransaction> {
    endorse(chain, creator, nonce, ("_members", function), args).unwrap()
}

fn set_policy(chain: &Chain, creator: u8, nonce: u8, policy: &str) -> Arc<CheckedTransaction> {
    endorse(
        chain,
        creator,
        nonce,
        ("_contracts", "set_policy"),
        &["kv", policy],
    )
    .unwrap()
}

/// A call of the system with effects that its endorser made up.
fn forged(
    creator: u8,
    nonce: u8,
    call: (&str, &str),
    args: &[&str],
    writes: Vec<Write>,
) -> Arc<CheckedTransaction> {
    let proposal = proposal(creator, nonce, call.0, call.1, args);
    let action = EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: 1,
        rwset: ReadWriteSet {
            writes,
            ..ReadWriteSet::default()
        },
        response: Response::default(),
    };
    let answer = ProposalResponse::endorse(action, &NETWORK, &key(PEER1));
    checked(proposal, creator, answer)
}

fn by(creator: u8, nonce: u64) -> Arc<CheckedTransaction> {
    let draft = Draft {
        creator,
        ..Draft::new(nonce)
    };
    draft.checked()
}

fn hex(seed: u8) -> String {
    key(seed).public().to_string()
}

#[test]
fn who_is_enrolled_may_propose_from_the_next_transaction_on() {
    let mut chain = Chain::new();
    let enroll = call(&chain, ADMIN, 1, "enroll", &["carol", "client", &hex(NEW)]);
    let codes = chain.commit(vec![by(NEW, 1), enroll, by(NEW, 2)]);
    assert_eq!(codes, [UnknownCreator, Valid, Valid]);
    let found = member(&chain.state, &key(NEW).public()).unwrap().unwrap();
    assert_eq!(found.identity.name, "carol");
    assert_eq!(found.identity.organisation.as_str(), "org1");
}

#[test]
fn what_a_revoked_key_signs_is_invalid_from_the_next_transaction_on() {
    let mut chain = Chain::new();
    let revoke = call(&chain, ADMIN, 1, "revoke", &["member1"]);
    let codes = chain.commit(vec![by(CLIENT, 1), revoke, by(CLIENT, 2)]);
    assert_eq!(codes, [Valid, Valid, CreatorRevoked]);
    assert_eq!(chain.commit(vec![by(CLIENT, 3)]), [CreatorRevoked]);
    let refused = endorse(&chain, CLIENT, 4, ("kv", "put"), &["a", "b"]).unwrap_err();
    assert_eq!(refused.code(), "CREATOR_REVOKED");
}

#[test]
fn a_rotated_member_keeps_its_name_and_its_old_key_is_worth_nothing() {
    let mut chain = Chain::new();
    let rotate = call(&chain, ADMIN, 1, "rotate", &["member1", &hex(NEW)]);
    let codes = chain.commit(vec![rotate, by(CLIENT, 1), by(NEW, 2)]);
    assert_eq!(codes, [Valid, CreatorRevoked, Valid]);
    let everybody = members(&chain.state).unwrap();
    let named = everybody.iter().filter(|of| of.identity.name == "member1");
    let mut revoked: Vec<bool> = named.map(|of| of.revoked).collect();
    revoked.sort_unstable();
    assert_eq!(revoked, [false, true]);

    // Neither key can be given to anybody again; the name is taken.
    for used in [CLIENT, NEW] {
        let again = endorse(
            &chain,
            ADMIN,
            2,
            ("_members", "enroll"),
            &["x", "client", &hex(used)],
        );
        let error = again.unwrap_err().to_string();
        assert_eq!(error, "this key is or was a member's");
    }
}

#[test]
fn a_revoked_member_comes_back_with_another_key() {
    let mut chain = Chain::new();
    let revoke = call(&chain, ADMIN, 1, "revoke", &["member1"]);
    chain.commit(vec![revoke]);
    let rotate = call(&chain, ADMIN, 2, "rotate", &["member1", &hex(NEW)]);
    let codes = chain.commit(vec![rotate, by(CLIENT, 1), by(NEW, 2)]);
    assert_eq!(codes, [Valid, CreatorRevoked, Valid]);
}

#[test]
fn an_organisation_keeps_an_admin() {
    let mut chain = Chain::new();
    let name = format!("member{ADMIN}");
    let last = endorse(&chain, ADMIN, 1, ("_members", "revoke"), &[&name]);
    let error = last.unwrap_err().to_string();
    assert_eq!(error, "org1 would be without an admin");
    let enroll = call(&chain, ADMIN, 2, "enroll", &["dora", "admin", &hex(NEW)]);
    chain.commit(vec![enroll]);
    let revoke = call(&chain, NEW, 3, "revoke", &[&name]);
    assert_eq!(chain.commit(vec![revoke]), [Valid]);
    assert!(endorse(&chain, NEW, 4, ("_members", "revoke"), &["dora"]).is_err());
}

#[test]
fn admins_speak_for_their_own_organisation_only() {
    let chain = Chain::new();
    let new = hex(NEW);
    let weak = "0".repeat(64);
    let table: [(u8, &str, &[&str], &str); 10] = [
        (
            CLIENT,
            "enroll",
            &["x", "client", &new],
            "member1 of org1 is a client, and only admins do this",
        ),
        (ADMIN2, "revoke", &["member1"], "org2 has no member member1"),
        (
            ADMIN2,
            "rotate",
            &["member1", &new],
            "org2 has no member member1",
        ),
        (ADMIN, "revoke", &["nobody"], "org1 has no member nobody"),
        (
            ADMIN,
            "enroll",
            &["x", "peer", &new],
            "a member is enrolled as client or as admin",
        ),
        (
            ADMIN,
            "enroll",
            &["member1", "client", &new],
            "the name member1 is taken",
        ),
        (
            ADMIN,
            "enroll",
            &["X", "client", &new],
            "\"X\" cannot be a member's name: 1 to 64 lower-case letters, digits or hyphens can, a letter first",
        ),
        (
            ADMIN,
            "enroll",
            &["x", "client", "abc"],
            "a key is 64 hexadecimal digits",
        ),
        (
            ADMIN,
            "enroll",
            &["x", "client", &weak],
            "this key is weak: anybody could sign for it",
        ),
        (
            ADMIN,
            "rotate",
            &["member3", &new],
            "member3 is a replica, whose key is that of the genesis document",
        ),
    ];
    for (creator, function, args, expected) in table {
        let refused = endorse(&chain, creator, 1, ("_members", function), args);
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
}

/// An endorser and a client that collude make no member and no policy.
#[test]
fn effects_that_the_system_does_not_have_do_not_take_effect() {
    let mut chain = Chain::new();
    let honest = call(&chain, ADMIN, 1, "enroll", &["carol", "client", &hex(NEW)]);
    let writes = honest.transaction().rwset.writes.clone();
    let enroll = ["carol", "client", &hex(NEW)];
    let codes = chain.commit(vec![
        forged(CLIENT, 2, ("_members", "enroll"), &enroll, writes.clone()),
        forged(ADMIN, 3, ("_members", "enroll"), &enroll, Vec::new()),
        forged(
            ADMIN,
            4,
            ("_members", "revoke"),
            &["nobody"],
            writes.clone(),
        ),
        forged(ADMIN, 5, ("_members", "conjure"), &[], writes),
        forged(
            ADMIN,
            6,
            ("_contracts", "set_policy"),
            &["kv", "org1"],
            vec![],
        ),
    ]);
    assert_eq!(codes, [WrongEffects; 5]);
    assert!(member(&chain.state, &key(NEW).public()).unwrap().is_none());
}

#[test]
fn of_two_that_enroll_one_name_at_once_the_first_does() {
    let mut chain = Chain::new();
    let first = call(&chain, ADMIN, 1, "enroll", &["carol", "client", &hex(NEW)]);
    let second = call(
        &chain,
        ADMIN,
        2,
        "enroll",
        &["carol", "client", &hex(NEW + 1)],
    );
    assert_eq!(chain.commit(vec![first, second]), [Valid, MvccReadConflict]);
}

#[test]
fn a_policy_changes_when_more_than_half_of_the_organisations_want_the_same() {
    let mut chain = Chain::new();
    let policy = |chain: &Chain| {
        contract(&chain.state, "kv")
            .unwrap()
            .unwrap()
            .policy
            .to_string()
    };
    let before = policy(&chain);
    let vote = set_policy(&chain, ADMIN, 1, "org1 and org2");
    assert_eq!(chain.commit(vec![vote]), [Valid]);
    assert_eq!(policy(&chain), before);

    // Another one is another vote, and one's own again is no second one.
    let again = set_policy(&chain, ADMIN, 2, "org1 and org2");
    chain.commit(vec![again]);
    let other = set_policy(&chain, ADMIN2, 3, "org2");
    chain.commit(vec![other]);
    assert_eq!(policy(&chain), before);

    let agreed = set_policy(&chain, ADMIN2, 4, "AND('org1.peer', 'org2.peer')");
    let codes: Vec<ValidationCode> = chain.commit(vec![by(CLIENT, 1), agreed, by(CLIENT, 2)]);
    assert_eq!(codes, [Valid, Valid, EndorsementPolicyFailure]);
    assert_eq!(policy(&chain), "AND('org1.peer', 'org2.peer')");

    let refused = endorse(
        &chain,
        ADMIN,
        5,
        ("_contracts", "set_policy"),
        &["kv", "org9"],
    );
    let error = refused.unwrap_err().to_string();
    assert_eq!(error, "there is no organisation org9");
    let refused = endorse(
        &chain,
        ADMIN,
        6,
        ("_contracts", "set_policy"),
        &["vk", "org1"],
    );
    let error = refused.unwrap_err().to_string();
    assert_eq!(error, "there is no contract \"vk\"");
}

#[test]
fn a_contract_gets_another_version_when_a_majority_wants_it() {
    let mut chain = Chain::new();
    let vote = |chain: &Chain, creator, nonce, version| {
        let call = ("_contracts", "set_version");
        endorse(chain, creator, nonce, call, &["kv", version]).unwrap()
    };
    let version = |chain: &Chain| contract(&chain.state, "kv").unwrap().unwrap().version;
    chain.commit(vec![vote(&chain, ADMIN, 1, "2")]);
    // What one wants of the policy is no vote for a version, and takes none back.
    chain.commit(vec![set_policy(&chain, ADMIN, 2, "org1")]);
    chain.commit(vec![set_policy(&chain, ADMIN2, 2, "org2")]);
    assert_eq!(version(&chain), 1);
    let agreed = vote(&chain, ADMIN2, 3, "2");
    let executed_by = |version, nonce| {
        Draft {
            version,
            ..Draft::new(nonce)
        }
        .checked()
    };
    let codes = chain.commit(vec![
        executed_by(1, 1),
        agreed,
        executed_by(1, 2),
        executed_by(2, 3),
    ]);
    assert_eq!(codes, [Valid, Valid, ContractVersionMismatch, Valid]);
    assert_eq!(version(&chain), 2);
    chain.commit(vec![set_policy(&chain, ADMIN2, 4, "org1")]);
    let agreed = contract(&chain.state, "kv").unwrap().unwrap().policy;
    assert_eq!(
        agreed.to_string(),
        "'org1.peer'",
        "as the other wanted before"
    );
    // A node that has another version does not endorse.
    let refused = endorse(&chain, CLIENT, 4, ("kv", "put"), &["a", "1"]);
    let message =
        "the network has agreed on version 2 of contract \"kv\", and this node has version 1";
    assert_eq!(refused.unwrap_err().to_string(), message);
    for bad in ["0", "-1", "two", "4294967296"] {
        let call = ("_contracts", "set_version");
        let refused = endorse(&chain, ADMIN, 5, call, &["kv", bad]);
        let message = format!("{bad:?} is no version: those are numbers from 1");
        assert_eq!(refused.unwrap_err().to_string(), message);
    }
}

#[test]
fn the_endorsement_of_a_revoked_peer_counts_for_nothing() {
    let mut chain = Chain::new();
    let revoke = call(&chain, ADMIN2, 1, "revoke", &["member4"]);
    let endorsed = |nonce, endorsers: &[u8]| {
        let draft = Draft {
            endorsers: endorsers.to_vec(),
            ..Draft::new(nonce)
        };
        draft.checked()
    };
    let codes = chain.commit(vec![
        endorsed(1, &[PEER2]),
        revoke,
        endorsed(2, &[PEER2]),
        endorsed(3, &[PEER1, PEER2]),
    ]);
    assert_eq!(codes, [Valid, Valid, EndorsementPolicyFailure, Valid]);
}

/// A policy that is stored in more levels or bytes than are read again: with the
/// next transaction of its contract, every node would stop.
#[test]
fn no_vote_leaves_a_contract_that_cannot_be_read() {
    let mut chain = Chain::new();
    let deep = format!("{}org1 or org2{}", "1 of (".repeat(7), ")".repeat(7));
    for (admin, nonce) in [(ADMIN, 1), (ADMIN2, 2)] {
        let call = ("_contracts", "set_policy");
        if let Ok(vote) = endorse(&chain, admin, nonce, call, &["kv", &deep]) {
            chain.commit(vec![vote]);
        }
    }
    assert_eq!(chain.commit(vec![by(CLIENT, 1)]), [Valid]);
}
