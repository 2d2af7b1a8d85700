//! Signing for the owner of a key what it wants signed at the same moment, with as few
//! signatures as may be: a client that has much under way has each of them checked by
//! every node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crypto::{Digest, Domain, NetworkId, PublicKey, SharedSignature, SigningKey};
use tokio::sync::oneshot;

/// How much is signed with one signature: twice as much would spare nodes a half of
/// what is left of checking signatures, and cost them a hash more for every part.
const SIGNED_AT_ONCE: usize = 16;

/// What may share a signature: of one key, for one purpose, and likely to be looked at
/// by the same nodes at the same time, since it goes to the same node first.
type Kind = (PublicKey, Domain, usize);

type Waiting = Vec<(Digest, oneshot::Sender<SharedSignature>)>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Signing(Mutex<BTreeMap<Kind, Waiting>>);

impl Signing {
    /// A signature for what has this leaf and goes to the node at `place` first.
    pub(crate) async fn sign(
        self: &Arc<Self>,
        leaf: Digest,
        place: usize,
        (domain, network): (Domain, &NetworkId),
        key: &SigningKey,
    ) -> SharedSignature {
        let kind = (key.public(), domain, place);
        let (sender, signature) = oneshot::channel();
        let is_first = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = waiting.entry(kind).or_default();
            waiting.push((leaf, sender));
            waiting.len() == 1
        };
        if is_first {
            // A task of its own: others wait for it even if this one is given up.
            let (signing, network, key) = (self.clone(), *network, key.clone());
            tokio::spawn(async move {
                // Whoever is ready to want something signed has their turn before.
                tokio::task::yield_now().await;
                signing.sign_all(kind, &network, &key);
            });
        }
        // Its task is gone only when all tasks are made to go.
        let alone = || SharedSignature::of_one(leaf, domain, network, key);
        signature.await.unwrap_or_else(|_| alone())
    }

    fn sign_all(&self, kind: Kind, network: &NetworkId, key: &SigningKey) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = waiting.remove(&kind).unwrap_or_default();
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(SIGNED_AT_ONCE));
            let (leaves, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
            let (_, domain, _) = kind;
            let signatures = SharedSignature::of_all(&leaves, domain, network, key);
            for (sender, signature) in senders.into_iter().zip(signatures) {
                // Whoever wanted it may have given up.
                let _ = sender.send(signature);
            }
            waiting = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    const NETWORK: NetworkId = Digest([7; 32]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    async fn sign(signing: &Arc<Signing>, part: u8, key: &SigningKey) -> SharedSignature {
        let purpose = (Domain::Proposal, &NETWORK);
        signing.sign(Digest([part; 32]), 0, purpose, key).await
    }

    fn holds(signature: &SharedSignature, part: u8, key: &SigningKey) -> bool {
        let signed = signature.signed_root(key.public(), &Digest([part; 32]));
        let claim = signed.unwrap().claim(Domain::Proposal, &NETWORK);
        claim.verify().is_ok()
    }

    #[tokio::test]
    async fn what_is_wanted_at_the_same_moment_has_one_signature_of_each_key() {
        let (signing, keys) = (Arc::new(Signing::default()), [key(1), key(2)]);
        let parts = 0..40_u8;
        let wanted = parts.map(async |part| {
            let key = &keys[usize::from(part % 2)];
            let signature = sign(&signing, part, key).await;
            assert!(holds(&signature, part, key));
            (part % 2, signature.signature)
        });
        let signatures: BTreeSet<_> = join_all(wanted).await.into_iter().collect();
        // Twenty of each key: sixteen, and four.
        assert_eq!(signatures.len(), 4);
    }

    #[tokio::test]
    async fn what_is_wanted_alone_is_signed_alone() {
        let (signing, key) = (Arc::new(Signing::default()), key(1));
        for part in 0..3 {
            let signature = sign(&signing, part, &key).await;
            assert!(holds(&signature, part, &key));
            assert_eq!(signature.proof.size, 1);
        }
    }

    #[tokio::test]
    async fn who_gives_up_keeps_nobody_waiting() {
        let (signing, key) = (Arc::new(Signing::default()), key(1));
        let first = sign(&signing, 0, &key).now_or_never();
        assert_eq!(first, None);
        let signature = sign(&signing, 1, &key).await;
        assert!(holds(&signature, 1, &key));
        assert_eq!(signature.proof.size, 2);
    }
}
