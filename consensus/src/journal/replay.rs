//! The same machine, the same inputs: does it do the same?

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crypto::NetworkId;

use super::{Done, Frame, Recorded, shown};
use crate::{
    Config, Effect, Input, Replica, ReplicaId, SequenceNumber, Signer, Start, Verifier, View,
};

/// Where in a journal something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The how manieth start it follows, from 1.
    pub start: u64,
    /// The how manieth input since that start, from 1; 0 is the start itself.
    pub input: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.input {
            0 => write!(f, "start {}", self.start),
            input => write!(f, "input {input} after start {}", self.start),
        }
    }
}

/// Why a replay ended before its journal did.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// No frame of a journal, or a message in it that no door lets pass.
    #[error("expected a frame of a journal: {0}")]
    Malformed(String),
    /// An input before any start, or an outcome of nothing.
    #[error("a frame stands where it cannot: the journal is not whole")]
    OutOfPlace,
    /// Something else was done with an input than was recorded.
    #[error(
        "at {place}, {input}: effect {effect} was {recorded} and is {replayed}",
        recorded = .recorded.as_deref().unwrap_or("nothing"),
        replayed = .replayed.as_deref().unwrap_or("nothing")
    )]
    Difference {
        /// Where.
        place: Place,
        /// What happened there.
        input: String,
        /// The how manieth effect of it, from 1.
        effect: usize,
        /// What was recorded; nothing, when there was no such effect.
        recorded: Option<String>,
        /// What the machine asks for now.
        replayed: Option<String>,
    },
    /// One of the machine's assertions failed.
    #[error("at {place}, {input}: the replica stops: {reason}")]
    Stopped {
        /// Where.
        place: Place,
        /// What happened there.
        input: String,
        /// The assertion.
        reason: String,
    },
}

/// What was replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many starts.
    pub starts: u64,
    /// How many inputs after them.
    pub inputs: u64,
    /// How many effects were compared and are equal.
    pub effects: u64,
    /// Of how many starts and inputs the journal does not say what was done with them.
    pub unanswered: u64,
    /// Who the replica of the last start is, and in which network.
    pub replica: Option<(ReplicaId, NetworkId)>,
    /// Its view in the end.
    pub view: View,
    /// Whether that view is at work.
    pub active: bool,
    /// How far it has executed.
    pub last_executed: SequenceNumber,
}

enum Pending {
    Start(Config, Start),
    Input(Input),
}

/// A replay under way.
#[derive(Default)]
pub struct Replay {
    replica: Option<Replica>,
    verifier: Option<Verifier>,
    /// What happens next, once it is known what was signed then.
    pending: Option<Pending>,
    place: Place,
    report: Report,
}

impl Replay {
    /// Takes the next frame of the journal.
    ///
    /// # Errors
    ///
    /// Why the replay ends here.
    pub fn take(&mut self, frame: &[u8]) -> Result<(), ReplayError> {
        match Frame::decode(frame, self.verifier.as_ref())? {
            Frame::Started(started) => {
                self.settle(None)?;
                let (parameters, start) = *started;
                let config = parameters.config().ok_or_else(|| {
                    ReplayError::Malformed("no set of replicas has these keys".to_owned())
                })?;
                self.verifier = Some(Verifier::new(&config));
                self.report.replica = Some((config.id, config.network));
                self.report.starts += 1;
                self.place.start += 1;
                self.place.input = 0;
                self.pending = Some(Pending::Start(config, start));
            }
            Frame::Input(input) => {
                self.settle(None)?;
                self.report.inputs += 1;
                self.place.input += 1;
                self.pending = Some(Pending::Input(*input));
            }
            Frame::Done(done) => self.settle(Some(done))?,
        }
        Ok(())
    }

    /// The journal has ended.
    ///
    /// # Errors
    ///
    /// Why the last input could not be replayed.
    pub fn finish(mut self) -> Result<Report, ReplayError> {
        self.settle(None)?;
        if let Some(replica) = &self.replica {
            self.report.view = replica.view();
            self.report.active = replica.is_active();
            self.report.last_executed = replica.last_executed();
        }
        Ok(self.report)
    }

    /// Lets happen what is pending, and compares what comes of it.
    fn settle(&mut self, done: Option<Done>) -> Result<(), ReplayError> {
        let Some(pending) = self.pending.take() else {
            return if done.is_some() {
                Err(ReplayError::OutOfPlace)
            } else {
                Ok(())
            };
        };
        let (signatures, recorded) = match done {
            Some(done) => (done.signatures, Some(done.effects)),
            None => (Vec::new(), None),
        };
        let input = match &pending {
            Pending::Start(..) => "the start".to_owned(),
            Pending::Input(input) => shown(input),
        };
        let replica = self.replica.take();
        let happens = move || match (pending, replica) {
            (Pending::Start(config, start), _) => {
                Replica::start(config, Signer::Replayed(signatures.into()), start)
            }
            (Pending::Input(input), Some(mut replica)) => {
                replica.replay_signatures(signatures);
                let effects = replica.step(input);
                (replica, effects)
            }
            (Pending::Input(_), None) => unreachable!("inputs are taken after a start"),
        };
        // What a file says is not believed: it may ask for what no node would.
        let (replica, effects) =
            catch_unwind(AssertUnwindSafe(happens)).map_err(|panic| ReplayError::Stopped {
                place: self.place,
                input: input.clone(),
                reason: reason(panic.as_ref()),
            })?;
        self.replica = Some(replica);
        match recorded {
            None => self.report.unanswered += 1,
            Some(recorded) => self.compare(&input, &recorded, &effects)?,
        }
        Ok(())
    }

    fn compare(
        &mut self,
        input: &str,
        recorded: &[Recorded],
        effects: &[Effect],
    ) -> Result<(), ReplayError> {
        let replayed: Vec<_> = effects.iter().map(Recorded::of).collect();
        for at in 0..recorded.len().max(replayed.len()) {
            let (then, now) = (recorded.get(at), replayed.get(at));
            if then.map(|of| of.digest) != now.map(|of| of.digest) {
                return Err(ReplayError::Difference {
                    place: self.place,
                    input: input.to_owned(),
                    effect: at + 1,
                    recorded: then.map(|of| of.text.clone()),
                    replayed: now.map(|of| of.text.clone()),
                });
            }
            self.report.effects += 1;
        }
        Ok(())
    }
}

/// What a panic says.
fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("an assertion failed").to_owned()
}
