//! From a proposal to a committed transaction, the way a client goes.

mod common;

use std::collections::BTreeSet;

use common::Network;
use crypto::{
    Digest, Domain, MAX_SIGNED_AT_ONCE, SharedSignature, SharedVerifier, Signature, SigningKey,
};
use ledger::{
    Contracts, EndorseError, EndorsementPolicy, Ledger, Limits, NO_EXPIRY, Proposal,
    ProposalResponse, Refusal, Response, SignedProposal, Simulation, StateView, Transaction,
    UnsignedTransaction, Verdict, Version, WriteValue,
};

/// A network with an endorser's things about it.
struct Fixture {
    network: Network,
    ledger: Ledger,
    contracts: Contracts,
    limits: Limits,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
        Self {
            ledger: network.open(folder.path()),
            network,
            contracts: Contracts::built_in(),
            limits: Limits::default(),
            _folder: folder,
        }
    }

    fn proposal(&self, nonce: u8, function: &str, args: &[&str]) -> Proposal {
        Proposal {
            network: self.network.id(),
            contract: "kv".to_owned(),
            function: function.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            creator: self.network.client.public(),
            nonce: [nonce; 32],
            valid_until_block: NO_EXPIRY,
        }
    }

    fn with<T>(&self, then: impl FnOnce(Simulation<'_>) -> T) -> T {
        let snapshot = self.ledger.snapshot().unwrap();
        let view: &dyn StateView = &snapshot;
        then(Simulation {
            network: &self.network.id(),
            limits: &self.limits,
            contracts: &self.contracts,
            view,
            height: snapshot.number(),
        })
    }

    fn endorse(&self, signed: &SignedProposal) -> Result<ProposalResponse, EndorseError> {
        self.with(|simulation| simulation.endorse(signed, &self.network.attesters[0]))
    }

    fn evaluate(&self, signed: &SignedProposal) -> Result<Response, EndorseError> {
        self.with(|simulation| simulation.evaluate(signed))
    }

    fn sign(&self, proposal: Proposal) -> SignedProposal {
        proposal.sign(&self.network.client)
    }

    /// The code of the refusal of this proposal, signed by `key`.
    fn refused(&self, proposal: Proposal, key: &SigningKey) -> &'static str {
        let signed = Proposal {
            creator: key.public(),
            ..proposal
        }
        .sign(key);
        let endorsing = self.endorse(&signed).unwrap_err();
        let evaluating = self.evaluate(&signed).unwrap_err();
        assert_eq!(endorsing.code(), evaluating.code());
        endorsing.code()
    }
}

#[test]
fn what_two_endorsers_agree_on_is_committed_and_read_back() {
    let it = Fixture::new();
    let proposal = it.proposal(1, "put", &["greeting", "hello"]);
    let signed = it.sign(proposal.clone());
    let answers: Vec<_> = [2, 0]
        .map(|i| &it.network.attesters[i])
        .map(|key| it.with(|simulation| simulation.endorse(&signed, key).unwrap()))
        .to_vec();
    let transaction = Transaction::from_responses(proposal, answers, &it.network.client).unwrap();
    let committed = it.network.commit(&it.ledger, &[transaction]);
    assert_eq!(committed.block.verdicts, [Verdict::VALID]);

    let query = it.sign(it.proposal(2, "get", &["greeting"]));
    assert_eq!(it.evaluate(&query).unwrap().payload, b"hello");
    let answer = it.endorse(&query).unwrap();
    let read = &answer.rwset.reads[0];
    assert_eq!(read.version, Some(Version { block: 1, index: 0 }));
    // Endorsing again says so; a query may be asked as often as one likes.
    let error = it.endorse(&signed).unwrap_err();
    assert!(
        matches!(error, EndorseError::AlreadyCommitted { id } if id == committed.results[0].transaction_id)
    );
    it.evaluate(&signed).unwrap();
}

/// What becomes of some of them is nothing to the others.
#[test]
fn proposals_that_come_together_are_endorsed_with_one_signature() {
    let it = Fixture::new();
    let put = |nonce: u8| it.proposal(nonce, "put", &[&nonce.to_string(), "1"]);
    let mut proposals: Vec<_> = (0..5).map(|nonce| it.sign(put(nonce))).collect();
    proposals[1].signature.signature = Signature([0; 64]);
    proposals[3] = it.sign(it.proposal(3, "no-such-function", &[]));
    let key = &it.network.attesters[0];
    let answers = it.with(|simulation| simulation.endorse_all(&proposals, key));
    let codes = answers.iter().map(|answer| match answer {
        Ok(_) => "",
        Err(error) => error.code(),
    });
    let codes: Vec<_> = codes.collect();
    assert_eq!(codes, ["", "BAD_SIGNATURE", "", "CONTRACT_ERROR", ""]);
    let (mut transactions, mut signatures) = (Vec::new(), BTreeSet::new());
    for (signed, answer) in proposals.into_iter().zip(answers) {
        let Ok(answer) = answer else { continue };
        signatures.insert(answer.endorsement.signature.signature);
        let made = Transaction::from_responses(signed.proposal, vec![answer], &it.network.client);
        transactions.push(made.unwrap());
    }
    assert_eq!(signatures.len(), 1);
    let committed = it.network.commit(&it.ledger, &transactions);
    assert_eq!(committed.block.verdicts, [Verdict::VALID; 3]);
}

/// Proposals that share a signature share its verdict, and no others have it.
#[test]
fn of_proposals_that_come_together_each_has_its_own_verdict() {
    let it = Fixture::new();
    let (key, id) = (&it.network.client, it.network.id());
    let put = |nonce: u8| it.proposal(nonce, "put", &[&nonce.to_string(), "1"]);
    let together = |nonces: [u8; 3]| {
        let proposals = nonces.map(put);
        let leaves = proposals.each_ref().map(|it| it.id().leaf());
        let signatures = SharedSignature::of_all(&leaves, Domain::Proposal, &id, key);
        let signed = proposals.into_iter().zip(signatures);
        signed.map(|(proposal, signature)| SignedProposal {
            proposal,
            signature,
        })
    };
    let good: Vec<_> = together([1, 2, 3]).collect();
    let bad = together([4, 5, 6]).map(|mut signed| {
        signed.signature.signature = Signature([0; 64]);
        signed
    });
    let bad: Vec<_> = bad.collect();
    let alone = it.sign(put(7));
    let mut moved = it.sign(put(8));
    moved.signature = good[0].signature.clone();
    let all = [
        &good[0], &good[1], &bad[0], &good[2], &bad[1], &moved, &bad[2], &alone,
    ];
    let key = &it.network.attesters[0];
    for count in 1..=all.len() {
        let asked: Vec<_> = all[..count].iter().copied().cloned().collect();
        let answers = it.with(|simulation| simulation.endorse_all(&asked, key));
        let endorsed: Vec<_> = answers.iter().map(Result::is_ok).collect();
        let expected = [true, true, false, true, false, false, false, true];
        assert_eq!(endorsed, expected[..count]);
    }
}

#[test]
fn of_very_many_proposals_as_many_are_endorsed_at_once_as_may_be() {
    let it = Fixture::new();
    let proposal = |key: usize| it.proposal(1, "put", &[&key.to_string(), "1"]);
    let keys = 0..=MAX_SIGNED_AT_ONCE;
    let proposals: Vec<_> = keys.map(|key| it.sign(proposal(key))).collect();
    let key = &it.network.attesters[0];
    let answers = it.with(|simulation| simulation.endorse_all(&proposals, key));
    let mut signatures = BTreeSet::new();
    for answer in answers {
        let answer = answer.unwrap();
        answer.verify(&it.network.id()).unwrap();
        assert!(answer.endorsement.signature.proof.size <= MAX_SIGNED_AT_ONCE as u64);
        signatures.insert(answer.endorsement.signature.signature);
    }
    assert_eq!(signatures.len(), 2);
}

/// Whoever has to be asked for a key is told, wherever the block that guards it came
/// from, and after the node was started again.
#[test]
fn an_endorser_tells_of_the_policies_that_keys_have() {
    let mut it = Fixture::new();
    let told = |it: &Fixture, key: &str| {
        let put = it.sign(it.proposal(1, "put", &[key, "1"]));
        it.endorse(&put).unwrap().key_policies
    };
    let mut blocks = Vec::new();
    for (nonce, function, argument) in [(2, "put", "1"), (3, "set_policy", "org1")] {
        assert_eq!(told(&it, "a"), []);
        let signed = it.sign(it.proposal(nonce, function, &["a", argument]));
        let answers = vec![it.endorse(&signed).unwrap()];
        let made = Transaction::from_responses(signed.proposal, answers, &it.network.client);
        let committed = it.network.commit(&it.ledger, &[made.unwrap()]);
        assert_eq!(committed.block.verdicts, [Verdict::VALID]);
        blocks.push(committed.block);
    }
    let policy: EndorsementPolicy = "org1".parse().unwrap();
    assert_eq!(told(&it, "a"), std::slice::from_ref(&policy));
    assert_eq!(told(&it, "b"), []);
    let elsewhere = tempfile::tempdir().unwrap();
    let ledger = it.network.open(elsewhere.path());
    for block in &blocks {
        it.network.receive(&ledger, block).unwrap();
    }
    drop(ledger);
    it.ledger = it.network.open(elsewhere.path());
    assert_eq!(told(&it, "a"), [policy]);
}

/// It is the same state, history and chain, however the value is said, also where the
/// block is received and where a stopped node's folder is verified.
#[test]
fn what_is_written_by_reference_is_read_back_everywhere() {
    let it = Fixture::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = it.network.open(elsewhere.path());
    for (nonce, length) in (0..).zip([1, 255, 256, 3_000]) {
        let (key, value) = (nonce.to_string(), "x".repeat(length));
        let signed = it.sign(it.proposal(nonce, "put", &[&key, &value]));
        let answer = it.endorse(&signed).unwrap();
        assert_eq!(answer.rwset.writes[0].value, Some(WriteValue::Argument(1)));
        let made = Transaction::from_responses(signed.proposal, vec![answer], &it.network.client);
        let committed = it.network.commit(&it.ledger, &[made.unwrap()]);
        assert_eq!(committed.block.verdicts, [Verdict::VALID]);
        it.network.receive(&other, &committed.block).unwrap();
        for ledger in [&it.ledger, &other] {
            let found = ledger.snapshot().unwrap().state("kv", &key).unwrap();
            assert_eq!(found.unwrap().value, value.as_bytes());
        }
    }
    drop(other);
    let report = ledger::verify_folder(elsewhere.path(), &it.network.genesis).unwrap();
    assert!(report.is_ok(), "{:?}", report.problem);
}

/// Endorsements are compared byte by byte.
#[test]
fn a_call_simulated_twice_has_the_same_effects_and_changes_nothing() {
    let it = Fixture::new();
    let signed = it.sign(it.proposal(1, "put", &["a", "1"]));
    let before = it.ledger.tip();
    assert_eq!(it.endorse(&signed).unwrap(), it.endorse(&signed).unwrap());
    assert_eq!(it.ledger.tip(), before);
    assert_eq!(
        it.ledger.snapshot().unwrap().state("kv", "a").unwrap(),
        None
    );
}

#[test]
fn who_may_not_propose_is_told_so() {
    let it = Fixture::new();
    let proposal = it.proposal(1, "put", &["a", "1"]);
    let stranger = SigningKey::from_seed(&[77; 32]);
    assert_eq!(it.refused(proposal.clone(), &stranger), "UNKNOWN_CREATOR");
    let peer = &it.network.attesters[0];
    assert_eq!(it.refused(proposal, peer), "CREATOR_NOT_PERMITTED");
}

#[test]
fn a_proposal_that_is_altered_foreign_or_misshapen_is_refused() {
    let it = Fixture::new();
    let good = it.sign(it.proposal(1, "put", &["a", "1"]));
    let mut altered = good.clone();
    altered.proposal.args[1] = "2".to_owned();
    assert_eq!(it.endorse(&altered).unwrap_err().code(), "BAD_SIGNATURE");
    let mut by_another = good.clone();
    by_another.proposal.creator = it.network.attesters[0].public();
    assert_eq!(it.endorse(&by_another).unwrap_err().code(), "BAD_SIGNATURE");

    let key = &it.network.client;
    let mut foreign = good.proposal.clone();
    foreign.network = Digest([9; 32]);
    assert_eq!(it.refused(foreign, key), "WRONG_NETWORK");
    let mut nameless = good.proposal.clone();
    nameless.function = String::new();
    assert_eq!(it.refused(nameless, key), "BAD_NAME");
    let mut of_the_system = good.proposal;
    of_the_system.contract = "_other".to_owned();
    assert_eq!(it.refused(of_the_system, key), "BAD_NAME");
}

#[test]
fn what_cannot_be_executed_says_why() {
    let it = Fixture::new();
    let key = &it.network.client;
    let mut elsewhere = it.proposal(1, "put", &["a", "1"]);
    elsewhere.contract = "none".to_owned();
    assert_eq!(it.refused(elsewhere, key), "UNKNOWN_CONTRACT");
    let missing = it.proposal(1, "get", &["a"]);
    assert_eq!(it.refused(missing.clone(), key), "CONTRACT_ERROR");
    let error = it.endorse(&it.sign(missing)).unwrap_err();
    assert_eq!(error.to_string(), "the key a does not exist");
    let mut simple = Fixture::new();
    simple.contracts = Contracts::default();
    let put = simple.proposal(1, "put", &["a", "1"]);
    assert_eq!(simple.refused(put, key), "NOT_INSTALLED");
}

/// The next block is the first that the transaction could stand in.
#[test]
fn a_proposal_expires_with_its_last_block() {
    let it = Fixture::new();
    let mut proposal = it.proposal(1, "put", &["a", "1"]);
    proposal.valid_until_block = 1;
    it.endorse(&it.sign(proposal.clone())).unwrap();
    it.network.commit(&it.ledger, &[]);
    assert_eq!(it.refused(proposal, &it.network.client), "EXPIRED");
}

/// An endorsement of what every node would refuse leads its client on.
#[test]
fn nothing_is_endorsed_that_would_be_too_large_a_transaction() {
    let mut it = Fixture::new();
    let signed = it.sign(it.proposal(1, "put", &["a", &"x".repeat(3_000)]));
    it.limits.max_transaction_bytes = 5_400;
    it.endorse(&signed).unwrap();
    // Each replica may endorse it, with a proof.
    it.limits.replicas = 7;
    assert_eq!(it.endorse(&signed).unwrap_err().code(), "TOO_LARGE");
    it.evaluate(&signed).unwrap();
    let limits = Limits {
        max_transaction_bytes: 3_000,
        ..Limits::default()
    };
    let bytes = crypto::encode(&signed);
    let refusal = SignedProposal::from_bytes(&bytes, &limits).unwrap_err();
    assert_eq!(refusal.code(), "TOO_LARGE");
    assert_eq!(
        SignedProposal::from_bytes(&bytes, &it.limits).unwrap(),
        signed
    );
}

/// The room that is left for signatures is what they may take, and no more.
#[test]
fn what_is_endorsed_fits_when_all_who_sign_it_do_so_with_as_much_else_as_may_be() {
    let mut it = Fixture::new();
    it.limits.replicas = it.network.attesters.len();
    let all = (0..=u8::MAX).map(|nonce| it.sign(it.proposal(nonce, "put", &["a", "1"])));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), MAX_SIGNED_AT_ONCE);
    let keys = it.network.attesters.iter();
    let answers = keys.map(|key| it.with(|simulation| simulation.endorse_all(&all, key)));
    let answers = answers.map(|mut answers| answers.swap_remove(0).unwrap());
    let (proposal, answers) = (all[0].proposal.clone(), answers.collect());
    let verifier = SharedVerifier::default();
    let unsigned = UnsignedTransaction::from_responses(proposal, answers, &verifier).unwrap();
    let leaves = [unsigned.leaf(); MAX_SIGNED_AT_ONCE];
    let (id, key) = (it.network.id(), &it.network.client);
    let mut signatures = SharedSignature::of_all(&leaves, Domain::Transaction, &id, key);
    let largest = unsigned.signed(signatures.remove(0));
    let length = crypto::encode(&largest).len();
    it.limits.max_transaction_bytes = length;
    it.endorse(&all[0]).unwrap();
    it.limits.max_transaction_bytes = length - 1;
    let error = it.endorse(&all[0]).unwrap_err();
    let expected = Refusal::TooLarge {
        found: length,
        limit: length - 1,
    };
    assert!(matches!(error, EndorseError::Refused(refusal) if refusal == expected));
}
