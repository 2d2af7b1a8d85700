//! Receipts prove themselves against genesis, and nothing else proves anything.

mod common;

use common::Network;
use crypto::Digest;
use ledger::{CertificateError, Locator, Receipt, ReceiptError, ValidationCode, Version};

fn receipts(network: &Network) -> Vec<Receipt> {
    let folder = tempfile::tempdir().unwrap();
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    let ids: Vec<_> = [network.put(2, "b", b"2"), network.put_after(4, "a", None)]
        .iter()
        .map(|each| each.proposal.id())
        .collect();
    let from_memory: Vec<_> = ids
        .iter()
        .map(|id| ledger.receipt(id).unwrap().unwrap())
        .collect();
    drop(ledger);
    let ledger = network.open(folder.path());
    let from_disk: Vec<_> = ids
        .iter()
        .map(|id| ledger.receipt(id).unwrap().unwrap())
        .collect();
    assert_eq!(from_memory, from_disk);
    from_memory
}

#[test]
fn a_receipt_proves_the_verdict_whichever_it_was() {
    let network = Network::new();
    let receipts = receipts(&network);
    let codes: Vec<_> = receipts.iter().map(|receipt| receipt.code).collect();
    assert_eq!(
        codes,
        [ValidationCode::Valid, ValidationCode::MvccReadConflict]
    );
    for receipt in receipts {
        receipt
            .verify(&network.id(), network.genesis.attesters())
            .unwrap();
        let json = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
        let elsewhere = receipt.verify(&Digest::ZERO, network.genesis.attesters());
        assert!(matches!(elsewhere, Err(ReceiptError::Certificate { .. })));
    }
}

#[test]
fn a_receipt_with_any_byte_altered_proves_nothing() {
    let network = Network::new();
    for receipt in receipts(&network) {
        let bytes = receipt.to_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[at] ^= 1 << bit;
                if let Ok(receipt) = Receipt::from_bytes(&altered) {
                    let verdict = receipt.verify(&network.id(), network.genesis.attesters());
                    assert!(verdict.is_err(), "byte {at}, bit {bit}");
                }
            }
            assert!(Receipt::from_bytes(&bytes[..at]).is_err());
        }
    }
}

/// It says that the id stands in the chain already, and not what became of it: who
/// asked for that must not take a transaction for void that took effect.
#[test]
fn the_receipt_of_what_came_again_is_that_of_its_place_alone() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    let id = network.put(1, "a", b"1").proposal.id();
    let place = Locator::Place(Version { block: 2, index: 2 });
    let first = ledger.receipt(&id).unwrap().unwrap();
    let again = ledger.receipt(place).unwrap().unwrap();
    assert_eq!(first.code, ValidationCode::Valid);
    assert_eq!(again.code, ValidationCode::DuplicateTransaction);
    assert_eq!(again.transaction_id, id);
    let attesters = network.genesis.attesters();
    assert_eq!(again.verify(&network.id(), attesters), Ok(()));
    assert!(first.is_of(Locator::Id(id)) && again.is_of(place));
    assert!(!again.is_of(Locator::Id(id)));
}

#[test]
fn there_is_no_receipt_before_the_block_is_attested() {
    let (network, folder) = (Network::new(), tempfile::tempdir().unwrap());
    let ledger = network.open(folder.path());
    let transaction = network.put(1, "a", b"1");
    let id = transaction.proposal.id();
    assert_eq!(ledger.receipt(&id).unwrap(), None);
    let committed = network.commit(&ledger, &[transaction]);
    assert_eq!(ledger.receipt(&id).unwrap(), None);
    let certificate = network.certificate(&[0, 1], 1, &committed.hash);
    ledger.put_certificate(1, &certificate).unwrap();
    assert!(ledger.receipt(&id).unwrap().is_some());
}

#[test]
fn a_certificate_takes_a_quorum_of_distinct_known_signers_of_this_very_block() {
    let network = Network::new();
    let hash = Digest([5; 32]);
    let check = |signers: &[u32], number, signed: &Digest| {
        let certificate = network.certificate(signers, number, signed);
        let attesters = network.genesis.attesters();
        attesters.verify(&certificate, &network.id(), 7, &hash)
    };
    assert_eq!(check(&[0, 2], 7, &hash), Ok(()));
    assert_eq!(check(&[0, 1, 2], 7, &hash), Ok(()));
    let few = CertificateError::TooFew {
        found: 1,
        quorum: 2,
    };
    assert_eq!(check(&[1], 7, &hash), Err(few));
    let twice = CertificateError::NotAscending { signer: 1 };
    assert_eq!(check(&[1, 1], 7, &hash), Err(twice.clone()));
    assert_eq!(check(&[2, 1], 7, &hash), Err(twice));
    let bad = |signer| Err(CertificateError::BadSignature { signer });
    assert_eq!(check(&[0, 1], 8, &hash), bad(0));
    assert_eq!(check(&[0, 1], 7, &Digest::ZERO), bad(0));

    let mut foreign = network.certificate(&[0, 1], 7, &hash);
    foreign.signatures[1].0 = 3;
    let verdict = network
        .genesis
        .attesters()
        .verify(&foreign, &network.id(), 7, &hash);
    let unknown = CertificateError::UnknownSigner {
        signer: 3,
        attesters: 3,
    };
    assert_eq!(verdict, Err(unknown));
    foreign.signatures[1].0 = 2;
    let verdict = network
        .genesis
        .attesters()
        .verify(&foreign, &network.id(), 7, &hash);
    assert_eq!(verdict, bad(2));
}
