//! From bytes to a transaction whose form is right and whose signatures hold.

use std::iter::once;
use std::ops::Range;
use std::sync::Arc;

use crypto::merkle::{ProofError, leaf_hash_of_parts};
use crypto::{
    Digest, Domain, NetworkId, OneByOne, PublicKey, SharedVerifier, SignedRoot, decode,
    encoded_length,
};

use super::{Limits, Refusal, Signer, Transaction, TransactionHash, form, leaf_of_hash};
use crate::proposal::{Proposal, TransactionId};

/// A transaction of the right form, whose signatures nobody has looked at.
#[derive(Clone, Debug)]
pub struct UncheckedTransaction {
    transaction: Box<Transaction>,
    id: TransactionId,
    hash: TransactionHash,
    /// The entry that the creator signed: the hash of all but the signature.
    signed: Digest,
    bytes: Arc<[u8]>,
    /// Where in `bytes` the effects stand.
    effects: Range<usize>,
}

impl UncheckedTransaction {
    /// The transaction with these canonical bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when its form is not right.
    ///
    pub fn decode(bytes: &[u8], network: &NetworkId, limits: &Limits) -> Result<Self, Refusal> {
        let transaction: Transaction = decode(bytes, limits.max_transaction_bytes)?;
        form::transaction(&transaction, network)?;
        // The encoding of a struct is that of its fields, in order.
        let proposal_end = encoded_length(&transaction.proposal);
        let signature_length = encoded_length(&transaction.signature);
        let (body, signature) = bytes.split_at(bytes.len() - signature_length);
        let (signed, hash) = Domain::Transaction.hash_both(body, signature);
        let effects_end = body.len() - encoded_length(&transaction.endorsements);
        Ok(Self {
            id: Proposal::id_of_bytes(&bytes[..proposal_end]),
            hash: TransactionHash(hash),
            signed,
            bytes: bytes.into(),
            effects: proposal_end..effects_end,
            transaction: Box::new(transaction),
        })
    }

    /// The transaction, of which nothing but its form is known.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The transaction's id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The hash of all its bytes.
    #[must_use]
    pub fn hash(&self) -> TransactionHash {
        self.hash
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Who claims to have made it.
    #[must_use]
    pub fn creator(&self) -> PublicKey {
        self.transaction.proposal.creator
    }

    /// What the creator must have signed, and then the endorsers in their order.
    fn signed_roots(&self) -> impl Iterator<Item = Result<SignedRoot, ProofError>> {
        let Transaction {
            proposal: Proposal { network, .. },
            endorsements,
            signature,
            ..
        } = self.transaction.as_ref();
        let (leaf, purpose) = (leaf_of_hash(&self.signed), (Domain::Transaction, network));
        let by_creator = signature.signed_root(self.creator(), purpose, &leaf);
        let effects = &self.bytes[self.effects.clone()];
        let leaf = leaf_hash_of_parts(&[self.id.0.as_bytes(), effects]);
        let endorsed = endorsements.iter();
        let by_endorsers = endorsed.map(move |each| each.signed_root(network, &leaf));
        once(by_creator).chain(by_endorsers)
    }

    /// Whose signature does not hold, of the creator and then the endorsers the first.
    fn forged(&self, one_by_one: &mut OneByOne<'_>) -> Option<Signer> {
        let endorsements = self.transaction.endorsements.iter();
        let endorsers = endorsements.map(|each| Signer::Endorser(each.endorser));
        let signers = once(Signer::Creator(self.creator())).chain(endorsers);
        let mut signed = signers.zip(self.signed_roots());
        let forged = signed.find(|(_, root)| !root.is_ok_and(|root| one_by_one.holds(root)));
        forged.map(|(signer, _)| signer)
    }
}

/// A transaction of the right form whose every signature holds. There is no
/// other way to one than through [`check_transactions`] and its kin.
#[derive(Clone, Debug)]
pub struct CheckedTransaction {
    transaction: Box<Transaction>,
    id: TransactionId,
    hash: TransactionHash,
    bytes: Arc<[u8]>,
}

impl CheckedTransaction {
    /// The transaction.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The hash of all its bytes.
    #[must_use]
    pub fn hash(&self) -> TransactionHash {
        self.hash
    }

    /// Its canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

/// Checks every signature of many transactions at once, which costs about half
/// of what checking them one by one does. Verdicts come in the order of the
/// transactions, and each depends on its own transaction alone.
#[must_use]
pub fn check_transactions(
    unchecked: Vec<UncheckedTransaction>,
) -> Vec<Result<CheckedTransaction, Refusal>> {
    check_each(unchecked, &SharedVerifier::default())
}

/// The same, but for signatures that `verifier` has seen to hold.
#[must_use]
pub fn check_each(
    unchecked: Vec<UncheckedTransaction>,
    verifier: &SharedVerifier,
) -> Vec<Result<CheckedTransaction, Refusal>> {
    match check_together(unchecked, verifier) {
        Ok(checked) => checked.into_iter().map(Ok).collect(),
        // One by one, not by halving: whoever floods a node with bad signatures
        // then costs it at most half as much again as without batching.
        Err(unchecked) => {
            let mut one_by_one = verifier.one_by_one();
            let unchecked = unchecked.into_iter();
            unchecked
                .map(|each| check_alone(each, &mut one_by_one))
                .collect()
        }
    }
}

/// Checks every signature of transactions that are most likely sound, but for those that
/// `verifier` has seen to hold.
///
/// # Errors
///
/// The transactions as they were when some signature does not hold.
pub fn check_together(
    unchecked: Vec<UncheckedTransaction>,
    verifier: &SharedVerifier,
) -> Result<Vec<CheckedTransaction>, Vec<UncheckedTransaction>> {
    let roots = unchecked
        .iter()
        .flat_map(UncheckedTransaction::signed_roots);
    let roots: Result<Vec<_>, ProofError> = roots.collect();
    if roots.is_ok_and(|roots| verifier.hold_together(roots)) {
        Ok(unchecked.into_iter().map(sound).collect())
    } else {
        Err(unchecked)
    }
}

fn check_alone(
    unchecked: UncheckedTransaction,
    one_by_one: &mut OneByOne<'_>,
) -> Result<CheckedTransaction, Refusal> {
    match unchecked.forged(one_by_one) {
        Some(signer) => Err(Refusal::BadSignature { signer }),
        None => Ok(sound(unchecked)),
    }
}

/// A transaction whose every signature was seen to hold.
fn sound(unchecked: UncheckedTransaction) -> CheckedTransaction {
    CheckedTransaction {
        transaction: unchecked.transaction,
        id: unchecked.id,
        hash: unchecked.hash,
        bytes: unchecked.bytes,
    }
}
