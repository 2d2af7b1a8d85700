//! Who signs for a replica.

use std::collections::VecDeque;

use crypto::{NetworkId, PublicKey, Signature, SigningKey};

use crate::ReplicaId;
use crate::message::{Body, Signed};

/// What a replica signs with.
#[derive(Clone)]
pub enum Signer {
    /// Its key.
    Key(SigningKey),
    /// Its key, and what it signs is to be had for a [journal](crate::journal).
    Recorded {
        /// The key.
        key: SigningKey,
        /// The signatures made since they were last taken, in their order.
        made: Vec<Signature>,
    },
    /// What a journal says that the key made: a replay has no key, and the same
    /// machine signs the same things in the same order.
    Replayed(VecDeque<Signature>),
}

impl From<SigningKey> for Signer {
    fn from(key: SigningKey) -> Self {
        Self::Key(key)
    }
}

impl Signer {
    /// Signs `body`. A replay that has nothing left signs with zeros, which is a
    /// difference to whatever was said then.
    pub(crate) fn sign<B: Body>(
        &mut self,
        body: B,
        signer: ReplicaId,
        network: &NetworkId,
    ) -> Signed<B> {
        match self {
            Self::Key(key) => Signed::sign(body, signer, key, network),
            Self::Recorded { key, made } => {
                let statement = Signed::sign(body, signer, key, network);
                made.push(statement.signature);
                statement
            }
            Self::Replayed(signatures) => Signed {
                body,
                signer,
                signature: signatures.pop_front().unwrap_or(Signature([0; 64])),
            },
        }
    }

    /// The key that its signatures hold under, where it has one.
    pub(crate) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Key(key) | Self::Recorded { key, .. } => Some(key.public()),
            Self::Replayed(_) => None,
        }
    }

    /// What was signed since this was last asked, where that is recorded.
    pub(crate) fn take_made(&mut self) -> Vec<Signature> {
        match self {
            Self::Recorded { made, .. } => std::mem::take(made),
            Self::Key(_) | Self::Replayed(_) => Vec::new(),
        }
    }
}
