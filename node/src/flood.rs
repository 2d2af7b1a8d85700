//! A node that was told to flood the others, and does: with all that its links
//! take, whether or not anything happens on the network.
//!
//! The messages among it are those of [`consensus::byzantine`]; here are the junk
//! below and beside them, and the haste.

use std::time::{Duration, Instant};

use consensus::byzantine::{Byzantine, Mode, Modes};
use consensus::{Config, Message, SequenceNumber, View};
use crypto::{Digest, Domain, SharedSignature, SigningKey, encode};
use futures::future::join_all;
use ledger::{EndorsedAction, NO_EXPIRY, Proposal, ReadWriteSet, Response, Transaction};
use tokio::sync::watch;
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::fetch::{MAX_BLOCKS, MAX_TRANSACTIONS, Request};
use crate::network::{Class, NetworkHandle, PeerId};
use crate::services::ConsensusStatus;

/// How many frames wait for each peer: enough that its link never rests, few
/// enough that what the replica itself says still finds room.
const QUEUED: usize = 512;

/// And how many while they are bad: a receiver is long in digesting those.
const QUEUED_JUNK: usize = 8;

/// How often each frame is sent: making one must not take longer than reading it.
const TIMES: usize = 4;

/// How many transactions a frame of them has.
const TRANSACTIONS: u64 = 32;

/// A peer gets what is bad for so long, and then for the other turns what is only
/// of no use.
const TURN: Duration = Duration::from_secs(5);
const TURNS: u64 = 6;

/// How many requests to each peer are under way.
const REQUESTS: usize = 4;

/// The pause after a full queue or a request that was refused.
const BREATH: Duration = Duration::from_millis(2);

/// The time between two giants to each peer, and between two that are too long:
/// the receiver closes the stream of those.
const BETWEEN_GIANTS: Duration = Duration::from_millis(250);
const BETWEEN_BREACHES: Duration = Duration::from_secs(15);

/// What a giant message has besides its certificates.
const GIANT_SLACK: usize = 1024;

/// How long a peer may take for a response.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Flood {
    pub(crate) fault: watch::Receiver<Modes>,
    pub(crate) network: NetworkHandle,
    pub(crate) config: Config,
    pub(crate) key: SigningKey,
    pub(crate) consensus: watch::Receiver<ConsensusStatus>,
    /// When this node was started.
    pub(crate) begun: Instant,
}

impl Flood {
    /// Floods whenever it is told to, until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut fault = self.fault.clone();
        let floods = async {
            while fault.wait_for(Modes::flood).await.is_ok() {
                tokio::select! {
                    _ = fault.wait_for(|modes| !modes.flood()) => {}
                    () = self.flood() => {}
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = floods => stop.cancelled().await,
        }
    }

    async fn flood(&self) {
        let requests = (0..REQUESTS).flat_map(|from| {
            let peers = self.network.peers().into_iter();
            peers.map(move |peer| self.requests(peer.id, from))
        });
        tokio::join!(
            self.messages(),
            self.transactions(),
            self.giants(),
            self.breaches(),
            join_all(requests),
        );
    }

    fn byzantine(&self) -> Byzantine {
        let seed = u64::from(self.config.id.0);
        Byzantine::new(&self.config, self.key.clone(), Mode::Flood.into(), seed)
    }

    /// What is of no use, and of another peer at the same time what is bad.
    async fn messages(&self) {
        let mut byzantine = self.byzantine();
        let encoded = |junk: Vec<Message>| junk.iter().map(|it| it.encode().into()).collect();
        loop {
            let status = *self.consensus.borrow();
            let (view, high) = (View(status.view), SequenceNumber(status.high_watermark));
            let (useless, junk) = (byzantine.useless(view, high), byzantine.junk(view, high));
            self.offer(Class::Consensus, encoded(useless), encoded(junk))
                .await;
        }
    }

    /// Transactions that a stranger has signed, and such as nobody has.
    async fn transactions(&self) {
        let stranger = SigningKey::from_seed(&[0x5a; 32]);
        let (network, domain) = (&self.config.network, Domain::Batch);
        let junk = SharedSignature::of_one(Digest::ZERO, domain, network, &stranger);
        for drawn in 0_u64.. {
            let many = (0..TRANSACTIONS).map(|at| self.transaction(&stranger, (drawn, at)));
            let many: Vec<Transaction> = many.collect();
            let sound: Vec<_> = many.iter().map(encode).collect();
            let unsound = many.into_iter().map(|transaction| Transaction {
                signature: junk.clone(),
                ..transaction
            });
            let unsound: Vec<_> = unsound.map(|it| encode(&it)).collect();
            let (useless, junk) = (encode(&sound).into(), encode(&unsound).into());
            self.offer(Class::Transactions, vec![useless], vec![junk])
                .await;
        }
    }

    fn transaction(&self, creator: &SigningKey, drawn: (u64, u64)) -> Transaction {
        let proposal = Proposal {
            network: self.config.network,
            contract: "kv".to_owned(),
            function: "put".to_owned(),
            args: vec!["flood".to_owned(), "x".repeat(512)],
            creator: creator.public(),
            nonce: Domain::Batch.hash(&encode(&drawn)).0,
            valid_until_block: NO_EXPIRY,
        };
        let nothing = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: 1,
            rwset: ReadWriteSet::default(),
            response: Response::default(),
        };
        Transaction::assemble(proposal, nothing, Vec::new(), creator)
    }

    /// Whether this peer gets now what it may refuse at a look. Each has its turn:
    /// who is sent something bad listens less, and would never see what it cannot
    /// tell from the messages of a correct replica.
    fn has_junk(&self, peer: PeerId) -> bool {
        let turn = self.begun.elapsed().as_secs() / TURN.as_secs();
        (turn + u64::from(peer.0)).is_multiple_of(TURNS)
    }

    /// Puts frames into the queues that are not full, and waits while all are.
    async fn offer(&self, class: Class, useless: Vec<Bytes>, junk: Vec<Bytes>) {
        for _ in 0..TIMES {
            let mut room = false;
            for peer in self.network.peers() {
                let [messages, transactions] = peer.queued;
                let queued = match class {
                    Class::Consensus => messages,
                    Class::Transactions => transactions,
                };
                let (frames, most) = if self.has_junk(peer.id) {
                    (&junk, QUEUED_JUNK)
                } else {
                    (&useless, QUEUED)
                };
                if !peer.connected || queued >= most {
                    continue;
                }
                room = true;
                for frame in frames {
                    self.network.send(peer.id, class, frame.clone());
                }
            }
            if !room {
                tokio::time::sleep(BREATH).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Frames as long as they may be: a message, a list of nothing, and noise.
    async fn giants(&self) {
        let longest = |class| self.network.max_frame_bytes(class);
        let message = self.byzantine().giant(Message::MAX_BYTES - GIANT_SLACK);
        let nothing = vec![Vec::<u8>::new(); longest(Class::Transactions) / 8 - 1];
        let noise = |class| vec![0x5a; longest(class)];
        let giants: [(Class, Bytes); 4] = [
            (Class::Consensus, message.encode().into()),
            (Class::Transactions, encode(&nothing).into()),
            (Class::Consensus, noise(Class::Consensus).into()),
            (Class::Transactions, noise(Class::Transactions).into()),
        ];
        loop {
            for (class, giant) in &giants {
                let peers = self.network.peers().into_iter();
                for peer in peers.filter(|peer| self.has_junk(peer.id)) {
                    self.network.send(peer.id, *class, giant.clone());
                }
                tokio::time::sleep(BETWEEN_GIANTS).await;
            }
        }
    }

    /// Frames that are longer than they may be.
    async fn breaches(&self) {
        loop {
            for class in Class::ALL {
                tokio::time::sleep(BETWEEN_BREACHES).await;
                for peer in self.network.peers() {
                    // It is closed by whoever hears it.
                    drop(self.network.send_too_long(peer.id, class).await);
                }
            }
        }
    }

    /// Asks one peer again and again for what nobody has and for what it has
    /// sent already.
    async fn requests(&self, peer: PeerId, from: usize) {
        let digest = |at: usize| Domain::Batch.hash(&encode(&(at as u64)));
        let hashes: Vec<Digest> = (0..MAX_TRANSACTIONS).map(digest).collect();
        let numbers: Vec<u64> = (1..=MAX_BLOCKS as u64).collect();
        let questions = [
            Request::Blocks { from: 1 },
            Request::Transactions(hashes),
            Request::Certificates(numbers.clone()),
            Request::Attestations(numbers),
        ];
        let questions: Vec<Bytes> = questions.iter().map(|it| it.encode().into()).collect();
        for question in questions.iter().cycle().skip(from) {
            let asked = self.network.request(peer, question.clone(), PATIENCE);
            if asked.await.is_err() {
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}
