//! What is counted. Every refusal and every loss has a number among the node's
//! metrics, so that an operator sees it without reading logs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::protocol::Class;

/// A number that only grows.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, amount: usize) {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted per class of frames.
#[derive(Debug, Default)]
struct FrameCounts {
    sent: Count,
    sent_bytes: Count,
    received: Count,
    received_bytes: Count,
    dropped: Count,
}

/// The numbers of one class, as they were when asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounters {
    /// Frames given to the transport.
    pub sent: u64,
    /// Their payload in bytes.
    pub sent_bytes: u64,
    /// Frames taken from the transport.
    pub received: u64,
    /// Their payload in bytes.
    pub received_bytes: u64,
    /// Frames that were not sent: no connection, a full queue, or too long.
    pub dropped: u64,
}

/// Everything that the network counts.
#[derive(Debug, Default)]
pub struct Counters {
    frames: [FrameCounts; 2],
    strangers_refused: Count,
    connections_over_limit: Count,
    handshakes_failed: Count,
    hellos_refused: Count,
    broken_streams: Count,
    requests_served: Count,
    requests_refused: Count,
}

impl Counters {
    /// The frames of one class.
    #[must_use]
    pub fn frames(&self, class: Class) -> FrameCounters {
        let counts = &self.frames[class.index()];
        FrameCounters {
            sent: counts.sent.get(),
            sent_bytes: counts.sent_bytes.get(),
            received: counts.received.get(),
            received_bytes: counts.received_bytes.get(),
            dropped: counts.dropped.get(),
        }
    }

    /// Connections refused because the key is not a replica's.
    #[must_use]
    pub fn strangers_refused(&self) -> u64 {
        self.strangers_refused.get()
    }

    /// Connections refused because there were too many.
    #[must_use]
    pub fn connections_over_limit(&self) -> u64 {
        self.connections_over_limit.get()
    }

    /// Connections that came and did not get through the handshake.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.get()
    }

    /// Streams closed because the peer is of another network or version.
    #[must_use]
    pub fn hellos_refused(&self) -> u64 {
        self.hellos_refused.get()
    }

    /// Streams closed because the peer broke the rules of framing.
    #[must_use]
    pub fn broken_streams(&self) -> u64 {
        self.broken_streams.get()
    }

    /// Requests of peers that were responded to.
    #[must_use]
    pub fn requests_served(&self) -> u64 {
        self.requests_served.get()
    }

    /// Requests of peers that were not.
    #[must_use]
    pub fn requests_refused(&self) -> u64 {
        self.requests_refused.get()
    }

    pub(super) fn count_sent(&self, class: Class, frames: usize, bytes: usize) {
        let counts = &self.frames[class.index()];
        counts.sent.add(frames);
        counts.sent_bytes.add(bytes);
    }

    pub(super) fn count_received(&self, class: Class, bytes: usize) {
        let counts = &self.frames[class.index()];
        counts.received.add(1);
        counts.received_bytes.add(bytes);
    }

    pub(super) fn count_dropped(&self, class: Class, frames: usize) {
        self.frames[class.index()].dropped.add(frames);
    }

    pub(super) fn count_stranger(&self) {
        self.strangers_refused.add(1);
    }

    pub(super) fn count_over_limit(&self) {
        self.connections_over_limit.add(1);
    }

    pub(super) fn count_failed_handshake(&self) {
        self.handshakes_failed.add(1);
    }

    pub(super) fn count_refused_hello(&self) {
        self.hellos_refused.add(1);
    }

    pub(super) fn count_broken_stream(&self) {
        self.broken_streams.add(1);
    }

    pub(super) fn count_served(&self) {
        self.requests_served.add(1);
    }

    pub(super) fn count_refused_request(&self) {
        self.requests_refused.add(1);
    }
}
