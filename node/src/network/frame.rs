//! Frames: four bytes of length, big-endian, and that many bytes.

use std::io;

use tokio_util::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// How many bytes announce the length.
pub(super) const HEADER_BYTES: usize = 4;

/// Why a stream holds no further frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length beyond what is allowed here.
    #[error("a frame of {length} bytes where {limit} are allowed")]
    TooLong {
        /// The announced length in bytes.
        length: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// The stream itself failed, or ended within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads and writes frames up to a limit.
///
/// The announced length is only ever compared: the buffer grows with the bytes
/// that arrive, so that nobody makes this node reserve memory by announcing.
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    limit: usize,
}

impl FrameCodec {
    /// A codec for frames of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Changes the limit for what comes next.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn check(self, length: usize) -> Result<(), FrameError> {
        if length <= self.limit {
            return Ok(());
        }
        Err(FrameError::TooLong {
            length,
            limit: self.limit,
        })
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(header) = source.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        self.check(length)?;
        if source.len() - HEADER_BYTES < length {
            return Ok(None);
        }
        source.advance(HEADER_BYTES);
        Ok(Some(source.split_to(length).freeze()))
    }
}

impl Encoder<&[u8]> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, payload: &[u8], target: &mut BytesMut) -> Result<(), FrameError> {
        self.check(payload.len())?;
        let length = u32::try_from(payload.len()).map_err(|_| FrameError::TooLong {
            length: payload.len(),
            limit: self.limit,
        })?;
        target.reserve(HEADER_BYTES + payload.len());
        target.put_u32(length);
        target.put_slice(payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    /// Feeds `bytes` in pieces of the given sizes and collects what comes out.
    fn decode_in_pieces(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Bytes>, FrameError> {
        let mut codec = FrameCodec::new(LIMIT);
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        let mut rest = bytes;
        let mut sizes = pieces.iter().copied().cycle();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
            let (piece, later) = rest.split_at(size);
            buffer.extend_from_slice(piece);
            rest = later;
            while let Some(frame) = codec.decode(&mut buffer)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            payloads in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 0..=LIMIT), 0..8),
            pieces in proptest::collection::vec(1..100_usize, 1..8),
        ) {
            let mut codec = FrameCodec::new(LIMIT);
            let mut bytes = BytesMut::new();
            for payload in &payloads {
                codec.encode(payload, &mut bytes).unwrap();
            }
            let frames = decode_in_pieces(&bytes, &pieces).unwrap();
            prop_assert_eq!(frames, payloads);
        }

        #[test]
        fn any_bytes_are_frames_within_the_limit_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            pieces in proptest::collection::vec(1..100_usize, 1..8),
        ) {
            match decode_in_pieces(&bytes, &pieces) {
                Ok(frames) => {
                    let taken: usize = frames.iter().map(|frame| frame.len() + HEADER_BYTES).sum();
                    prop_assert!(taken <= bytes.len());
                    prop_assert!(frames.iter().all(|frame| frame.len() <= LIMIT));
                }
                Err(FrameError::TooLong { length, limit }) => prop_assert!(length > limit),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut codec = FrameCodec::new(usize::MAX);
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 7][..]);
        let before = buffer.capacity();
        assert!(codec.decode(&mut buffer).unwrap().is_none());
        assert_eq!(buffer.capacity(), before);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_on_both_sides() {
        let mut codec = FrameCodec::new(3);
        let mut buffer = BytesMut::new();
        assert!(codec.encode(&[0; 4], &mut buffer).is_err());
        assert!(buffer.is_empty());
        let mut announced = BytesMut::from(&[0, 0, 0, 4][..]);
        let error = codec.decode(&mut announced).unwrap_err();
        let expected = "a frame of 4 bytes where 3 are allowed";
        assert_eq!(error.to_string(), expected);
    }
}
