//! The one canonical encoding: bincode 2, little-endian, fixed-width integers.
//!
//! Fixed width, because with variable-width integers two encodings decode to
//! one value, and what is hashed or signed must have one encoding only. For
//! the same reason no encoded type may contain a map or a set.
//!
//! bincode is no longer developed upstream: it is configured here and nowhere
//! else, so that it can be replaced here and nowhere else.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian, NoLimit};
use bincode::enc::EncoderImpl;
use bincode::enc::write::SizeWriter;
pub use bincode::{Decode, Encode};

const CONFIG: Configuration<LittleEndian, Fixint, NoLimit> = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding();

/// Why bytes were not the canonical encoding of a value.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the caller allows for this kind of value.
    #[error("expected at most {limit} bytes, found {found}")]
    TooLong {
        /// The caller's limit in bytes.
        limit: usize,
        /// What came, in bytes.
        found: usize,
    },
    /// Bytes that encode no value of the type.
    #[error("not a valid encoding: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// A value followed by bytes that belong to nothing.
    #[error("{0} trailing bytes after the value")]
    TrailingBytes(usize),
}

/// The canonical bytes of `value`.
///
/// # Panics
///
/// Never for the derived `Encode` implementations of this workspace, which
/// have no way to fail when they write into memory.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, CONFIG).expect("derived encoding into memory cannot fail")
}

/// How many canonical bytes `value` has.
///
/// # Panics
///
/// As [`encode`], never.
#[must_use]
pub fn encoded_length<T: Encode>(value: &T) -> usize {
    let mut counting = EncoderImpl::new(SizeWriter::default(), CONFIG);
    let counted = value.encode(&mut counting);
    counted.expect("a derived encoding that is only counted cannot fail");
    counting.into_writer().bytes_written
}

/// The value whose canonical encoding `bytes` is.
///
/// Memory is bounded by the input: a decoder may claim at most 64 times as
/// many bytes (rounded up to the next step below) as it was given, which is
/// more than any in-memory form here needs and no more than a peer has paid for.
///
/// # Errors
///
/// When `bytes` is longer than `limit`, malformed, or has trailing bytes.
pub fn decode<T: Decode<()>>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    decode_with(bytes, limit, ())
}

/// Like [`decode`], with something that the type needs to be decoded, such as
/// what its signatures are held against.
///
/// # Errors
///
/// As [`decode`], and what `context` makes of the value.
pub fn decode_with<C, T: Decode<C>>(
    bytes: &[u8],
    limit: usize,
    context: C,
) -> Result<T, CodecError> {
    const MIB: usize = 1024 * 1024;
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            limit,
            found: bytes.len(),
        });
    }
    match bytes.len() {
        0..=1024 => decode_claiming::<C, T, 65_536>(bytes, context),
        1025..=16_384 => decode_claiming::<C, T, MIB>(bytes, context),
        16_385..=262_144 => decode_claiming::<C, T, { 16 * MIB }>(bytes, context),
        262_145..=4_194_304 => decode_claiming::<C, T, { 256 * MIB }>(bytes, context),
        _ => decode_claiming::<C, T, { 1024 * MIB }>(bytes, context),
    }
}

fn decode_claiming<C, T: Decode<C>, const CLAIM: usize>(
    bytes: &[u8],
    context: C,
) -> Result<T, CodecError> {
    let config: Configuration<LittleEndian, Fixint, Limit<CLAIM>> = CONFIG.with_limit::<CLAIM>();
    let (value, used) = bincode::decode_from_slice_with_context(bytes, config, context)?;
    match bytes.len() - used {
        0 => Ok(value),
        left => Err(CodecError::TrailingBytes(left)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Encode, Decode)]
    enum Sample {
        Unit,
        Pair(u64, Option<String>),
        Many {
            items: Vec<(u32, bool)>,
            tail: [u8; 4],
        },
    }

    fn sample() -> impl Strategy<Value = Sample> {
        prop_oneof![
            Just(Sample::Unit),
            (any::<u64>(), any::<Option<String>>()).prop_map(|(a, b)| Sample::Pair(a, b)),
            (any::<Vec<(u32, bool)>>(), any::<[u8; 4]>())
                .prop_map(|(items, tail)| Sample::Many { items, tail }),
        ]
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(value in sample()) {
            let bytes = encode(&value);
            prop_assert_eq!(encoded_length(&value), bytes.len());
            prop_assert_eq!(decode::<Sample>(&bytes, bytes.len()).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_canonical_or_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(value) = decode::<Sample>(&bytes, bytes.len()) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }

        #[test]
        fn a_mutated_encoding_is_canonical_or_refused(
            value in sample(), at in any::<prop::sample::Index>(), to in any::<u8>()
        ) {
            let mut bytes = encode(&value);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(value) = decode::<Sample>(&bytes, bytes.len()) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }

    #[test]
    fn trailing_bytes_and_long_input_are_refused() {
        let mut bytes = encode(&7_u64);
        assert!(matches!(
            decode::<u64>(&bytes, 7),
            Err(CodecError::TooLong { limit: 7, found: 8 })
        ));
        bytes.push(0);
        assert!(matches!(
            decode::<u64>(&bytes, 100),
            Err(CodecError::TrailingBytes(1))
        ));
    }

    /// A length prefix of 2^62 from a few bytes must fail before it allocates.
    #[test]
    fn a_huge_claimed_length_is_refused_without_allocation() {
        let bytes = encode(&(1_u64 << 62));
        assert!(matches!(
            decode::<Vec<u64>>(&bytes, 1024),
            Err(CodecError::Malformed(_))
        ));
    }
}
