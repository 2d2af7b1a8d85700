//! From bytes to a transaction whose form is right and whose signatures hold.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crypto::merkle::{ProofError, leaf_hash_of_parts};
use crypto::{Claim, Digest, Domain, NetworkId, PublicKey, decode, encoded_length, hold_together};

use super::{Limits, Refusal, SIGNATURE_BYTES, Signer, Transaction, TransactionHash, form};
use crate::endorsement::{EndorsementVerifier, SignedRoot};
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
        let (body, signature) = bytes.split_at(bytes.len() - SIGNATURE_BYTES);
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

    /// What must hold of the creator.
    fn creator_claim(&self) -> Claim {
        let Transaction {
            proposal,
            signature,
            ..
        } = self.transaction.as_ref();
        let (creator, network) = (proposal.creator, &proposal.network);
        Claim::over_hash(
            creator,
            signature,
            Domain::Transaction,
            network,
            &self.signed,
        )
    }

    /// What the endorsers must have signed, in their order.
    fn signed_roots(&self) -> impl Iterator<Item = Result<SignedRoot, ProofError>> {
        let effects = &self.bytes[self.effects.clone()];
        let leaf = leaf_hash_of_parts(&[self.id.0.as_bytes(), effects]);
        let endorsements = self.transaction.endorsements.iter();
        endorsements.map(move |each| each.signed_root(&leaf))
    }

    /// Whose signature does not hold, of the creator and then the endorsers the first.
    fn forged(&self, endorsements: &EndorsementVerifier) -> Option<Signer> {
        if self.creator_claim().verify().is_err() {
            return Some(Signer::Creator(self.creator()));
        }
        let network = self.transaction.proposal.network;
        let mut endorsed = self
            .transaction
            .endorsements
            .iter()
            .zip(self.signed_roots());
        let forged = endorsed.find(|(_, signed)| match signed {
            Ok(signed) => !endorsements.holds(*signed, &network),
            Err(_) => true,
        });
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
            let endorsements = EndorsementVerifier::default();
            let unchecked = unchecked.into_iter();
            unchecked
                .map(|each| check_alone(each, &endorsements))
                .collect()
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
        Ok(claims) if hold_together(&claims) => Ok(unchecked.into_iter().map(sound).collect()),
        _ => Err(unchecked),
    }
}

/// What must hold of all transactions, that of a signature of an endorser once.
fn claims(unchecked: &[UncheckedTransaction]) -> Result<Vec<Claim>, ProofError> {
    let mut claims = Vec::with_capacity(2 * unchecked.len());
    let mut roots = BTreeSet::new();
    for each in unchecked {
        claims.push(each.creator_claim());
        let network = each.transaction.proposal.network;
        for signed in each.signed_roots() {
            let signed = signed?;
            if roots.insert((network, signed)) {
                claims.push(signed.claim(&network));
            }
        }
    }
    Ok(claims)
}

fn check_alone(
    unchecked: UncheckedTransaction,
    endorsements: &EndorsementVerifier,
) -> Result<CheckedTransaction, Refusal> {
    match unchecked.forged(endorsements) {
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
