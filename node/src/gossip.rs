//! Transactions on their way between replicas: a frame is a list of them.

use std::sync::Arc;

use tokio_util::bytes::Bytes;

use crate::list::{self, NoList};
use crate::network::{Class, NetworkHandle, PeerId};
use crate::request::Request;

/// The longest frame this node makes, in bytes, unless one transaction alone is longer.
const FRAME_BYTES: usize = 1024 * 1024;

/// The transactions of a frame, not yet looked at.
///
/// # Errors
///
/// When the frame is no list of byte strings.
pub(crate) fn decode(frame: &Bytes) -> Result<Vec<Bytes>, NoList> {
    list::decode(frame)
}

/// Sends transactions to every other replica.
pub(crate) fn broadcast(network: &NetworkHandle, transactions: &[Bytes]) {
    for frame in frames(transactions) {
        network.broadcast(Class::Transactions, frame);
    }
}

/// Sends transactions to one replica.
pub(crate) fn send_to<R: Request>(network: &NetworkHandle, to: PeerId, transactions: &[Arc<R>]) {
    let bytes: Vec<&[u8]> = transactions.iter().map(|each| each.bytes()).collect();
    for frame in frames(&bytes) {
        network.send(to, Class::Transactions, frame);
    }
}

fn frames<T: AsRef<[u8]>>(transactions: &[T]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut rest = transactions;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fits = |each: &&T| {
            let first = bytes == 0;
            bytes = bytes.saturating_add(each.as_ref().len());
            first || bytes <= FRAME_BYTES
        };
        let count = rest.iter().take_while(fits).count();
        let (frame, later) = rest.split_at(count);
        frames.push(list::encode(frame.iter().map(AsRef::as_ref)).into());
        rest = later;
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
        let received: Vec<Bytes> = frames.iter().flat_map(|f| decode(f).unwrap()).collect();
        assert_eq!(received, transactions);
    }
}
