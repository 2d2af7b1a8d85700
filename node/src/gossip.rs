//! Transactions on their way between replicas: a frame is a list of them.

use std::sync::Arc;

use crypto::codec::{self, CodecError};
use ledger::CheckedTransaction;
use tokio_util::bytes::Bytes;

use crate::network::{Class, NetworkHandle, PeerId};

/// The longest frame this node makes, in bytes, unless one transaction alone is longer.
const FRAME_BYTES: usize = 1024 * 1024;

/// The transactions of a frame, not yet looked at.
///
/// # Errors
///
/// When the frame is no list of byte strings.
pub(crate) fn decode(frame: &[u8]) -> Result<Vec<Vec<u8>>, CodecError> {
    codec::decode(frame, frame.len())
}

/// Sends transactions to every other replica.
pub(crate) fn broadcast(network: &NetworkHandle, transactions: &[Bytes]) {
    for frame in frames(transactions) {
        network.broadcast(Class::Transactions, frame);
    }
}

/// Sends transactions to one replica.
pub(crate) fn send_to(
    network: &NetworkHandle,
    to: PeerId,
    transactions: &[Arc<CheckedTransaction>],
) {
    let bytes: Vec<Bytes> = transactions
        .iter()
        .map(|transaction| Bytes::copy_from_slice(transaction.bytes()))
        .collect();
    for frame in frames(&bytes) {
        network.send(to, Class::Transactions, frame);
    }
}

fn frames(transactions: &[Bytes]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut next: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0_usize;
    for transaction in transactions {
        if !next.is_empty() && bytes.saturating_add(transaction.len()) > FRAME_BYTES {
            frames.push(codec::encode(&std::mem::take(&mut next)).into());
            bytes = 0;
        }
        bytes = bytes.saturating_add(transaction.len());
        next.push(transaction.to_vec());
    }
    if !next.is_empty() {
        frames.push(codec::encode(&next).into());
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_given_is_in_the_frames_in_order_and_frames_stay_short() {
        let transactions: Vec<Bytes> = (0..10_u8).map(|i| vec![i; 300_000].into()).collect();
        let frames = frames(&transactions);
        assert!(frames.len() > 1);
        assert!(frames.iter().all(|frame| frame.len() < 2 * FRAME_BYTES));
        let received: Vec<Vec<u8>> = frames.iter().flat_map(|f| decode(f).unwrap()).collect();
        assert_eq!(received, transactions);
    }
}
