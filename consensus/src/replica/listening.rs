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
        heard: BTreeMap<ReplicaId, SequenceNumber>,
    },
    /// It votes again once this sequence number is stable.
    Until(SequenceNumber),
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
        let until = Record::UNKNOWN;
        self.listening = Listening::of_record(until);
        self.emit(Effect::Persist(Record::Listening { until }));
    }

    /// `from`, which does not listen itself, says what it has executed. Once `n - f` others have said so (or
    /// all, if they are fewer), the `f+1`-th highest is at most what a correct
    /// one has executed, and nothing was voted for beyond a log window above it.
    pub(super) fn learn_where_others_stand(&mut self, from: ReplicaId, executed: SequenceNumber) {
        let replicas = &self.config.replicas;
        let needed = (replicas.n() - replicas.f()).min(replicas.n() - 1);
        let weak_quorum = replicas.weak_quorum();
        let Listening::Learning { heard } = &mut self.listening else {
            return;
        };
        heard.insert(from, executed);
        if heard.len() < needed {
            return;
        }
        let mut stands: Vec<SequenceNumber> = heard.values().copied().collect();
        stands.sort_unstable_by(|a, b| b.cmp(a));
        let stands = stands.get(weak_quorum - 1).copied().unwrap_or_default();
        // What a quorum attests cannot be a lie.
        let attested = self.catch_up.attested().unwrap_or_default();
        let until = stands
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
