//! Putting a transaction together from what endorsers answered.

mod common;

use common::Network;
use crypto::{SharedVerifier, SigningKey, encode};
use ledger::{
    AssembleError, EndorsedAction, Limits, Proposal, ProposalResponse, ReadWriteSet, Response,
    Transaction, UncheckedTransaction, check_transactions,
};

fn proposal(network: &Network) -> Proposal {
    network.put(1, "a", b"1").proposal
}

#[test]
fn answers_make_a_transaction_only_when_they_agree_and_are_signed() {
    let network = Network::new();
    let proposal = proposal(&network);
    let [one, two] = [&network.attesters[0], &network.attesters[1]];
    let answer = |payload: &[u8], key: &SigningKey| {
        let action = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: 1,
            rwset: ReadWriteSet::default(),
            response: Response {
                payload: payload.to_vec(),
                events: vec![],
            },
        };
        ProposalResponse::endorse(action, &network.id(), key)
    };
    let assemble = |answers: Vec<ProposalResponse>| {
        Transaction::from_responses(proposal.clone(), answers, &network.client)
    };
    let good = assemble(vec![answer(b"x", one), answer(b"x", two)]).unwrap();
    let bytes = encode(&good);
    let unchecked = UncheckedTransaction::decode(&bytes, &network.id(), &Limits::default());
    assert!(
        check_transactions(vec![unchecked.unwrap()])
            .remove(0)
            .is_ok()
    );

    assert_eq!(assemble(vec![]), Err(AssembleError::NoResponse));
    let disagreement = AssembleError::Disagreement {
        one: one.public(),
        other: two.public(),
    };
    let answers = vec![answer(b"x", one), answer(b"y", two)];
    assert_eq!(assemble(answers), Err(disagreement));
    let endorser = two.public();
    let mut forged = answer(b"x", two);
    forged.endorsement.signature = answer(b"y", two).endorsement.signature;
    let bad = Err(AssembleError::BadSignature { endorser });
    assert_eq!(assemble(vec![answer(b"x", one), forged]), bad);
    let mut other = answer(b"x", two);
    other.transaction_id = network.put(2, "a", b"1").proposal.id();
    let other_proposal = Err(AssembleError::OtherProposal { endorser });
    assert_eq!(assemble(vec![other]), other_proposal);
}

/// That a signature was seen to hold says nothing of what it does not cover.
#[test]
fn one_who_verifies_many_answers_believes_no_other_for_it() {
    let network = Network::new();
    let (verifier, key) = (SharedVerifier::default(), &network.attesters[0]);
    let action = EndorsedAction {
        transaction_id: proposal(&network).id(),
        contract_version: 1,
        rwset: ReadWriteSet::default(),
        response: Response::default(),
    };
    let good = ProposalResponse::endorse(action, &network.id(), key);
    for _ in 0..2 {
        good.verify_with(&verifier, &network.id()).unwrap();
    }
    let mut other_answer = good.clone();
    other_answer.response.payload.push(0);
    let mut other_endorser = good.clone();
    other_endorser.endorsement.endorser = network.attesters[1].public();
    let mut other_signature = good.clone();
    other_signature.endorsement.signature.signature.0[0] ^= 1;
    let mut other_place = good.clone();
    other_place.endorsement.signature.proof.index = 1;
    for other in [other_answer, other_endorser, other_signature, other_place] {
        for _ in 0..2 {
            assert!(other.verify_with(&verifier, &network.id()).is_err());
        }
    }
    let other_network = Network::named(2).id();
    assert!(good.verify_with(&verifier, &other_network).is_err());
}
