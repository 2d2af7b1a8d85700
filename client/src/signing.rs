//! Signing for the owner of a key what it wants signed at the same moment, with as few
//! signatures as may be: a client that has much under way has each of them checked by
//! every node.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crypto::{Digest, Domain, NetworkId, PublicKey, SharedSignature, SigningKey};
use tokio::sync::oneshot;

/// How much is signed with one signature: twice as much would spare nodes a half of
/// what is left of checking signatures, and cost them a hash more for every part.
const SIGNED_AT_ONCE: usize = 16;

/// How long more is waited for where something has company. What is alone waits for nothing.
const LINGER: Duration = Duration::from_millis(1);

/// What may share a signature: of one key, for one purpose, and likely to be looked at
/// by the same nodes at the same time, since it goes to the same node first.
type Kind = (PublicKey, Domain, usize);

/// Leaves, each once: of two that are equal, one could be passed off as the other.
type Waiting = BTreeMap<Digest, Vec<oneshot::Sender<SharedSignature>>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Signing {
    network: NetworkId,
    waiting: Mutex<BTreeMap<Kind, Waiting>>,
}

impl Signing {
    pub(crate) fn new(network: NetworkId) -> Self {
        Self {
            network,
            waiting: Mutex::default(),
        }
    }

    /// A signature for what has this leaf and goes to the node at `place` first.
    pub(crate) async fn sign(
        &self,
        leaf: Digest,
        place: usize,
        domain: Domain,
        key: &SigningKey,
    ) -> SharedSignature {
        let kind = (key.public(), domain, place);
        let (sender, signature) = oneshot::channel();
        self.waiting()
            .entry(kind)
            .or_default()
            .entry(leaf)
            .or_default()
            .push(sender);
        // Whoever is ready to want something signed has their turn before; and where some
        // had, more are likely to come.
        tokio::task::yield_now().await;
        if (2..SIGNED_AT_ONCE).contains(&self.company(kind)) {
            tokio::time::sleep(LINGER).await;
        }
        // The first to come back signs for all, whoever of them has given up.
        self.sign_all(kind, key);
        let alone = || SharedSignature::of_one(leaf, domain, &self.network, key);
        signature.await.unwrap_or_else(|_| alone())
    }

    fn sign_all(&self, kind: Kind, key: &SigningKey) {
        let waiting = self.waiting().remove(&kind).unwrap_or_default();
        let (leaves, senders): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let (_, domain, _) = kind;
        let signatures = leaves
            .chunks(SIGNED_AT_ONCE)
            .flat_map(|leaves| SharedSignature::of_all(leaves, domain, &self.network, key));
        for (signature, senders) in signatures.zip(senders) {
            for sender in senders {
                // Whoever wanted it may have given up.
                let _ = sender.send(signature.clone());
            }
        }
    }

    /// How much of this kind waits.
    fn company(&self, kind: Kind) -> usize {
        self.waiting().get(&kind).map_or(0, BTreeMap::len)
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Kind, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::FutureExt as _;
    use futures::future::{join, join_all};
    use tokio::time::timeout;

    use super::*;

    const NETWORK: NetworkId = Digest([7; 32]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    async fn sign(signing: &Signing, part: u8, key: &SigningKey) -> SharedSignature {
        let leaf = Digest([part; 32]);
        signing.sign(leaf, 0, Domain::Proposal, key).await
    }

    fn holds(signature: &SharedSignature, part: u8, key: &SigningKey) -> bool {
        let purpose = (Domain::Proposal, &NETWORK);
        let signed = signature.signed_root(key.public(), purpose, &Digest([part; 32]));
        signed.unwrap().claim().verify().is_ok()
    }

    #[tokio::test]
    async fn what_is_wanted_at_the_same_moment_has_one_signature_of_each_key() {
        let (signing, keys) = (Signing::new(NETWORK), [key(1), key(2)]);
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
    async fn what_is_for_another_purpose_or_node_has_a_signature_of_its_own() {
        let (signing, key, leaf) = (Signing::new(NETWORK), key(1), Digest([1; 32]));
        let kinds = [
            (Domain::Proposal, 0),
            (Domain::Proposal, 1),
            (Domain::Transaction, 0),
        ];
        let wanted = kinds.map(|(domain, place)| signing.sign(leaf, place, domain, &key));
        for (signature, (domain, _)) in join_all(wanted).await.into_iter().zip(kinds) {
            assert_eq!(signature.proof.size, 1);
            let signed = signature.signed_root(key.public(), (domain, &NETWORK), &leaf);
            signed.unwrap().claim().verify().unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_wanted_alone_is_signed_alone() {
        let (signing, key) = (Signing::new(NETWORK), key(1));
        for part in 0..3 {
            let signature = sign(&signing, part, &key).await;
            assert!(holds(&signature, part, &key));
            assert_eq!(signature.proof.size, 1);
        }
    }

    #[tokio::test]
    async fn what_is_wanted_twice_has_one_place() {
        let (signing, key) = (Signing::new(NETWORK), key(1));
        let (one, other) = join(sign(&signing, 1, &key), sign(&signing, 1, &key)).await;
        assert!(holds(&one, 1, &key));
        assert_eq!((one.proof.size, &one), (1, &other));
    }

    #[tokio::test]
    async fn who_gives_up_keeps_nobody_waiting() {
        let (signing, key) = (Signing::new(NETWORK), key(1));
        let first = sign(&signing, 0, &key).now_or_never();
        assert_eq!(first, None);
        let signature = sign(&signing, 1, &key).await;
        assert!(holds(&signature, 1, &key));
        assert_eq!(signature.proof.size, 2);
    }

    /// A client may outlive the runtimes that it is used in.
    #[test]
    fn a_runtime_that_has_ended_keeps_nobody_waiting() {
        let (signing, key) = (Signing::new(NETWORK), key(1));
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap()
        };
        runtime().block_on(async {
            assert_eq!(sign(&signing, 0, &key).now_or_never(), None);
        });
        let signature = runtime().block_on(async {
            let wanted = sign(&signing, 1, &key);
            timeout(Duration::from_mins(1), wanted).await.unwrap()
        });
        assert!(holds(&signature, 1, &key));
    }
}
