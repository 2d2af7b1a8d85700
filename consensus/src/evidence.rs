//! Evidence: two signed statements by which a replica contradicts itself.
//!
//! A correct replica never makes two such statements, also not over a crash
//! (it makes durable what it says before it says it), and nobody else can make
//! them in its name. Whoever knows the replicas' keys can check it.

use crypto::codec::{self, CodecError, Decode, Encode};
use crypto::{Claim, Digest, NetworkId};

use crate::message::{Body, Checkpoint, Commit, NewView, PrePrepare, Prepare, Signed, ViewChange};
use crate::{Rejection, ReplicaId, ReplicaSet, View};

/// Two statements of one replica of which a correct one makes at most one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Evidence {
    /// Two batches assigned to one sequence number in one view.
    PrePrepare(Signed<PrePrepare>, Signed<PrePrepare>),
    /// Two batches agreed to at one sequence number in one view.
    Prepare(Signed<Prepare>, Signed<Prepare>),
    /// Two batches committed to at one sequence number in one view.
    Commit(Signed<Commit>, Signed<Commit>),
    /// Two outcomes of one sequence number.
    Checkpoint(Signed<Checkpoint>, Signed<Checkpoint>),
    /// Two accounts of what prepared, for one view.
    ViewChange(Box<Signed<ViewChange>>, Box<Signed<ViewChange>>),
    /// Two beginnings of one view.
    NewView(Box<Signed<NewView>>, Box<Signed<NewView>>),
}

impl Evidence {
    /// The largest encoding of a piece of evidence, in bytes: two messages.
    pub const MAX_BYTES: usize = 2 * crate::Message::MAX_BYTES;

    /// The same evidence with its statements in the order of their bytes, so
    /// that one contradiction has one name, whoever found it.
    #[must_use]
    pub fn ordered(self) -> Self {
        match self {
            Self::PrePrepare(a, b) => in_order(a, b, Self::PrePrepare),
            Self::Prepare(a, b) => in_order(a, b, Self::Prepare),
            Self::Commit(a, b) => in_order(a, b, Self::Commit),
            Self::Checkpoint(a, b) => in_order(a, b, Self::Checkpoint),
            Self::ViewChange(a, b) => in_order(a, b, Self::ViewChange),
            Self::NewView(a, b) => in_order(a, b, Self::NewView),
        }
    }

    /// Who contradicts itself.
    #[must_use]
    pub fn signer(&self) -> ReplicaId {
        match self {
            Self::PrePrepare(first, _) => first.signer,
            Self::Prepare(first, _) => first.signer,
            Self::Commit(first, _) => first.signer,
            Self::Checkpoint(first, _) => first.signer,
            Self::ViewChange(first, _) => first.signer,
            Self::NewView(first, _) => first.signer,
        }
    }

    /// The name of the messages in the paper.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::PrePrepare(..) => "PRE-PREPARE",
            Self::Prepare(..) => "PREPARE",
            Self::Commit(..) => "COMMIT",
            Self::Checkpoint(..) => "CHECKPOINT",
            Self::ViewChange(..) => "VIEW-CHANGE",
            Self::NewView(..) => "NEW-VIEW",
        }
    }

    /// The view in which it was done, where the messages name one.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        match self {
            Self::PrePrepare(first, _) => Some(first.body.view),
            Self::Prepare(first, _) => Some(first.body.view),
            Self::Commit(first, _) => Some(first.body.view),
            Self::Checkpoint(..) => None,
            Self::ViewChange(first, _) => Some(first.body.view),
            Self::NewView(first, _) => Some(first.body.view),
        }
    }

    /// What it is about, in words.
    #[must_use]
    pub fn summary(&self) -> String {
        let (signer, message) = (self.signer(), self.message());
        let of = |view: View, sequence, first: Digest, second: Digest| {
            let (first, second) = (first.short(), second.short());
            format!(
                "replica {signer} signed {message} for {view} {sequence} with {first} and with {second}"
            )
        };
        match self {
            Self::PrePrepare(a, b) => {
                let body = a.body;
                of(body.view, body.sequence, body.digest.0, b.body.digest.0)
            }
            Self::Prepare(a, b) => {
                let body = a.body;
                of(body.view, body.sequence, body.digest.0, b.body.digest.0)
            }
            Self::Commit(a, b) => {
                let body = a.body;
                of(body.view, body.sequence, body.digest.0, b.body.digest.0)
            }
            Self::Checkpoint(a, b) => format!(
                "replica {signer} signed {message} for {} with {} and with {}",
                a.body.sequence, a.body.digest, b.body.digest
            ),
            Self::ViewChange(a, _) => {
                format!(
                    "replica {signer} signed two different {message} for {}",
                    a.body.view
                )
            }
            Self::NewView(a, _) => {
                format!(
                    "replica {signer} signed two different {message} for {}",
                    a.body.view
                )
            }
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The evidence of these bytes, believed by nobody before it is verified.
    ///
    /// # Errors
    ///
    /// When they are too many or no canonical encoding of evidence.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, Self::MAX_BYTES)
    }

    /// Checks that both statements are of one replica of the set, that they
    /// contradict each other, and that both signatures hold. What the
    /// statements carry inside is not looked at: to have signed two is the fault.
    ///
    /// # Errors
    ///
    /// Why it proves nothing.
    pub fn verify(&self, replicas: &ReplicaSet, network: &NetworkId) -> Result<(), Rejection> {
        match self {
            Self::PrePrepare(a, b) => {
                let place = |of: &PrePrepare| (of.view, of.sequence);
                contradict(place(&a.body) == place(&b.body), a, b, replicas, network)
            }
            Self::Prepare(a, b) => {
                let place = |of: &Prepare| (of.view, of.sequence);
                contradict(place(&a.body) == place(&b.body), a, b, replicas, network)
            }
            Self::Commit(a, b) => {
                let place = |of: &Commit| (of.view, of.sequence);
                contradict(place(&a.body) == place(&b.body), a, b, replicas, network)
            }
            Self::Checkpoint(a, b) => {
                let same = a.body.sequence == b.body.sequence;
                contradict(same, a, b, replicas, network)
            }
            Self::ViewChange(a, b) => {
                contradict(a.body.view == b.body.view, a, b, replicas, network)
            }
            Self::NewView(a, b) => contradict(a.body.view == b.body.view, a, b, replicas, network),
        }
    }
}

fn in_order<S: Encode>(a: S, b: S, kind: impl Fn(S, S) -> Evidence) -> Evidence {
    if codec::encode(&a) <= codec::encode(&b) {
        kind(a, b)
    } else {
        kind(b, a)
    }
}

fn contradict<B: Body + PartialEq>(
    same_place: bool,
    first: &Signed<B>,
    second: &Signed<B>,
    replicas: &ReplicaSet,
    network: &NetworkId,
) -> Result<(), Rejection> {
    if !same_place || first.signer != second.signer || first.body == second.body {
        return Err(Rejection::NoContradiction);
    }
    let signer = first.signer;
    let key = replicas
        .key(signer)
        .ok_or(Rejection::UnknownReplica(signer))?;
    let claims: [Claim; 2] = [first.claim(key, network), second.claim(key, network)];
    if claims.iter().all(|claim| claim.verify().is_ok()) {
        Ok(())
    } else {
        let message = "evidence";
        Err(Rejection::BadSignature { message, signer })
    }
}
