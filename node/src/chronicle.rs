//! What this node saw of the changes of its view, for those who ask why.
//!
//! Bounded and in memory: the newest events, with the signed messages among
//! them, so that whoever reads them need not believe this node.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use consensus::{Effect, Input, Message, ReplicaId, View};

use crate::clock;

/// How many events are kept.
const KEPT: usize = 256;

/// How far beyond the next view a message may be for: beyond that it is only a
/// liar's wish, and there is no end of those.
const AHEAD: u64 = 16;

/// The longest message that is kept with its event, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Something that has to do with the beginning of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChronicleEvent {
    /// This node's clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The view that it led to.
    pub view: u64,
    /// What kind of event it is, one of a fixed set.
    pub kind: &'static str,
    /// The replica whose doing it is, if it is another's.
    pub replica: Option<u32>,
    /// What happened, in words.
    pub text: String,
    /// The signed message, if there is one and it is not too long.
    pub message: Option<Vec<u8>>,
}

/// The newest events.
#[derive(Debug, Default)]
pub struct Chronicle {
    events: Mutex<VecDeque<ChronicleEvent>>,
}

impl Chronicle {
    /// Everything known of the way into `view`, in the order of its happening.
    #[must_use]
    pub fn of_view(&self, view: u64) -> Vec<ChronicleEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let events = events.iter().filter(|event| event.view == view);
        events.cloned().collect()
    }

    fn add(&self, event: ChronicleEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// What is sent again is told once.
    fn knows(&self, view: View, text: &str) -> bool {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = events.iter();
        events.any(|event| event.view == view.0 && event.text == text)
    }

    fn note(&self, view: View, kind: &'static str, replica: Option<ReplicaId>, text: String) {
        self.add(ChronicleEvent {
            at_ms: clock::unix_ms(),
            view: view.0,
            kind,
            replica: replica.map(|id| id.0),
            text,
            message: None,
        });
    }

    /// A request has waited for too long in the view before `next`.
    pub(crate) fn overdue(&self, next: View, waited: Duration, request: &str) {
        let waited = waited.as_millis();
        let text =
            format!("request {request} has waited for {waited} ms: the primary is suspected");
        self.note(next, "overdue", None, text);
    }

    /// Something comes to the replica, which is in the view before `next`.
    pub(crate) fn input(&self, next: View, primary: ReplicaId, input: &Input) {
        match input {
            Input::Disconnected(peer) if *peer == primary => {
                let text = format!("the connection to the primary, replica {peer}, is gone");
                self.note(next, "disconnected", Some(*peer), text);
            }
            Input::Message { from, message } => match message.message() {
                Message::Status(status) if status.suspects && status.view.next() == next => {
                    let text = format!("replica {from} says that it suspects the primary");
                    self.note(next, "suspects", Some(*from), text);
                }
                message => self.message("received", next, Some(*from), message),
            },
            _ => {}
        }
    }

    /// The replica, which is in the view before `next`, asks for something.
    pub(crate) fn effect(&self, next: View, effect: &Effect) {
        match effect {
            Effect::Broadcast(message) => self.message("sent", next, None, message),
            Effect::ViewEntered(view) => {
                self.note(*view, "entered", None, format!("{view} has begun here"));
            }
            Effect::Contradiction(evidence) => {
                let text = format!("has proof: {}", evidence.summary());
                self.note(next, "contradiction", Some(evidence.signer()), text);
            }
            _ => {}
        }
    }

    fn message(&self, done: &str, next: View, from: Option<ReplicaId>, message: &Message) {
        let (view, signer, text) = match message {
            Message::ViewChange(vote) => {
                let stable = vote.body.stable.as_ref();
                let stable = stable.map_or(0, |of| of.checkpoint.sequence.0);
                let prepared = vote.body.prepared.len();
                let text = format!("stable up to n{stable}, {prepared} prepared above it");
                (vote.body.view, vote.signer, text)
            }
            Message::NewView(new_view) => {
                let body = &new_view.body;
                let wanted = body.view_changes.iter().map(|vote| vote.signer.to_string());
                let wanted: Vec<_> = wanted.collect();
                let again = body.pre_prepares.len();
                let wanted = wanted.join(", ");
                let text = format!("wanted by {wanted}; {again} sequence numbers taken over");
                (body.view, new_view.signer, text)
            }
            _ => return,
        };
        let kind = message.name();
        let text = format!("{done} the {kind} of replica {signer} for {view}: {text}");
        if view.0 > next.0.saturating_add(AHEAD) || self.knows(view, &text) {
            return;
        }
        let bytes = message.encode();
        self.add(ChronicleEvent {
            at_ms: clock::unix_ms(),
            view: view.0,
            kind,
            replica: from.map(|_| signer.0),
            text,
            message: Some(bytes).filter(|bytes| bytes.len() <= MAX_MESSAGE_BYTES),
        });
    }
}
