//! One signature of a client for all that it signs at once.

mod common;

use common::{Network, SPOILT_PROOFS};
use crypto::merkle::InclusionProof;
use crypto::{Digest, Domain, MAX_SIGNED_AT_ONCE, SharedSignature, encode};
use ledger::{
    Limits, NO_EXPIRY, Proposal, Refusal, SignedProposal, Signer, Transaction,
    UncheckedTransaction, UnsignedTransaction, check_transactions,
};

fn unsigned(transaction: Transaction) -> UnsignedTransaction {
    UnsignedTransaction {
        proposal: transaction.proposal,
        contract_version: transaction.contract_version,
        rwset: transaction.rwset,
        response: transaction.response,
        endorsements: transaction.endorsements,
    }
}

/// Transactions that their creator has signed at once.
fn signed_at_once(network: &Network, count: u8) -> Vec<Transaction> {
    let transactions = (0..count).map(|i| unsigned(network.put(i, "a", b"1")));
    let transactions: Vec<_> = transactions.collect();
    let leaves: Vec<_> = transactions.iter().map(UnsignedTransaction::leaf).collect();
    let (domain, key) = (Domain::Transaction, &network.client);
    let signatures = SharedSignature::of_all(&leaves, domain, &network.id(), key);
    let transactions = transactions.into_iter().zip(signatures);
    transactions
        .map(|(transaction, signature)| transaction.signed(signature))
        .collect()
}

fn not_by_creator(network: &Network) -> Refusal {
    Refusal::BadSignature {
        signer: Signer::Creator(network.client.public()),
    }
}

#[test]
fn what_was_signed_at_once_holds_alone() {
    let network = Network::new();
    for count in [1, 2, 3, 7, 64] {
        for transaction in signed_at_once(&network, count) {
            network.check(&transaction).unwrap();
        }
    }
}

/// However they come together: that the signature was seen to hold for one of them says
/// nothing of what it does not cover.
#[test]
fn what_a_signature_does_not_cover_is_not_signed_by_it() {
    let network = Network::new();
    let mut transactions = signed_at_once(&network, 5);
    transactions[1].signature = transactions[2].signature.clone();
    let other = network.put(9, "a", b"1");
    transactions[3] = Transaction {
        signature: transactions[3].signature.clone(),
        ..other
    };
    network.assert_second_and_fourth_unsound(&transactions);
}

#[test]
fn a_proof_that_is_none_signs_nothing() {
    let network = Network::new();
    let good = signed_at_once(&network, 5).remove(2);
    let altered = |alter: fn(&mut InclusionProof)| {
        let mut transaction = good.clone();
        alter(&mut transaction.signature.proof);
        network.check(&transaction).unwrap_err()
    };
    let bad = not_by_creator(&network);
    for (number, alter) in SPOILT_PROOFS.into_iter().enumerate() {
        assert_eq!(altered(alter), bad, "{number}");
    }
}

/// What stands in no block of what is signed would be for whoever passes it on to choose.
#[test]
fn no_bit_of_a_transaction_that_was_signed_with_others_can_be_another() {
    let network = Network::new();
    let bytes = encode(&signed_at_once(&network, 5)[2]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << bit;
            let decoded = UncheckedTransaction::decode(&altered, &network.id(), &Limits::default());
            let holds = decoded.is_ok_and(|it| check_transactions(vec![it])[0].is_ok());
            assert!(!holds, "byte {at}, bit {bit} was not missed");
        }
    }
}

/// The third of three and the second of two have the same way to the same root. Were the
/// size not signed, whoever passes a transaction on could make another one of it, with
/// another hash, that holds as well.
#[test]
fn nobody_else_can_give_a_transaction_another_place_in_another_tree() {
    let network = Network::new();
    let mut transaction = signed_at_once(&network, 3).remove(2);
    let proof = &mut transaction.signature.proof;
    let leaf = Digest([7; 32]);
    let root = proof.root(&leaf);
    (proof.index, proof.size) = (1, 2);
    assert_eq!(proof.root(&leaf), root);
    let refusal = network.check(&transaction).unwrap_err();
    assert_eq!(refusal, not_by_creator(&network));
}

#[test]
fn no_signature_is_for_more_than_may_be() {
    let network = Network::new();
    let (key, id, domain) = (&network.client, network.id(), Domain::Transaction);
    let good = unsigned(network.put(1, "a", b"1"));
    for (size, holds) in [(MAX_SIGNED_AT_ONCE, true), (MAX_SIGNED_AT_ONCE + 1, false)] {
        let signature = network.signed_among(size, good.leaf(), domain, key);
        let transaction = good.clone().signed(signature);
        assert_eq!(network.check(&transaction).is_ok(), holds, "{size}");
        let leaves = vec![Digest::ZERO; size];
        let signatures = SharedSignature::of_all(&leaves, domain, &id, key);
        let last = signatures.last().unwrap();
        let signed = last.signed_root(key.public(), (domain, &id), &Digest::ZERO);
        assert!(signed.unwrap().claim().verify().is_ok());
    }
}

#[test]
fn proposals_that_were_signed_at_once_hold_alone_and_for_nothing_else() {
    let network = Network::new();
    let (key, id) = (&network.client, network.id());
    let proposals = (0..5).map(|nonce| Proposal {
        network: id,
        contract: "kv".to_owned(),
        function: "put".to_owned(),
        args: vec!["a".to_owned(), "1".to_owned()],
        creator: key.public(),
        nonce: [nonce; 32],
        valid_until_block: NO_EXPIRY,
    });
    let proposals: Vec<_> = proposals.collect();
    let leaves: Vec<_> = proposals.iter().map(|it| it.id().leaf()).collect();
    let signatures = SharedSignature::of_all(&leaves, Domain::Proposal, &id, key);
    for (at, proposal) in proposals.iter().enumerate() {
        for (of, signature) in signatures.iter().enumerate() {
            let signed = SignedProposal {
                proposal: proposal.clone(),
                signature: signature.clone(),
            };
            let verdict = signed.verify(&id).map(|(id, _)| id);
            let expected = (at == of).then(|| proposal.id());
            assert_eq!(verdict, expected.ok_or(not_by_creator(&network)));
        }
    }
    // For what is proposed nothing is signed that could be ordered.
    let transaction = unsigned(network.put(0, "a", b"1"));
    let for_proposals = SharedSignature::of_one(transaction.leaf(), Domain::Proposal, &id, key);
    let refusal = network
        .check(&transaction.signed(for_proposals))
        .unwrap_err();
    assert_eq!(refusal, not_by_creator(&network));
}
