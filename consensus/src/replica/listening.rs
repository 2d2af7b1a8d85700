//! A replica that has lost its disk listens: it does not know what it has
//! voted for, so it votes for nothing that it may have voted for before.
//! Meanwhile it executes what the others commit, catches up, and attests what
//! it executes: a CHECKPOINT follows from the batches alone and cannot
//! contradict an earlier one.

use std::collections::BTreeMap;

use super::Replica;
use crate::log::Check;
use crate::{Effect, Record, ReplicaId, SequenceNumber};

/// Whether and how long this replica listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Listening {
    /// It votes.
    No,
    /// It has yet to learn where the others stand.
    Learning {
        /// What each of them has executed, as far as they have said.
        heard: BTreeMap<ReplicaId, Said>,
    },
    /// It votes again once this sequence number is stable.
    Until(SequenceNumber),
}

/// What a replica has said that it has executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Said {
    least: SequenceNumber,
    last: SequenceNumber,
}

impl Listening {
    /// As a record has it.
    pub(super) fn of_record(until: SequenceNumber) -> Self {
        match until {
            SequenceNumber::GENESIS => Self::No,
            Record::UNKNOWN => Self::Learning {
                heard: BTreeMap::new(),
            },
            until => Self::Until(until),
        }
    }
}

impl Replica {
    /// Before anything else it is made durable that this replica listens, or a
    /// crash would make it forget even that.
    pub(super) fn begin_listening(&mut self) {
        let until = if planted!(VoteAfterAmnesia) {
            SequenceNumber::GENESIS
        } else {
            Record::UNKNOWN
        };
        self.listening = Listening::of_record(until);
        self.emit(Effect::Persist(Record::Listening { until }));
    }

    /// `from`, which does not listen itself, says what it has executed. This replica may
    /// have voted up to a log window above a checkpoint that a quorum had attested, so
    /// that at most `n - q` others have not executed that, and `f` who have may say less:
    /// of `n - q + f + 1` others one says the truth of it, and the greatest of what these
    /// say is not below that checkpoint. Nor is it a lie that would have this replica wait
    /// for ever, once more others than may lie have come as far (the estimation of TOCS '02 has the
    /// same two bounds). They come, or it learns on.
    pub(super) fn learn_where_others_stand(&mut self, from: ReplicaId, executed: SequenceNumber) {
        let replicas = &self.config.replicas;
        let needed = replicas.n() - replicas.quorum() + replicas.weak_quorum();
        let weak_quorum = replicas.weak_quorum();
        let Listening::Learning { heard } = &mut self.listening else {
            return;
        };
        let said = heard.entry(from).or_insert(Said {
            least: executed,
            last: executed,
        });
        said.least = said.least.min(executed);
        said.last = executed;
        let mut least: Vec<SequenceNumber> = heard.values().map(|said| said.least).collect();
        least.sort_unstable();
        let Some(&bound) = least.get(needed - 1) else {
            return;
        };
        if heard.values().filter(|said| said.last >= bound).count() < weak_quorum {
            return;
        }
        // What a quorum attests cannot be a lie.
        let attested = self.catch_up.attested().unwrap_or_default();
        let until = bound
            .max(attested)
            .max(self.last_executed)
            .saturating_add(self.config.log_window);
        self.listening = Listening::of_record(until);
        self.emit(Effect::Persist(Record::Listening { until }));
    }

    /// Votes again, if the checkpoint that was waited for is stable. Everything
    /// it may have voted for before is then below the low watermark.
    pub(super) fn end_listening(&mut self) {
        let Listening::Until(until) = self.listening else {
            return;
        };
        if self.watermarks().low < until {
            return;
        }
        self.listening = Listening::No;
        self.emit(Effect::Persist(Record::Listening {
            until: SequenceNumber::GENESIS,
        }));
        for sequence in self.log.sequences() {
            let passed = self
                .log
                .held(sequence)
                .is_some_and(|held| held.check == Check::Passed);
            if passed && self.is_active() {
                self.vote(sequence);
            }
        }
    }
}
