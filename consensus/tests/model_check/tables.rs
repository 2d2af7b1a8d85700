//! What the checker meets again and again, kept once: messages with their
//! verified form, states of replicas with what follows from them, and sets of
//! messages.
//!
//! A replica is a function of its state and what happens to it, so every step of
//! it is made once, however many states of the whole network it is part of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use consensus::{Evidence, Message, ReplicaId, SequenceNumber, Verified, Verifier, View};
use crypto::Digest;

use crate::adversary::Adversary;
use crate::local::{Local, Outcome, identity, speaks};
use crate::silence::Step;

/// A message that somebody has said or can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageId(u32);

/// What can happen to one correct replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Arrives(MessageId),
    Examines,
    Executes,
    Leaves,
    Proposes,
}

/// What comes of it.
#[derive(Clone)]
struct Consequence {
    state: Arc<LocalState>,
    said: Vec<MessageId>,
}

/// The state of one correct replica, under a small number.
pub(crate) struct LocalState {
    pub(crate) number: u32,
    local: Local,
    consequences: RwLock<BTreeMap<Happening, Option<Consequence>>>,
    /// By the number of what is known.
    pub(crate) steps: RwLock<BTreeMap<u32, Arc<[Step]>>>,
}

impl LocalState {
    pub(crate) fn outcome(&self) -> &Outcome {
        self.local.outcome()
    }
}

/// What can be delivered, under a small number: what correct replicas have said
/// and all that Byzantine ones can say then.
pub(crate) struct Known {
    pub(crate) number: u32,
    pub(crate) messages: Vec<MessageId>,
    /// Whether some correct replica has contradicted itself.
    pub(crate) contradictory: bool,
}

/// Things of which each has a number.
struct Numbered<K, V>(RwLock<BTreeMap<K, Arc<V>>>);

impl<K: Ord, V> Numbered<K, V> {
    fn new() -> Self {
        Self(RwLock::default())
    }

    fn get_or_make(&self, key: K, make: impl FnOnce(u32) -> V) -> Arc<V> {
        let mut all = self.0.write().unwrap();
        let number = u32::try_from(all.len()).unwrap();
        Arc::clone(all.entry(key).or_insert_with(|| Arc::new(make(number))))
    }

    fn count(&self) -> usize {
        self.0.read().unwrap().len()
    }
}

/// What the world does and what it does not.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// Batches are examined and executed as soon as that is asked for.
    pub(crate) prompt: bool,
    /// CHECKPOINTs arrive.
    pub(crate) attested: bool,
}

/// Messages that pass the door, and the place of each.
#[derive(Default)]
struct Messages {
    all: Vec<Arc<Verified>>,
    places: BTreeMap<Digest, MessageId>,
}

pub(crate) struct Tables {
    verifier: Verifier,
    adversary: Adversary,
    terms: Terms,
    messages: RwLock<Messages>,
    locals: Numbered<Digest, LocalState>,
    known: Numbered<Vec<MessageId>, Known>,
    /// What is known when this was said.
    closures: RwLock<BTreeMap<Vec<MessageId>, Arc<Known>>>,
}

impl Tables {
    pub(crate) fn new(verifier: Verifier, adversary: Adversary, terms: Terms) -> Self {
        Self {
            verifier,
            adversary,
            terms,
            messages: RwLock::default(),
            locals: Numbered::new(),
            known: Numbered::new(),
            closures: RwLock::default(),
        }
    }

    pub(crate) fn adversary(&self) -> &Adversary {
        &self.adversary
    }

    /// How many messages there were, and states of replicas.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let messages = self.messages.read().unwrap().all.len();
        (messages, self.locals.count())
    }

    pub(crate) fn message(&self, id: MessageId) -> Arc<Verified> {
        Arc::clone(&self.messages.read().unwrap().all[id.0 as usize])
    }

    /// The name of a message; none if it does not pass the door.
    fn name(&self, message: Message) -> Option<MessageId> {
        let identity = identity(&message);
        if let Some(known) = self.messages.read().unwrap().places.get(&identity) {
            return Some(*known);
        }
        let verified = self.verifier.verify(message).ok()?;
        let Messages { all, places } = &mut *self.messages.write().unwrap();
        let id = places.entry(identity).or_insert_with(|| {
            all.push(Arc::new(verified));
            MessageId(u32::try_from(all.len() - 1).unwrap())
        });
        Some(*id)
    }

    /// A replica at its beginning.
    pub(crate) fn beginning(&self, local: Local) -> Arc<LocalState> {
        self.at_rest(local).state
    }

    fn at_rest(&self, mut local: Local) -> Consequence {
        let said = local.take_said().into_iter();
        let said = said.filter(|message| match message {
            Message::Status(_) => false,
            Message::Checkpoint(_) => self.terms.attested,
            _ => true,
        });
        let said = said.map(|message| self.name(message).expect("what is said passes the door"));
        let said = said.collect();
        let state = self
            .locals
            .get_or_make(local.identity(), |number| LocalState {
                number,
                local,
                consequences: RwLock::default(),
                steps: RwLock::default(),
            });
        Consequence { state, said }
    }

    /// What there is when this has happened; nothing when it cannot, or when it
    /// changes nothing.
    pub(crate) fn step(
        &self,
        state: &LocalState,
        known: &Arc<Known>,
        happening: Happening,
    ) -> Option<Step> {
        let Consequence { state: next, said } = self.consequence(state, happening)?;
        let known_next = self.grown(known, &said);
        let changes = next.number != state.number || known_next.number != known.number;
        changes.then(|| Step {
            happenings: vec![happening],
            state: next,
            known: known_next,
        })
    }

    /// What comes of it when this happens; nothing when it cannot.
    fn consequence(&self, state: &LocalState, happening: Happening) -> Option<Consequence> {
        if let Some(known) = state.consequences.read().unwrap().get(&happening) {
            return known.clone();
        }
        let consequence = self.let_happen(&state.local, happening);
        let mut consequences = state.consequences.write().unwrap();
        consequences.insert(happening, consequence.clone());
        consequence
    }

    fn let_happen(&self, local: &Local, happening: Happening) -> Option<Consequence> {
        let mut next = local.clone();
        match happening {
            Happening::Arrives(id) => next.arrive(self.message(id).as_ref().clone()),
            Happening::Examines if local.has_to_examine() => next.examine(),
            Happening::Executes if local.has_to_execute() => next.execute(),
            Happening::Leaves if local.may_leave(self.adversary.last_view) => next.leave(),
            Happening::Proposes if local.may_propose() => next.propose(),
            _ => return None,
        }
        let lies = next.take_contradictions();
        if let Happening::Arrives(id) = happening
            && is_only_proof(self.message(id).message(), &lies)
        {
            return None;
        }
        while self.terms.prompt && (next.has_to_examine() || next.has_to_execute()) {
            if next.has_to_examine() {
                next.examine();
            } else {
                next.execute();
            }
        }
        Some(self.at_rest(next))
    }

    /// What is known once this was said as well.
    fn grown(&self, known: &Arc<Known>, said: &[MessageId]) -> Arc<Known> {
        let is_known = |id: &MessageId| known.messages.binary_search(id).is_ok();
        if said.iter().all(is_known) {
            return Arc::clone(known);
        }
        let all = known.messages.iter().chain(said).copied();
        self.closed(all.collect())
    }

    /// What is known before anybody has said anything.
    pub(crate) fn opening(&self) -> Arc<Known> {
        let said = self.adversary.opening().into_iter();
        self.closed(said.filter_map(|message| self.name(message)).collect())
    }

    /// This and all that Byzantine replicas can add.
    fn closed(&self, said: BTreeSet<MessageId>) -> Arc<Known> {
        let said: Vec<_> = said.into_iter().collect();
        if let Some(known) = self.closures.read().unwrap().get(&said) {
            return Arc::clone(known);
        }
        let mut all: BTreeSet<_> = said.iter().copied().collect();
        loop {
            let before = all.len();
            let messages: Vec<_> = all.iter().map(|id| self.message(*id)).collect();
            let messages: Vec<_> = messages.iter().map(|of| of.message()).collect();
            let replies = self.adversary.replies(&messages).into_iter();
            all.extend(replies.filter_map(|message| self.name(message)));
            if all.len() == before {
                break;
            }
        }
        let all: Vec<_> = all.into_iter().collect();
        let known = self.known.get_or_make(all.clone(), |number| Known {
            number,
            contradictory: self.is_contradictory(&all),
            messages: all,
        });
        let mut closures = self.closures.write().unwrap();
        closures.insert(said, Arc::clone(&known));
        known
    }

    /// Whether some correct replica has made two statements of which it may
    /// make one.
    fn is_contradictory(&self, messages: &[MessageId]) -> bool {
        let places = messages
            .iter()
            .filter_map(|id| place(self.message(*id).message()));
        let mut correct = places.filter(|place| !self.adversary.replicas.contains(&place.0));
        let mut places = BTreeSet::new();
        correct.any(|place| !places.insert(place))
    }
}

/// Who says what kind of thing about which view and sequence number: a correct
/// replica says one.
fn place(message: &Message) -> Option<(ReplicaId, &'static str, View, SequenceNumber)> {
    let (view, sequence) = match message {
        Message::PrePrepare(of) => (of.pre_prepare.body.view, of.pre_prepare.body.sequence),
        Message::Prepare(of) => (of.body.view, of.body.sequence),
        Message::Commit(of) => (of.body.view, of.body.sequence),
        Message::Checkpoint(of) => (View::default(), of.body.sequence),
        Message::ViewChange(of) => (of.body.view, SequenceNumber::GENESIS),
        Message::NewView(of) => (of.body.view, SequenceNumber::GENESIS),
        Message::CheckpointCertificate(_) | Message::Status(_) => return None,
    };
    Some((speaks(message)?, message.name(), view, sequence))
}

/// Whether nothing came of a message but the proof that its speaker has
/// contradicted itself. What may follow from that is that the receiver leaves
/// the view, which it can at any time.
fn is_only_proof(message: &Message, lies: &[Evidence]) -> bool {
    match message {
        // It may show that another replica did, and is a VIEW-CHANGE besides.
        Message::ViewChange(_) => lies.iter().any(|of| matches!(of, Evidence::ViewChange(..))),
        _ => !lies.is_empty(),
    }
}
