//! Bugs that can be planted, to see that the simulator finds them. No build but
//! that of the simulator's own tests holds any of this.

use std::cell::Cell;

/// A mistake that an implementation of PBFT can make, and that some have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlantedBug {
    /// A batch counts as prepared with one PREPARE less than needed.
    PrepareQuorumOneTooSmall,
    /// What is to be made durable comes after what it permits to be sent.
    VoteBeforePersist,
    /// Batches that become executable together are executed last first.
    ExecuteOutOfOrder,
    /// A vote that comes twice counts twice.
    CountMessages,
    /// The primary's PREPARE is let in and counts.
    CountThePrimarysPrepare,
    /// Votes count whatever batch they are for.
    IgnoreDigests,
    /// A new view takes over what prepared in the earliest view, not the latest.
    EarliestPrepared,
    /// A new view ends one sequence number too early.
    LastPreparedForgotten,
    /// A new view leaves gaps.
    NoNullRequests,
    /// What was found sound is voted for also after the view was left.
    VoteAfterViewChange,
    /// VIEW-CHANGE and NEW-VIEW are said once and never again.
    NeverSayAgain,
    /// One VIEW-CHANGE is enough to follow.
    JoinOne,
    /// No number of VIEW-CHANGEs is enough to follow.
    JoinNobody,
    /// Nothing is synced before what it permits is sent.
    NoSync,
    /// A restarted replica does not know what had prepared.
    ForgetPrepared,
    /// A new view has everything executed again from its checkpoint on.
    ExecuteAgain,
    /// What catching up has executed is executed again.
    ExecuteAgainAfterCatchUp,
    /// Fetched blocks are taken whether or not a quorum attests them.
    BelieveBlocks,
    /// That a quorum attests another outcome than the own is passed over.
    IgnoreOwnDivergence,
    /// A batch may be of any time.
    BelieveTimes,
    /// Nothing lies above the high watermark.
    NoHighWatermark,
    /// After catching up, what is under way is forgotten.
    ForgetWhatIsUnderWay,
    /// A NEW-VIEW is followed also into an earlier view.
    EnterEarlierViews,
    /// What a new view takes over is held against the time of its predecessor.
    FreshnessOfReproposals,
    /// After a restart it is not known what was applied.
    ForgetApplied,
    /// A primary that restarts does not know what it proposed and nobody has agreed to yet.
    ForgetProposed,
    /// A VIEW-CHANGE that a crash has interrupted is made anew, of what is known then.
    ViewChangeAnew,
    /// After a restart it is not known what the view began with.
    ForgetReproposals,
    /// A statement that comes twice is taken for two that contradict each other.
    SameIsContradiction,
    /// A replica that has lost its disk votes at once.
    VoteAfterAmnesia,
    /// A replica that listens leaves its view with others.
    LeaveWhileListening,
    /// A batch is voted for before the world was asked about it.
    VoteUnexamined,
    /// A block counts as attested with one CHECKPOINT less than needed.
    CertificateOneTooSmall,
    /// What is ordered twice is found where it was ordered last.
    LastPlaceCounts,
    /// Blocks that were fetched are not synced.
    FetchedNotSynced,
    /// Records are kept for ever.
    KeepRecords,
    /// Every status is answered, with one that asks.
    AnswerEveryStatus,
}

thread_local! {
    /// A simulation runs on one thread, and has one bug at most.
    static PLANTED: Cell<Option<PlantedBug>> = const { Cell::new(None) };
}

/// From now on every replica on this thread has this bug, or none.
pub(crate) fn plant(bug: Option<PlantedBug>) {
    PLANTED.set(bug);
}

/// Whether the replicas on this thread have this bug.
pub(crate) fn has(bug: PlantedBug) -> bool {
    PLANTED.get() == Some(bug)
}
