//! The replica: one state, inputs in, ordered effects out.
//!
//! Here: the state, its questions and the dispatch. One file per concern
//! beside it: [`normal`] orders, [`checkpoint`] attests and moves the
//! watermarks, [`suspicion`] says when to leave a view, [`view_change`] leaves
//! it, [`new_view`] begins the next; [`status`] makes up for lost messages,
//! [`catch_up`] for lost time, [`recovery`] for crashes, [`listening`] for a lost
//! disk.

mod catch_up;
mod checkpoint;
mod invariants;
mod listening;
#[cfg(feature = "testing")]
mod memory;
mod new_view;
mod normal;
mod recovery;
mod status;
mod suspicion;
mod view_change;

use std::collections::BTreeMap;

use crypto::Signature;

use self::catch_up::CatchUp;
use self::listening::Listening;
use self::suspicion::Suspicion;
use self::view_change::ViewChanges;
use crate::log::{Checkpoints, Log};
use crate::message::{Body, Signed};
use crate::{
    CheckpointCertificate, Config, Effect, Input, Message, Rejection, ReplicaId, SequenceNumber,
    Signer, Start, Timer, Verified, View, Watermarks,
};

/// One replica of PBFT.
#[derive(Clone)]
pub struct Replica {
    config: Config,
    signer: Signer,
    view: View,
    log: Log,
    checkpoints: Checkpoints,
    /// The certificate of the low watermark; none at genesis.
    stable: Option<CheckpointCertificate>,
    /// The last sequence number executed and durable.
    last_executed: SequenceNumber,
    /// The time of that batch.
    last_timestamp_ms: u64,
    /// The last sequence number whose execution was asked for.
    execution_asked: SequenceNumber,
    /// The times of what is being executed: above `last_executed`.
    executing: BTreeMap<SequenceNumber, u64>,
    suspicion: Suspicion,
    view_changes: ViewChanges,
    catch_up: CatchUp,
    listening: Listening,
    /// How many statuses of each peer were acted on since this replica's last status tick.
    statuses_heard: BTreeMap<ReplicaId, u8>,
    halted: bool,
    /// What the running step has asked for so far.
    effects: Vec<Effect>,
}

impl Replica {
    /// A replica and the effects with which it begins.
    ///
    /// # Panics
    ///
    /// When the configuration is unsound or `start` contradicts itself.
    #[must_use]
    pub fn start(config: Config, signer: impl Into<Signer>, start: Start) -> (Self, Vec<Effect>) {
        config.assert_sound();
        let signer = signer.into();
        assert!(
            signer
                .public()
                .is_none_or(|key| config.replicas.key(config.id) == Some(key)),
            "replica {} signs with its own key",
            config.id
        );
        let mut replica = Self {
            view: View::default(),
            log: Log::new(SequenceNumber::GENESIS, config.log_window),
            checkpoints: Checkpoints::default(),
            stable: None,
            last_executed: SequenceNumber::GENESIS,
            last_timestamp_ms: 0,
            execution_asked: SequenceNumber::GENESIS,
            executing: BTreeMap::new(),
            suspicion: Suspicion::default(),
            view_changes: ViewChanges::default(),
            catch_up: CatchUp::default(),
            listening: Listening::No,
            statuses_heard: BTreeMap::new(),
            halted: false,
            effects: Vec::new(),
            config,
            signer,
        };
        match start {
            Start::Recovered { position, records } => replica.recover(position, records),
            Start::Amnesiac => replica.begin_listening(),
        }
        replica.set_status_timer();
        let effects = replica.take_effects();
        (replica, effects)
    }

    /// Takes in what happened and says what is to be done, in this order.
    ///
    /// # Panics
    ///
    /// When the world breaks the contract of an [`Input`] or this replica one
    /// of its own invariants; never for what a message says.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        assert!(self.effects.is_empty(), "steps do not nest");
        if self.halted {
            return Vec::new();
        }
        match input {
            Input::Message { from, message } => self.on_message(from, message),
            Input::Propose {
                timestamp_ms,
                requests,
            } => self.propose(timestamp_ms, requests),
            Input::BatchChecked {
                view,
                sequence,
                digest,
                verdict,
            } => self.on_batch_checked(view, sequence, digest, verdict),
            Input::Executed { sequence, digest } => self.on_executed(sequence, digest),
            Input::CaughtUp(position) => self.on_caught_up(position),
            Input::Connected(peer) => self.on_connected(peer),
            Input::Disconnected(peer) => self.on_disconnected(peer),
            Input::Overdue(overdue) => self.on_overdue(overdue),
            Input::TimerFired(Timer::Status) => self.on_status_tick(),
            Input::TimerFired(Timer::NewView) => self.on_new_view_timeout(),
            Input::TimerFired(Timer::FallBack) => self.on_fall_back(),
        }
        self.take_effects()
    }

    fn on_message(&mut self, from: ReplicaId, message: Verified) {
        assert!(
            self.config.replicas.key(from).is_some(),
            "a connection is to a replica of the set"
        );
        match message.into_message() {
            Message::PrePrepare(proposed) => self.on_pre_prepare(from, proposed),
            Message::Prepare(prepare) => self.on_prepare(from, prepare),
            Message::Commit(commit) => self.on_commit(from, commit),
            Message::Checkpoint(checkpoint) => self.on_checkpoint(from, checkpoint),
            Message::CheckpointCertificate(certificate) => self.on_certificate(certificate),
            Message::Status(status) => self.on_status(from, &status),
            Message::ViewChange(vote) => self.on_view_change(vote),
            Message::NewView(new_view) => self.on_new_view(new_view),
        }
    }

    /// Which replica this is.
    #[must_use]
    pub fn id(&self) -> ReplicaId {
        self.config.id
    }

    /// The view it is in, or, unless it [is active](Self::is_active), on its way to.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    /// The primary of that view.
    #[must_use]
    pub fn primary(&self) -> ReplicaId {
        self.config.replicas.primary(self.view)
    }

    /// Whether this replica is the primary.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.primary() == self.id()
    }

    /// `h` and `H`.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.log.watermarks()
    }

    /// The last sequence number executed and durable; 0 when none is.
    #[must_use]
    pub fn last_executed(&self) -> SequenceNumber {
        self.last_executed
    }

    /// The first sequence number that was executed here and that no quorum has
    /// attested yet. What was asked for there is done only once one has.
    #[must_use]
    pub fn first_unattested(&self) -> Option<SequenceNumber> {
        self.checkpoints
            .first_unattested()
            .filter(|sequence| *sequence > self.watermarks().low)
    }

    /// Whether it lost its disk and does not vote yet.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listening != Listening::No
    }

    /// The signatures made since this was last asked, for a journal. None, unless
    /// it signs with [`Signer::Recorded`].
    pub fn take_signatures(&mut self) -> Vec<Signature> {
        self.signer.take_made()
    }

    /// In a replay: what the next step signs.
    pub(crate) fn replay_signatures(&mut self, signatures: Vec<Signature>) {
        self.signer = Signer::Replayed(signatures.into());
    }

    /// Whether it waits for [`Input::CaughtUp`].
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.catch_up.is_running()
    }

    /// Appends to the effects of this step. After a halt nothing is.
    fn emit(&mut self, effect: Effect) {
        if !self.halted {
            self.effects.push(effect);
        }
    }

    fn send(&mut self, to: ReplicaId, message: Message) {
        assert_ne!(to, self.id(), "nothing is sent to oneself");
        self.emit(Effect::Send { to, message });
    }

    fn reject(&mut self, from: ReplicaId, reason: Rejection) {
        self.emit(Effect::Reject { from, reason });
    }

    fn sign<B: Body>(&mut self, body: B) -> Signed<B> {
        self.signer.sign(body, self.config.id, &self.config.network)
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        // The simulator and the worlds of tests look by themselves.
        if cfg!(test) {
            self.check_invariants();
        }
        if planted!(VoteBeforePersist) {
            self.effects
                .sort_by_key(|effect| matches!(effect, Effect::Persist(_)));
        }
        std::mem::take(&mut self.effects)
    }
}
