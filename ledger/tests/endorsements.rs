//! One signature of an endorser for all that it endorses at once.

mod common;

use common::Network;
use crypto::merkle::{InclusionProof, prove_all};
use crypto::{Digest, Domain, encode};
use ledger::names::MAX_ENDORSED_AT_ONCE;
use ledger::{
    CheckedTransaction, EndorsedAction, Endorsement, Limits, Refusal, Signer, Transaction,
    UncheckedTransaction, check_together, check_transactions,
};

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
    let (root, proofs) = prove_all(&leaves);
    let (key, domain) = (&network.attesters[0], Domain::Endorsement);
    let signature = key.sign(domain, &network.id(), root.as_bytes());
    let endorsements = proofs.into_iter().map(|proof| Endorsement {
        endorser: key.public(),
        signature,
        proof,
    });
    let transactions = transactions.iter().zip(endorsements);
    transactions
        .map(|(transaction, endorsement)| with(network, transaction, endorsement))
        .collect()
}

fn decode(network: &Network, transaction: &Transaction) -> Result<UncheckedTransaction, Refusal> {
    UncheckedTransaction::decode(&encode(transaction), &network.id(), &Limits::default())
}

fn check(network: &Network, transaction: &Transaction) -> Result<CheckedTransaction, Refusal> {
    check_transactions(vec![decode(network, transaction)?]).remove(0)
}

#[test]
fn what_was_endorsed_at_once_holds_alone() {
    let network = Network::new();
    for count in [1, 2, 3, 7, 64] {
        for transaction in endorsed_at_once(&network, count) {
            check(&network, &transaction).unwrap();
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
    let together = |positions: &[usize]| {
        let transactions = positions.iter().map(|at| &transactions[*at]);
        transactions
            .map(|it| decode(&network, it).unwrap())
            .collect::<Vec<_>>()
    };
    assert!(check_together(together(&[0, 2, 4])).is_ok());
    for pair in [[0, 1], [1, 2], [2, 3], [3, 4]] {
        assert!(check_together(together(&pair)).is_err());
    }
    let verdicts = check_transactions(together(&[0, 1, 2, 3, 4]));
    let sound: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
    assert_eq!(sound, [true, false, true, false, true]);
}

#[test]
fn a_proof_that_is_none_endorses_nothing() {
    let network = Network::new();
    let good = endorsed_at_once(&network, 5).remove(2);
    let altered = |alter: fn(&mut InclusionProof)| {
        let mut endorsement = good.endorsements[0].clone();
        alter(&mut endorsement.proof);
        check(&network, &with(&network, &good, endorsement)).unwrap_err()
    };
    let bad = Refusal::BadSignature {
        signer: Signer::Endorser(network.attesters[0].public()),
    };
    assert_eq!(altered(|proof| proof.index = 3), bad);
    assert_eq!(altered(|proof| proof.index = 5), bad);
    assert_eq!(altered(|proof| proof.index = u64::MAX), bad);
    assert_eq!(altered(|proof| proof.size = 4), bad);
    assert_eq!(altered(|proof| proof.size = 0), bad);
    assert_eq!(altered(|proof| proof.path[0].0[0] ^= 1), bad);
    assert_eq!(altered(|proof| proof.path.clear()), bad);
    assert_eq!(altered(|proof| proof.path.push(Digest::ZERO)), bad);
    let too_many = Refusal::TooMany {
        what: "actions endorsed at once",
        found: MAX_ENDORSED_AT_ONCE + 1,
        limit: MAX_ENDORSED_AT_ONCE,
    };
    assert_eq!(
        altered(|proof| proof.size = MAX_ENDORSED_AT_ONCE as u64 + 1),
        too_many
    );
    assert_eq!(altered(|proof| proof.size = u64::MAX).code(), "TOO_MANY");
}
