//! Whoever follows headers believes a quorum and nobody else.

mod common;

use common::Network;
use crypto::Digest;
use ledger::{AttestedHeader, LightClient, LightError};

/// The headers of a small chain, each with its certificate.
fn headers(network: &Network) -> Vec<AttestedHeader> {
    let folder = tempfile::tempdir().unwrap();
    let ledger = network.open(folder.path());
    network.small_chain(&ledger);
    let stored = (1..=ledger.tip().number).map(|number| ledger.stored_block(number).unwrap());
    let stored = stored.flatten().map(|stored| AttestedHeader {
        header: stored.block.header,
        certificate: stored.certificate,
    });
    stored.collect()
}

#[test]
fn a_chain_is_followed_from_genesis_alone() {
    let network = Network::new();
    let headers = headers(&network);
    let mut light = LightClient::new(&network.genesis);
    assert_eq!(light.follow(&headers[..1]), Ok(1));
    assert_eq!(light.follow(&headers[1..]), Ok(3));
    assert_eq!(light.hash(), headers[3].header.hash());
    let mut later = LightClient::resume(&network.genesis, headers[1].header.clone());
    assert_eq!(later.follow(&headers[2..]), Ok(2));
    assert_eq!(later.hash(), light.hash());
}

#[test]
fn a_header_without_a_certificate_waits_for_a_descendant_that_has_one() {
    let network = Network::new();
    let mut headers = headers(&network);
    headers[2].certificate = None;
    headers[3].certificate = None;
    let mut light = LightClient::new(&network.genesis);
    assert_eq!(light.follow(&headers), Ok(2));
    assert_eq!(light.header().number, 2);
    headers[0].certificate = None;
    let mut light = LightClient::new(&network.genesis);
    assert_eq!(light.follow(&headers), Ok(2));
}

#[test]
fn nothing_of_a_header_can_be_changed() {
    let network = Network::new();
    let headers = headers(&network);
    let all: [fn(&mut AttestedHeader); 8] = [
        |of| of.header.number += 1,
        |of| of.header.sequence += 1,
        |of| of.header.previous_hash = Digest([9; 32]),
        |of| of.header.transactions_root = Digest([9; 32]),
        |of| of.header.results_root = Digest([9; 32]),
        |of| of.header.state_digest = Digest([9; 32]),
        |of| of.header.timestamp_ms += 1,
        |of| of.certificate.as_mut().unwrap().signatures.truncate(1),
    ];
    for (number, change) in all.iter().enumerate() {
        let mut changed = headers.clone();
        change(&mut changed[1]);
        let mut light = LightClient::new(&network.genesis);
        assert!(light.follow(&changed).is_err(), "change {number}");
        assert_eq!(light.header().number, 1, "what held before stays");
    }
    // Without certificates nobody is believed, however well it is linked.
    let bare = headers.iter().cloned();
    let bare = bare.map(|of| AttestedHeader {
        certificate: None,
        ..of
    });
    let mut light = LightClient::new(&network.genesis);
    assert_eq!(light.follow(&bare.collect::<Vec<_>>()), Ok(0));
    let mut light = LightClient::new(&network.genesis);
    let error = light.follow(&headers[1..]).unwrap_err();
    assert!(matches!(
        error,
        LightError::OutOfOrder {
            expected: 1,
            found: 2,
            ..
        }
    ));
}

#[test]
fn another_network_of_the_same_replicas_is_another_chain() {
    let headers = headers(&Network::named(2));
    let mut light = LightClient::new(&Network::named(1).genesis);
    assert!(light.follow(&headers).is_err());
}
