//! What no replica could do without: every signature of a transaction checked once;
//! and what its endorsers cannot, to check the proposal and to sign. All that is
//! checked is checked in batches, as the nodes do it. Everything counts as signed by
//! itself, though clients and endorsers sign once for what comes together: what can be
//! saved so depends on the load, and the yardstick should not.

use std::time::Instant;

use crypto::{Claim, Digest, Domain, NetworkId, SigningKey, verify_batch};

/// How many signatures are checked together.
const BATCH: usize = 256;

/// How often each is measured; the fastest counts, for nothing makes it faster
/// than it is.
const ROUNDS: usize = 9;

/// Distinct clients of a batch, and endorsers.
const CLIENTS: u8 = 10;
const ENDORSERS: u8 = 4;

const NETWORK: NetworkId = Digest([7; 32]);

/// As long as a usual transaction.
const BODY: usize = 1024;

/// The floor in microseconds of processor time per transaction, over all nodes.
pub(super) fn measure(nodes: usize, endorsements: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are few nodes")]
    let nodes = nodes as f64;
    let signature = batched();
    nodes * signature * (1.0 + endorsements) + endorsements * (signature + signing())
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn claim(key: &SigningKey, number: usize) -> Claim {
    let mut body = vec![0; BODY];
    body[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let signature = key.sign(Domain::Endorsement, &NETWORK, &body);
    Claim::new(
        key.public(),
        &signature,
        Domain::Endorsement,
        &NETWORK,
        &body,
    )
}

/// Microseconds per signature, of clients and endorsers in equal parts.
fn batched() -> f64 {
    let signers: Vec<SigningKey> = (0..CLIENTS + ENDORSERS).map(key).collect();
    let claims: Vec<Claim> = (0..BATCH)
        .map(|number| {
            let signer = match number % 2 {
                0 => number / 2 % usize::from(CLIENTS),
                _ => usize::from(CLIENTS) + number / 2 % usize::from(ENDORSERS),
            };
            claim(&signers[signer], number)
        })
        .collect();
    fastest(BATCH, || {
        assert!(verify_batch(&claims).is_empty(), "all of them hold");
    })
}

fn signing() -> f64 {
    let key = key(1);
    fastest(1, || {
        std::hint::black_box(key.sign(Domain::Endorsement, &NETWORK, &[0; BODY]));
    })
}

/// Microseconds per part of the work.
fn fastest(parts: usize, work: impl Fn()) -> f64 {
    let seconds = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_secs_f64()
    });
    #[expect(clippy::cast_precision_loss, reason = "there are few parts")]
    let parts = parts as f64;
    seconds.fold(f64::INFINITY, f64::min) * 1e6 / parts
}
