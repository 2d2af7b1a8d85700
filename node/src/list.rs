//! Lists of byte strings: the canonical encoding of `Vec<Vec<u8>>`, written with
//! one copy and read with none.

use tokio_util::bytes::{Buf as _, BufMut as _, Bytes};

/// How many bytes stand before the list and before each of its parts.
const LENGTH_BYTES: usize = 8;

/// Why bytes are no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoList {
    /// They end within it.
    #[error("a list of byte strings ends before its end")]
    Short,
    /// Something follows it.
    #[error("{0} bytes after a list of byte strings")]
    Trailing(usize),
}

/// The bytes of a list of these.
pub(crate) fn encode<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let lengths = parts.clone().map(|part| LENGTH_BYTES + part.len());
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + lengths.sum::<usize>());
    bytes.put_u64_le(parts.clone().count() as u64);
    for part in parts {
        bytes.put_u64_le(part.len() as u64);
        bytes.put_slice(part);
    }
    bytes
}

/// The parts of a list, which share its memory. No more is reserved than the
/// bytes can hold.
///
/// # Errors
///
/// [`NoList`].
pub(crate) fn decode(bytes: &Bytes) -> Result<Vec<Bytes>, NoList> {
    let mut rest = bytes.clone();
    let count = take_length(&mut rest)?;
    if count > rest.len() / LENGTH_BYTES {
        return Err(NoList::Short);
    }
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let length = take_length(&mut rest)?;
        if length > rest.len() {
            return Err(NoList::Short);
        }
        parts.push(rest.split_to(length));
    }
    match rest.len() {
        0 => Ok(parts),
        left => Err(NoList::Trailing(left)),
    }
}

fn take_length(rest: &mut Bytes) -> Result<usize, NoList> {
    let length = rest.try_get_u64_le().map_err(|_| NoList::Short)?;
    // What does not fit into a `usize` is longer than what is there.
    usize::try_from(length).map_err(|_| NoList::Short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Two encodings of one list would be one too many.
        #[test]
        fn it_is_the_canonical_encoding(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)
        ) {
            let bytes = encode(parts.iter().map(Vec::as_slice));
            prop_assert_eq!(&bytes, &crypto::encode(&parts));
            prop_assert_eq!(decode(&bytes.into()).unwrap(), parts);
        }

        #[test]
        fn any_bytes_are_a_list_or_refused_as_the_codec_does(
            count in 0..3_u64,
            rest in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..64),
        ) {
            let bytes = [&count.to_le_bytes()[..], &rest].concat();
            let expected = crypto::decode::<Vec<Vec<u8>>>(&bytes, bytes.len());
            let found = decode(&Bytes::from(bytes));
            prop_assert_eq!(found.ok().map(|parts| parts.iter().map(|part| part.to_vec()).collect()), expected.ok());
        }
    }

    #[test]
    fn an_announced_number_reserves_nothing() {
        let bytes = Bytes::copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(decode(&bytes), Err(NoList::Short));
    }
}
