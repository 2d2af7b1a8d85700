//! The published edge cases of Ed25519, single and batched.

use serde::Deserialize;

use super::*;
use crate::SigningKey;

#[derive(Deserialize)]
struct Vector {
    #[serde(alias = "pub_key")]
    key: String,
    #[serde(alias = "signature")]
    sig: String,
    #[serde(alias = "message")]
    msg: String,
}

impl Vector {
    fn claim(&self, message: &[u8]) -> Claim {
        let key = self.key.parse().unwrap();
        Claim::over_bytes(key, &self.sig.parse().unwrap(), message)
    }
}

/// 914 claims whose messages are text.
fn cctv() -> Vec<Claim> {
    let text = include_str!("../../tests/vectors/cctv-ed25519/ed25519vectors.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    vectors.iter().map(|v| v.claim(v.msg.as_bytes())).collect()
}

/// 12 claims whose messages are hexadecimal.
fn speccheck() -> Vec<Claim> {
    let text = include_str!("../../tests/vectors/ed25519-speccheck/cases.json");
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    let claim = |v: &Vector| v.claim(&hex::decode(&v.msg).unwrap());
    vectors.iter().map(claim).collect()
}

fn honest(seed: u8) -> Claim {
    let key = SigningKey::from_seed(&[seed; 32]);
    let signature = key.sign(Domain::Commit, &NetworkId::ZERO, b"honest");
    Claim::new(
        key.public(),
        &signature,
        Domain::Commit,
        &NetworkId::ZERO,
        b"honest",
    )
}

#[test]
fn cctv_accepts_826_of_914_single_and_batched_alike() {
    let claims = cctv();
    assert_eq!(claims.len(), 914);
    let failed_alone: Vec<usize> = (0..claims.len())
        .filter(|&at| claims[at].verify().is_err())
        .collect();
    assert_eq!(claims.len() - failed_alone.len(), 826);
    assert_eq!(verify_batch(&claims), failed_alone);
}

/// What dalek's batch verifier fails at: a verdict that changes with the neighbour.
#[test]
fn a_verdict_does_not_depend_on_the_other_signature_of_the_batch() {
    let claims = cctv();
    for (at, claim) in claims.iter().enumerate() {
        let bad: &[usize] = if claim.verify().is_ok() { &[] } else { &[1] };
        assert_eq!(verify_batch(&[honest(1), claim.clone()]), bad, "{at}");
        let neighbour = &claims[(at + 457) % claims.len()];
        let expected: Vec<usize> = [claim, neighbour]
            .iter()
            .enumerate()
            .filter_map(|(at, claim)| claim.verify().is_err().then_some(at))
            .collect();
        assert_eq!(
            verify_batch(&[claim.clone(), neighbour.clone()]),
            expected,
            "{at}"
        );
    }
}

#[test]
fn speccheck_accepts_what_zip_215_accepts() {
    let claims = speccheck();
    let accepted: Vec<usize> = (0..claims.len())
        .filter(|&at| claims[at].verify().is_ok())
        .collect();
    assert_eq!(accepted, [0, 1, 2, 3, 4, 5, 9, 10, 11]);
    assert_eq!(verify_batch(&claims), [6, 7, 8]);
}

#[test]
fn a_batch_names_exactly_the_bad_claims() {
    let mut claims: Vec<Claim> = (0..64).map(honest).collect();
    assert_eq!(verify_batch(&claims), Vec::<usize>::new());
    let key = SigningKey::from_seed(&[3; 32]);
    let signature = key.sign(Domain::Commit, &NetworkId::ZERO, b"honest");
    for at in [0, 31, 32, 63] {
        let (domain, network) = (Domain::Prepare, NetworkId::ZERO);
        claims[at] = Claim::new(key.public(), &signature, domain, &network, b"honest");
    }
    assert_eq!(verify_batch(&claims), [0, 31, 32, 63]);
    assert_eq!(verify_batch(&[]), Vec::<usize>::new());
}

/// A signature for one purpose, network or message verifies for no other.
#[test]
fn a_signature_serves_one_domain_one_network_one_message() {
    let key = SigningKey::from_seed(&[5; 32]);
    let here = crate::Digest([1; 32]);
    let there = crate::Digest([2; 32]);
    for signed in Domain::ALL {
        let signature = key.sign(signed, &here, b"body");
        let verify = |domain, network: &NetworkId, body: &[u8]| {
            Claim::new(key.public(), &signature, domain, network, body)
                .verify()
                .is_ok()
        };
        for shown in Domain::ALL {
            assert_eq!(verify(shown, &here, b"body"), shown == signed);
        }
        assert!(!verify(signed, &there, b"body"));
        assert!(!verify(signed, &here, b"bodY"));
    }
}
