//! A statement and the signature of the replica that makes it.

use std::hash::{Hash, Hasher};

use crypto::codec::{self, Decode, Encode};
use crypto::{Claim, Domain, NetworkId, PublicKey, Signature, SigningKey};

use crate::ReplicaId;

/// A statement that replicas sign, each kind in a domain of its own.
pub trait Body: Encode {
    /// What a signature over this kind of statement is for.
    const DOMAIN: Domain;
}

/// A statement, who claims to make it, and the proof that they did. Whether
/// the proof holds is for the [`Verifier`](crate::Verifier) to say.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed<B> {
    /// The statement.
    pub body: B,
    /// Who makes it.
    pub signer: ReplicaId,
    /// Their signature over the network and the statement.
    pub signature: Signature,
}

/// The signature follows from the rest.
impl<B: Hash> Hash for Signed<B> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.body, self.signer).hash(hasher);
    }
}

impl<B: Body> Signed<B> {
    /// Signs `body` as `signer`.
    #[must_use]
    pub fn sign(body: B, signer: ReplicaId, key: &SigningKey, network: &NetworkId) -> Self {
        let signature = key.sign(B::DOMAIN, network, &codec::encode(&body));
        Self {
            body,
            signer,
            signature,
        }
    }

    /// The claim that the holder of `key` made this statement.
    #[must_use]
    pub fn claim(&self, key: PublicKey, network: &NetworkId) -> Claim {
        Claim::new(
            key,
            &self.signature,
            B::DOMAIN,
            network,
            &codec::encode(&self.body),
        )
    }
}
