//! Bundles: payloads that came to one node one after the other, ordered as one.
//!
//! ```text
//! origin (4, big-endian) ‖ number (8, big-endian) ‖ frame ‖ frame ...
//! ```
//!
//! The frames are those that came from the client, untouched, at least one and
//! none of them empty. Origin and number make bundles of the same payloads differ.

use consensus::{ReplicaId, RequestDigest};
use crypto::{Domain, PublicKey};
use ledger::{Ledger, LedgerError};
use tokio_util::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::request::Request;

/// How many bytes stand before the payloads.
pub(super) const HEAD_BYTES: usize = 12;

/// How many bytes announce the length of a payload.
const LENGTH_BYTES: usize = 4;

/// What is ordered where nothing but ordering is asked for.
#[derive(Debug)]
pub(crate) struct Bundle {
    digest: RequestDigest,
    bytes: Bytes,
    payloads: u64,
}

/// The payloads at the beginning of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// How many are whole.
    pub(super) payloads: u64,
    /// How many bytes they have, lengths included.
    pub(super) bytes: usize,
    /// What comes next, if its length is there.
    pub(super) next: Option<usize>,
}

impl Whole {
    /// Counts on where it stopped. An empty payload ends it, one that is longer than
    /// `longest`, and one with which it would have more than `most` bytes, unless that
    /// is the first.
    pub(super) fn count(mut self, bytes: &[u8], longest: usize, most: usize) -> Self {
        loop {
            let rest = &bytes[self.bytes..];
            let length = rest.first_chunk::<LENGTH_BYTES>();
            let length = length.map(|length| u32::from_be_bytes(*length));
            // Where it does not fit, it is longer than anything allowed.
            self.next = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
            match self.next {
                Some(next)
                    if (1..=longest.min(rest.len() - LENGTH_BYTES)).contains(&next)
                        && !self.is_full(most) =>
                {
                    self.payloads += 1;
                    self.bytes += LENGTH_BYTES + next;
                }
                _ => return self,
            }
        }
    }

    /// Whether the next payload would make it longer than that.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let with = |next: usize| self.bytes.saturating_add(LENGTH_BYTES).saturating_add(next);
        self.payloads > 0 && self.next.is_some_and(|next| with(next) > most)
    }
}

/// The beginning of a bundle.
pub(super) fn head(origin: ReplicaId, number: u64, room: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + room);
    bytes.put_u32(origin.0);
    bytes.put_u64(number);
    bytes
}

impl Bundle {
    /// The bundle that these bytes are; none where they are none.
    pub(super) fn parse(bytes: Bytes) -> Option<Self> {
        let mut payloads = bytes.clone();
        if payloads.len() < HEAD_BYTES {
            return None;
        }
        payloads.advance(HEAD_BYTES);
        let whole = Whole::default().count(&payloads, usize::MAX, usize::MAX);
        (whole.payloads > 0 && whole.bytes == payloads.len()).then(|| Self {
            digest: Self::digest_of(&bytes),
            payloads: whole.payloads,
            bytes,
        })
    }

    /// How many payloads it has.
    pub(super) fn payloads(&self) -> u64 {
        self.payloads
    }

    /// Its bytes, shared.
    pub(super) fn shared(&self) -> &Bytes {
        &self.bytes
    }
}

impl Request for Bundle {
    type Id = RequestDigest;

    fn id(&self) -> RequestDigest {
        self.digest
    }

    fn digest(&self) -> RequestDigest {
        self.digest
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn creator(&self) -> Option<&PublicKey> {
        None
    }

    fn digest_of(bytes: &[u8]) -> RequestDigest {
        RequestDigest(Domain::Bundle.hash(bytes))
    }

    fn read_back(
        kept: &[impl AsRef<[u8]>],
        _network: &crypto::NetworkId,
        _limits: &ledger::Limits,
    ) -> Result<Vec<Self>, String> {
        let parse = |bytes: &_| Self::parse(Bytes::copy_from_slice(AsRef::as_ref(bytes)));
        let parsed: Option<Vec<Self>> = kept.iter().map(parse).collect();
        parsed.ok_or_else(|| "no bundle of payloads".to_owned())
    }

    /// There is no chain but the one that is folded in memory, from the beginning.
    fn is_in(&self, _ledger: &Ledger) -> Result<bool, LedgerError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(number: u64, payloads: &[&[u8]]) -> Bytes {
        let mut bytes = head(ReplicaId(1), number, 0);
        for payload in payloads {
            bytes.put_u32(u32::try_from(payload.len()).unwrap());
            bytes.put_slice(payload);
        }
        bytes.freeze()
    }

    #[test]
    fn a_bundle_is_whole_payloads_and_nothing_else() {
        let sound = bundle(1, &[b"one", b"two"]);
        let parsed = Bundle::parse(sound.clone()).unwrap();
        assert_eq!(parsed.payloads(), 2);
        assert_eq!(parsed.bytes(), &sound);
        for end in 0..sound.len() {
            let cut = Bundle::parse(sound.slice(..end));
            assert_eq!(cut.map(|it| it.payloads()), (end == 19).then_some(1));
        }
        assert!(Bundle::parse(bundle(1, &[])).is_none());
        assert!(Bundle::parse(bundle(1, &[b"one", b""])).is_none());
        let longer = [&sound[..], &u32::MAX.to_be_bytes()].concat();
        assert!(Bundle::parse(longer.into()).is_none());
    }

    #[test]
    fn the_same_payloads_again_are_another_bundle() {
        let parse = |number| Bundle::parse(bundle(number, &[b"one"])).unwrap();
        assert_eq!(parse(1).digest(), parse(1).digest());
        assert_ne!(parse(1).digest(), parse(2).digest());
    }
}
