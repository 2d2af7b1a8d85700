//! One signature of an endorser for all that it endorses at once.

mod common;

use common::{Network, SPOILT_PROOFS};
use crypto::merkle::InclusionProof;
use crypto::{Domain, MAX_SIGNED_AT_ONCE, SharedSignature, SigningKey};
use ledger::{EndorsedAction, Endorsement, ProposalResponse, Refusal, Signer, Transaction};

fn action(transaction: &Transaction) -> EndorsedAction {
    EndorsedAction {
        transaction_id: transaction.proposal.id(),
        contract_version: transaction.contract_version,
        rwset: transaction.rwset.clone(),
        response: transaction.response.clone(),
    }
}

/// The same transaction with this endorsement, signed by its creator.
fn with(network: &Network, transaction: &Transaction, endorsement: Endorsement) -> Transaction {
    let proposal = transaction.proposal.clone();
    let endorsements = vec![endorsement];
    Transaction::assemble(proposal, action(transaction), endorsements, &network.client)
}

/// Transactions that one signature endorses.
fn endorsed_at_once(network: &Network, count: u8) -> Vec<Transaction> {
    let transactions: Vec<_> = (0..count).map(|i| network.put(i, "a", b"1")).collect();
    let leaves: Vec<_> = transactions.iter().map(|it| action(it).leaf()).collect();
    let (key, domain) = (&network.attesters[0], Domain::Endorsement);
    let signatures = SharedSignature::of_all(&leaves, domain, &network.id(), key);
    let endorsements = signatures.into_iter().map(|signature| Endorsement {
        endorser: key.public(),
        signature,
    });
    let transactions = transactions.iter().zip(endorsements);
    transactions
        .map(|(transaction, endorsement)| with(network, transaction, endorsement))
        .collect()
}

#[test]
fn what_was_endorsed_at_once_holds_alone() {
    let network = Network::new();
    for count in [1, 2, 3, 7, 64] {
        for transaction in endorsed_at_once(&network, count) {
            network.check(&transaction).unwrap();
        }
    }
}

/// However they come together: that the signature was seen to hold for one of them says
/// nothing of what it does not cover.
#[test]
fn what_a_signature_does_not_cover_is_not_endorsed_by_it() {
    let network = Network::new();
    let mut transactions = endorsed_at_once(&network, 5);
    let proof_of_this = transactions[1].endorsements[0].clone();
    transactions[1].response.payload = b"other".to_vec();
    transactions[1] = with(&network, &transactions[1], proof_of_this);
    let proof_of_another = transactions[4].endorsements[0].clone();
    transactions[3] = with(&network, &transactions[3], proof_of_another);
    network.assert_second_and_fourth_unsound(&transactions);
}

#[test]
fn a_proof_that_is_none_endorses_nothing() {
    let network = Network::new();
    let good = endorsed_at_once(&network, 5).remove(2);
    let altered = |alter: fn(&mut InclusionProof)| {
        let mut endorsement = good.endorsements[0].clone();
        alter(&mut endorsement.signature.proof);
        network
            .check(&with(&network, &good, endorsement))
            .unwrap_err()
    };
    let bad = Refusal::BadSignature {
        signer: Signer::Endorser(network.attesters[0].public()),
    };
    for (number, alter) in SPOILT_PROOFS.into_iter().enumerate() {
        assert_eq!(altered(alter), bad, "{number}");
    }
}

/// A client must not believe what no node does: the transaction would be refused.
#[test]
fn a_proof_in_a_larger_tree_than_may_be_holds_for_nobody() {
    let network = Network::new();
    let good = network.put(1, "a", b"1");
    let (key, domain) = (&network.attesters[0], Domain::Endorsement);
    for (size, holds) in [(MAX_SIGNED_AT_ONCE, true), (MAX_SIGNED_AT_ONCE + 1, false)] {
        let leaf = action(&good).leaf();
        let endorsement = Endorsement {
            endorser: key.public(),
            signature: network.signed_among(size, leaf, domain, key),
        };
        let mut answer = ProposalResponse::endorse(action(&good), &network.id(), key);
        answer.endorsement = endorsement.clone();
        assert_eq!(answer.verify(&network.id()).is_ok(), holds, "{size}");
        let transaction = with(&network, &good, endorsement);
        assert_eq!(network.check(&transaction).is_ok(), holds, "{size}");
    }
}

/// Each endorser has a tree of its own, in which the transaction stands elsewhere.
#[test]
fn endorsers_that_endorse_different_things_at_once_endorse_a_transaction_together() {
    let network = Network::new();
    let transactions: Vec<_> = (0..9).map(|i| network.put(i, "a", b"1")).collect();
    let endorse = |of: &[usize], key: &SigningKey| {
        let leaves: Vec<_> = of
            .iter()
            .map(|at| action(&transactions[*at]).leaf())
            .collect();
        let domain = Domain::Endorsement;
        let mut signatures = SharedSignature::of_all(&leaves, domain, &network.id(), key);
        Endorsement {
            endorser: key.public(),
            signature: signatures.pop().unwrap(),
        }
    };
    let [one, two, three] = [0, 1, 2].map(|at| &network.attesters[at]);
    let made = |last: Endorsement| {
        let endorsements = vec![endorse(&[0, 1, 2, 3, 4], one), endorse(&[4], two), last];
        let (proposal, action) = (transactions[4].proposal.clone(), action(&transactions[4]));
        let made = Transaction::assemble(proposal, action, endorsements, &network.client);
        network.check(&made)
    };
    assert!(made(endorse(&[8, 7, 4], three)).is_ok());
    let bad = Refusal::BadSignature {
        signer: Signer::Endorser(three.public()),
    };
    assert_eq!(made(endorse(&[8, 4, 7], three)).unwrap_err(), bad);
}
