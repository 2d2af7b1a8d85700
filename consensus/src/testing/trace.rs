//! What happened: the last of it to be read, all of it as a hash.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::twins::Place;
use crate::message::Message;
use crate::{BatchDigest, CheckpointDigest, Record, ReplicaId, SequenceNumber, View};

/// How many events a failure shows.
const SHOWN: usize = 250;

/// Something that happened.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Happening {
    Starts {
        how: &'static str,
    },
    Crashes {
        kept: usize,
        lost: usize,
    },
    LosesDisk,
    Sends {
        to: Option<ReplicaId>,
        what: Note,
    },
    Receives {
        from: ReplicaId,
        what: Note,
    },
    Writes {
        what: Note,
    },
    Syncs,
    Executes {
        sequence: SequenceNumber,
    },
    Stores {
        sequence: SequenceNumber,
        outcome: CheckpointDigest,
        fetched: bool,
    },
    Certifies {
        sequence: SequenceNumber,
    },
    CatchesUp {
        through: SequenceNumber,
    },
    CaughtUp {
        to: SequenceNumber,
    },
    Rejects {
        from: ReplicaId,
        reason: String,
    },
    Holds {
        request: u32,
    },
    ShowsReceipt {
        request: u32,
        sequence: SequenceNumber,
    },
    Enters {
        view: View,
    },
    Accuses {
        what: String,
    },
    Cut {
        links: usize,
    },
    Mended,
    Healed,
    Pauses,
    GoesOn {
        events: usize,
    },
    Regrouped,
    IsAltered,
    Halts {
        sequence: SequenceNumber,
    },
}

/// A message or record in a few words.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Note {
    name: &'static str,
    signer: Option<ReplicaId>,
    view: Option<View>,
    sequence: Option<SequenceNumber>,
    batch: Option<BatchDigest>,
    outcome: Option<CheckpointDigest>,
}

impl Note {
    const fn named(name: &'static str) -> Self {
        Self {
            name,
            signer: None,
            view: None,
            sequence: None,
            batch: None,
            outcome: None,
        }
    }

    const fn vote(self, view: View, sequence: SequenceNumber, batch: BatchDigest) -> Self {
        Self {
            view: Some(view),
            sequence: Some(sequence),
            batch: Some(batch),
            ..self
        }
    }

    const fn attests(self, sequence: SequenceNumber, outcome: CheckpointDigest) -> Self {
        Self {
            sequence: Some(sequence),
            outcome: Some(outcome),
            ..self
        }
    }

    const fn by(self, signer: ReplicaId) -> Self {
        Self {
            signer: Some(signer),
            ..self
        }
    }

    pub(crate) fn of_message(message: &Message) -> Self {
        let note = Self::named(message.name());
        match message {
            Message::PrePrepare(proposed) => {
                let body = &proposed.pre_prepare.body;
                note.vote(body.view, body.sequence, body.digest)
                    .by(proposed.pre_prepare.signer)
            }
            Message::Prepare(prepare) => {
                let body = &prepare.body;
                note.vote(body.view, body.sequence, body.digest)
                    .by(prepare.signer)
            }
            Message::Commit(commit) => {
                let body = &commit.body;
                note.vote(body.view, body.sequence, body.digest)
                    .by(commit.signer)
            }
            Message::Checkpoint(checkpoint) => {
                let body = &checkpoint.body;
                note.attests(body.sequence, body.digest)
                    .by(checkpoint.signer)
            }
            Message::CheckpointCertificate(certificate) => {
                let body = &certificate.checkpoint;
                note.attests(body.sequence, body.digest)
            }
            Message::Status(status) => Self {
                view: Some(status.view),
                sequence: Some(status.last_executed),
                name: match (&status.changing, status.suspects) {
                    (Some(_), _) => "STATUS (changing)",
                    (None, true) => "STATUS (suspects)",
                    (None, false) => note.name,
                },
                ..note
            },
            Message::ViewChange(vote) => Self {
                view: Some(vote.body.view),
                ..note.by(vote.signer)
            },
            Message::NewView(new_view) => Self {
                view: Some(new_view.body.view),
                sequence: new_view.body.pre_prepares.last().map(|of| of.body.sequence),
                ..note.by(new_view.signer)
            },
        }
    }

    pub(crate) fn of_record(record: &Record) -> Self {
        match record {
            Record::PrePrepared(proposed) => {
                let body = &proposed.pre_prepare.body;
                Self::named("PrePrepared").vote(body.view, body.sequence, body.digest)
            }
            Record::Prepared(certificate) => {
                let body = &certificate.pre_prepare.body;
                Self::named("Prepared").vote(body.view, body.sequence, body.digest)
            }
            Record::VotedBefore { sequence, .. } => Self {
                sequence: Some(*sequence),
                ..Self::named("VotedBefore")
            },
            Record::Stable(certificate) => Self {
                sequence: Some(certificate.checkpoint.sequence),
                ..Self::named("Stable")
            },
            Record::ViewChange(vote) => Self {
                view: Some(vote.body.view),
                ..Self::named("ViewChange")
            },
            Record::NewView(new_view) => Self {
                view: Some(new_view.body.view),
                ..Self::named("NewView")
            },
            Record::Listening { until } => Self {
                sequence: Some(*until),
                ..Self::named("Listening")
            },
        }
    }
}

struct Entry {
    at: Duration,
    node: Option<Place>,
    what: Happening,
}

/// The trace of a simulation.
pub(crate) struct Trace {
    recent: VecDeque<Entry>,
    hasher: DefaultHasher,
    /// Which nodes were up before the first of the recent events.
    up: Vec<bool>,
    lanes: Vec<Place>,
}

impl Trace {
    /// A trace with a lane for each of these.
    pub(crate) fn new(lanes: Vec<Place>) -> Self {
        Self {
            recent: VecDeque::with_capacity(SHOWN),
            hasher: DefaultHasher::new(),
            up: vec![false; lanes.len()],
            lanes,
        }
    }

    pub(crate) fn note(&mut self, at: Duration, node: Option<Place>, what: Happening) {
        (at, node, &what).hash(&mut self.hasher);
        if self.recent.len() == SHOWN
            && let Some(oldest) = self.recent.pop_front()
        {
            follow(&mut self.up, &self.lanes, &oldest);
        }
        self.recent.push_back(Entry { at, node, what });
    }

    /// Of everything that happened, in its order.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last events, time downwards, a lane for each node: `|` is up, `.` is
    /// down, `o` is whom the event happens to.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let mut up = self.up.clone();
        for entry in &self.recent {
            follow(&mut up, &self.lanes, entry);
            let at = entry.at.as_secs_f64() * 1e3;
            let _ = write!(text, "{at:>10.3} ms ");
            for (lane, up) in self.lanes.iter().zip(&up) {
                let acts = entry.node == Some(*lane);
                text.push_str(match (acts, up) {
                    (true, _) => " o",
                    (false, true) => " |",
                    (false, false) => " .",
                });
            }
            match entry.node {
                Some(node) => {
                    let _ = writeln!(text, "   {node} {}", entry.what);
                }
                None => {
                    let _ = writeln!(text, "   {}", entry.what);
                }
            }
        }
        text
    }
}

fn follow(up: &mut [bool], lanes: &[Place], entry: &Entry) {
    let lanes = lanes.iter().zip(up);
    let mut acting = lanes.filter(|(place, _)| entry.node == Some(**place));
    let Some((_, lane)) = acting.next() else {
        return;
    };
    match entry.what {
        Happening::Starts { .. } => *lane = true,
        Happening::Crashes { .. } | Happening::Halts { .. } => *lane = false,
        _ => {}
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(view) = self.view {
            write!(f, " {view}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, " {sequence}")?;
        }
        if let Some(batch) = self.batch {
            write!(f, " {batch}")?;
        }
        if let Some(outcome) = self.outcome {
            write!(f, " outcome {outcome}")?;
        }
        if let Some(signer) = self.signer {
            write!(f, " signed by {signer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starts { how } => write!(f, "starts, {how}"),
            Self::Crashes { kept, lost } => {
                write!(
                    f,
                    "crashes: of its unsynced writes {kept} stay, {lost} are lost"
                )
            }
            Self::LosesDisk => f.write_str("loses its disk"),
            Self::Pauses => f.write_str("is paused"),
            Self::GoesOn { events } => write!(f, "goes on: {events} events have piled up"),
            Self::Sends { to: Some(to), what } => write!(f, "-> {to}  {what}"),
            Self::Sends { to: None, what } => write!(f, "-> all  {what}"),
            Self::Receives { from, what } => write!(f, "<- {from}  {what}"),
            Self::Writes { what } => write!(f, "writes {what}"),
            Self::Syncs => f.write_str("has synced"),
            Self::Executes { sequence } => write!(f, "is to execute {sequence}"),
            Self::Stores {
                sequence,
                outcome,
                fetched,
            } => {
                let how = if *fetched { "fetched" } else { "executed" };
                write!(f, "stores {sequence} with outcome {outcome}, {how}")
            }
            Self::Certifies { sequence } => write!(f, "has a certificate for {sequence}"),
            Self::CatchesUp { through } => write!(f, "is to catch up to {through}"),
            Self::CaughtUp { to } => write!(f, "has caught up to {to}"),
            Self::Rejects { from, reason } => write!(f, "rejects what came from {from}: {reason}"),
            Self::Holds { request } => write!(f, "holds request {request}"),
            Self::ShowsReceipt { request, sequence } => {
                write!(f, "shows a receipt: request {request} is in {sequence}")
            }
            Self::Enters { view } => write!(f, "enters {view}"),
            Self::Accuses { what } => write!(f, "has proof that {what}"),
            Self::Cut { links } => write!(f, "{links} links are cut"),
            Self::Mended => f.write_str("cut links are mended"),
            Self::IsAltered => f.write_str("has its state altered behind its back"),
            Self::Halts { sequence } => {
                write!(f, "halts: a quorum attests another outcome of {sequence}")
            }
            Self::Regrouped => f.write_str("others meet other copies of twins"),
            Self::Healed => f.write_str("everything heals"),
        }
    }
}
