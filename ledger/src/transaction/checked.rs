//! From bytes to a transaction whose form is right and whose signatures hold.

use std::ops::Range;
use std::sync::Arc;

use crypto::merkle::{ProofError, leaf_hash_of_parts};
use crypto::{
    Digest, Domain, NetworkId, PublicKey, SharedClaims, SharedVerifier, SignedRoot, decode,
    encoded_length, hold_together,
};

use super::{Limits, Refusal, Signer, Transaction, TransactionHash, form, leaf_of_hash};
use crate::proposal::{Proposal, TransactionId};

/// A transaction of the right form, whose signatures nobody has looked at.
#[derive(Clone, Debug)]
pub struct UncheckedTransaction {
    transaction: Box<Transaction>,
    id: TransactionId,
    hash: TransactionHash,
    /// The hash of what the creator signed: of all but the signature.
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

    /// What the creator must have signed.
    fn signed_by_creator(&self) -> Result<SignedRoot, ProofError> {
        let leaf = leaf_of_hash(&self.signed);
        let signature = &self.transaction.signature;
        signature.signed_root(self.creator(), &leaf)
    }

    /// What the endorsers must have signed, in their order.
    fn signed_by_endorsers(&self) -> impl Iterator<Item = Result<SignedRoot, ProofError>> {
        let effects = &self.bytes[self.effects.clone()];
        let leaf = leaf_hash_of_parts(&[self.id.0.as_bytes(), effects]);
        let endorsements = self.transaction.endorsements.iter();
        endorsements.map(move |each| each.signed_root(&leaf))
    }

    /// Whose signature does not hold, of the creator and then the endorsers the first.
    fn forged(&self, verifier: &SharedVerifier) -> Option<Signer> {
        let network = &self.transaction.proposal.network;
        let is_forged = |signed: Result<SignedRoot, ProofError>, domain| match signed {
            Ok(signed) => !verifier.holds(signed, domain, network),
            Err(_) => true,
        };
        if is_forged(self.signed_by_creator(), Domain::Transaction) {
            return Some(Signer::Creator(self.creator()));
        }
        let endorsements = self.transaction.endorsements.iter();
        let mut endorsed = endorsements.zip(self.signed_by_endorsers());
        let forged = endorsed.find(|(_, signed)| is_forged(*signed, Domain::Endorsement));
        forged.map(|(endorsement, _)| Signer::Endorser(endorsement.endorser))
    }
}

/// A transaction of the right form whose every signature holds. There is no
/// other way to one than through [`check_transactions`].
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
    match check_together(unchecked) {
        Ok(checked) => checked.into_iter().map(Ok).collect(),
        // One by one, not by halving: whoever floods a node with bad signatures
        // then costs it at most half as much again as without batching.
        Err(unchecked) => {
            let verifier = SharedVerifier::default();
            let unchecked = unchecked.into_iter();
            unchecked.map(|each| check_alone(each, &verifier)).collect()
        }
    }
}

/// Checks every signature of transactions that are most likely sound.
///
/// # Errors
///
/// The transactions as they were when some signature does not hold.
pub fn check_together(
    unchecked: Vec<UncheckedTransaction>,
) -> Result<Vec<CheckedTransaction>, Vec<UncheckedTransaction>> {
    match claims(&unchecked) {
        Ok(claims) if hold_together(claims.all()) => Ok(unchecked.into_iter().map(sound).collect()),
        _ => Err(unchecked),
    }
}

/// What must hold of all transactions.
fn claims(unchecked: &[UncheckedTransaction]) -> Result<SharedClaims, ProofError> {
    let mut claims = SharedClaims::default();
    for each in unchecked {
        let network = &each.transaction.proposal.network;
        claims.add(each.signed_by_creator()?, Domain::Transaction, network);
        for signed in each.signed_by_endorsers() {
            claims.add(signed?, Domain::Endorsement, network);
        }
    }
    Ok(claims)
}

fn check_alone(
    unchecked: UncheckedTransaction,
    verifier: &SharedVerifier,
) -> Result<CheckedTransaction, Refusal> {
    match unchecked.forged(verifier) {
        Some(signer) => Err(Refusal::BadSignature { signer }),
        None => Ok(sound(unchecked)),
    }
}

/// What all claims of `unchecked` were seen to hold for.
fn sound(unchecked: UncheckedTransaction) -> CheckedTransaction {
    CheckedTransaction {
        transaction: unchecked.transaction,
        id: unchecked.id,
        hash: unchecked.hash,
        bytes: unchecked.bytes,
    }
}
