//! The view change: VIEW-CHANGE and NEW-VIEW (paper, 4.4).

use std::hash::{Hash, Hasher};

use crypto::Domain;
use crypto::codec::{Decode, Encode};

use super::{Body, PrePrepare, Signed};
use crate::{CheckpointCertificate, PreparedCertificate, View};

/// The sender has left every view before `view` and votes in none of them any
/// more. What it knows to be stable and what prepared at it is all that the
/// new view can be built on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ViewChange {
    /// The view it wants to move to.
    pub view: View,
    /// `C`: the proof of its low watermark `h`; none at genesis.
    pub stable: Option<CheckpointCertificate>,
    /// `P`: for every sequence number in `(h, H]` that prepared at the sender,
    /// the certificate of the latest view in which it did, in ascending order.
    pub prepared: Vec<PreparedCertificate>,
}

impl Body for ViewChange {
    const DOMAIN: Domain = Domain::ViewChange;
}

/// The primary of `view` begins it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewView {
    /// The view that begins.
    pub view: View,
    /// `V`: the VIEW-CHANGEs of a quorum, strictly ascending by signer.
    pub view_changes: Vec<Signed<ViewChange>>,
    /// `O`: what follows from `V` for every sequence number from the newest
    /// stable checkpoint in it to the highest that prepared, in ascending order.
    pub pre_prepares: Vec<Signed<PrePrepare>>,
}

/// VIEW-CHANGEs that lead to the same prove the same, whoever signed them.
impl Hash for NewView {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let stable = self.view_changes.iter().map(|vote| &vote.body.stable);
        let newest = stable.flatten().max_by_key(|of| of.checkpoint.sequence);
        (self.view, newest, &self.pre_prepares).hash(hasher);
    }
}

impl Body for NewView {
    const DOMAIN: Domain = Domain::NewView;
}
