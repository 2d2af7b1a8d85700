//! The peers of this node: who they are, and what stands between this node and
//! each of them just now.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crypto::PublicKey;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId as TransportId};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::allowance::Allowance;

use super::config::{Limits, NetworkConfig, Peer};
use super::counters::Counters;
use super::error::NetworkError;
use super::hello::Hello;
use super::inbox::{InboxSender, Share};
use super::outgoing::{Lane, Queued, lane};
use super::protocol::{Class, PeerId};
use super::request::InboundRequest;
use super::seldom::Seldom;
use super::substreams::Opener;
use super::transport::transport_id;

/// For how long no stream of a peer is taken that broke the rules of framing: at
/// first, and at the longest. No correct replica breaks them.
const MIN_BAR: Duration = Duration::from_secs(1);
const MAX_BAR: Duration = Duration::from_mins(1);

/// What a peer that broke the rules of framing has to wait for.
#[derive(Debug, Default)]
struct Bar {
    until: Option<Instant>,
    /// The last bar, if the peer has not kept the rules for long since.
    length: Duration,
}

impl Bar {
    /// Twice as long as the last time.
    fn begin(&mut self, now: Instant) {
        let kept = self.until.map(|until| now.saturating_duration_since(until));
        let forgiven = kept.is_none_or(|kept| kept >= MAX_BAR);
        let last = if forgiven {
            Duration::ZERO
        } else {
            self.length
        };
        self.length = last.saturating_mul(2).clamp(MIN_BAR, MAX_BAR);
        self.until = Some(now + self.length);
    }

    fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}

/// One peer.
pub(super) struct PeerState {
    /// Its number.
    pub(super) id: PeerId,
    /// Its identity on the wire.
    pub(super) transport: TransportId,
    /// Where to dial it.
    pub(super) addresses: Vec<Multiaddr>,
    /// The connection to use: the newest.
    connection: watch::Sender<Option<ConnectionId>>,
    /// Whether both sides have agreed to belong together.
    agreed: AtomicBool,
    /// A partition for a test runs between it and this node.
    cut: AtomicBool,
    lanes: [Lane; 2],
    shares: [Share; 2],
    /// Room for requests to it.
    pub(super) requesting: Semaphore,
    /// Room for requests of it, served or waiting.
    pub(super) requests: Arc<Semaphore>,
    /// Room for those that are served.
    pub(super) serving: Semaphore,
    /// How much of this node's work for its requests is left to it.
    served: Mutex<Allowance>,
    served_per_second: u64,
    bar: Mutex<Bar>,
    /// Lines about what it does wrong.
    pub(super) complaints: Seldom,
}

/// The frames that wait for one peer and class: where they come out.
pub(super) struct Outlet {
    pub(super) peer: Arc<PeerState>,
    pub(super) class: Class,
    pub(super) frames: Queued,
}

impl PeerState {
    fn new(peer: &Peer, transport: TransportId, limits: &Limits) -> (Arc<Self>, [Outlet; 2]) {
        let make = || lane(limits.max_queued_frames, limits.max_queued_bytes);
        let share = || Share::new(limits.max_inbox_bytes_per_peer);
        let ((consensus, for_consensus), (transactions, for_transactions)) = (make(), make());
        let state = Arc::new(Self {
            id: peer.id,
            transport,
            addresses: peer.addresses.clone(),
            connection: watch::Sender::new(None),
            agreed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            lanes: [consensus, transactions],
            shares: [share(), share()],
            requesting: Semaphore::new(limits.max_requests_per_peer),
            requests: Arc::new(Semaphore::new(2 * limits.max_served_per_peer)),
            serving: Semaphore::new(limits.max_served_per_peer),
            served: Mutex::default(),
            served_per_second: limits.max_served_bytes_per_second,
            bar: Mutex::default(),
            complaints: Seldom::default(),
        });
        let outlet = |class, frames| Outlet {
            peer: Arc::clone(&state),
            class,
            frames,
        };
        let outlets = [
            outlet(Class::Consensus, for_consensus),
            outlet(Class::Transactions, for_transactions),
        ];
        (state, outlets)
    }

    /// The connection to use now.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        *self.connection.borrow()
    }

    /// Tells of every change of that connection.
    pub(super) fn connections(&self) -> watch::Receiver<Option<ConnectionId>> {
        self.connection.subscribe()
    }

    /// From now on this connection is used.
    pub(super) fn use_connection(&self, connection: Option<ConnectionId>) {
        self.connection.send_if_modified(|current| {
            let changed = *current != connection;
            *current = connection;
            changed
        });
    }

    /// Whether frames reach it.
    pub(super) fn is_agreed(&self) -> bool {
        self.agreed.load(Ordering::Relaxed)
    }

    pub(super) fn set_agreed(&self, agreed: bool) {
        self.agreed.store(agreed, Ordering::Relaxed);
    }

    /// Whether nothing is to be sent to it.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    /// Waits until the requests of this peer that were served have had their
    /// time, and counts another one of so many bytes.
    pub(super) async fn await_serving(&self, bytes: usize) {
        let until = self.served().rests_until(Instant::now());
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
        }
        self.charge_serving(bytes);
    }

    /// Counts so many bytes of work for its requests.
    pub(super) fn charge_serving(&self, bytes: usize) {
        let (bytes, now) = (bytes as u64, Instant::now());
        self.served().charge(bytes, self.served_per_second, now);
    }

    fn served(&self) -> MutexGuard<'_, Allowance> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It broke the rules of framing: for a while none of its streams is taken.
    pub(super) fn begin_bar(&self) {
        self.bar().begin(Instant::now());
    }

    /// Whether none of its streams is taken now.
    pub(super) fn is_barred(&self) -> bool {
        self.bar().holds(Instant::now())
    }

    fn bar(&self) -> MutexGuard<'_, Bar> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lane(&self, class: Class) -> &Lane {
        &self.lanes[class.index()]
    }

    pub(super) fn share(&self, class: Class) -> &Share {
        &self.shares[class.index()]
    }
}

/// All peers.
pub(super) struct Peers {
    by_id: BTreeMap<PeerId, Arc<PeerState>>,
}

impl Peers {
    /// Checks the list of replicas against itself and against the key at hand.
    pub(super) fn new(config: &NetworkConfig) -> Result<(Self, Vec<Outlet>), NetworkError> {
        let own = config.transport_key.public();
        let mut seen: HashMap<PublicKey, PeerId> = HashMap::from([(own, config.local)]);
        let mut by_id = BTreeMap::new();
        let mut outlets = Vec::new();
        let mut own_listed = false;
        for peer in &config.peers {
            let ambiguous = || NetworkError::Ambiguous { peer: peer.id };
            if peer.id == config.local {
                if peer.transport_key != own {
                    return Err(NetworkError::NotOwnKey {
                        local: config.local,
                        own,
                        listed: peer.transport_key,
                    });
                }
                if std::mem::replace(&mut own_listed, true) {
                    return Err(ambiguous());
                }
                continue;
            }
            let key = peer.transport_key;
            let bad = || NetworkError::BadTransportKey { peer: peer.id, key };
            let transport = transport_id(&key).ok_or_else(bad)?;
            let (state, both) = PeerState::new(peer, transport, &config.limits);
            let id_taken = by_id.insert(peer.id, state).is_some();
            let key_taken = seen.insert(key, peer.id).is_some();
            if id_taken || key_taken {
                return Err(ambiguous());
            }
            outlets.extend(both);
        }
        Ok((Self { by_id }, outlets))
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Arc<PeerState>> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<PeerState>> {
        self.by_id.values()
    }
}

/// What every task and every handle shares.
pub(super) struct Shared {
    pub(super) peers: Peers,
    pub(super) hello: Hello,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) stop: CancellationToken,
}

/// What every task is wired to besides. Handles do not have it: the inboxes
/// end when the tasks do.
#[derive(Clone)]
pub(super) struct Wiring {
    pub(super) shared: Arc<Shared>,
    pub(super) opener: Opener,
    pub(super) inboxes: [InboxSender; 2],
    pub(super) requests: tokio::sync::mpsc::Sender<InboundRequest>,
}

impl Wiring {
    pub(super) fn inbox(&self, class: Class) -> &InboxSender {
        &self.inboxes[class.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_doubles_up_to_its_longest_and_is_forgiven_after_that_long() {
        let mut bar = Bar::default();
        let mut now = Instant::now();
        assert!(!bar.holds(now));
        let lengths: Vec<u64> = (0..8)
            .map(|_| {
                bar.begin(now);
                assert!(bar.holds(now));
                now += bar.length;
                assert!(!bar.holds(now));
                bar.length.as_secs()
            })
            .collect();
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60]);
        bar.begin(now + MAX_BAR);
        assert_eq!(bar.length, MIN_BAR);
    }
}
