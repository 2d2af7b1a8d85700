//! From bytes to a transaction whose form is right and whose signatures hold.

use std::sync::Arc;

use crypto::{Claim, Digest, Domain, NetworkId, PublicKey, decode, encode, hold_together};

use super::{Limits, Refusal, SIGNATURE_BYTES, Signer, Transaction, TransactionHash, form};
use crate::proposal::{Proposal, TransactionId};

/// A transaction of the right form, whose signatures nobody has looked at.
#[derive(Clone, Debug)]
pub struct UncheckedTransaction {
    transaction: Transaction,
    id: TransactionId,
    hash: TransactionHash,
    /// The hash of what the creator signed: of all but the signature.
    signed: Digest,
    bytes: Arc<[u8]>,
    /// Where in `bytes` the proposal ends and its effects begin.
    proposal_end: usize,
}

impl UncheckedTransaction {
    /// The transaction with these canonical bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when its form is not right.
    ///
    /// # Panics
    ///
    /// Never: canonical bytes begin with those of the first field.
    pub fn decode(bytes: &[u8], network: &NetworkId, limits: &Limits) -> Result<Self, Refusal> {
        let transaction: Transaction = decode(bytes, limits.max_transaction_bytes)?;
        form::transaction(&transaction, network)?;
        let proposal = encode(&transaction.proposal);
        assert!(
            bytes.starts_with(&proposal),
            "the encoding of a struct is that of its fields, in order"
        );
        let (body, signature) = bytes.split_at(bytes.len() - SIGNATURE_BYTES);
        let (signed, hash) = Domain::Transaction.hash_both(body, signature);
        Ok(Self {
            id: Proposal::id_of_bytes(&proposal),
            hash: TransactionHash(hash),
            signed,
            bytes: bytes.into(),
            proposal_end: proposal.len(),
            transaction,
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

    /// What must hold for this to be a transaction: first the creator's
    /// signature, then each endorser's, in their order.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        let Transaction {
            proposal,
            endorsements,
            signature,
            ..
        } = &self.transaction;
        let network = &proposal.network;
        let (domain, signed) = (Domain::Transaction, &self.signed);
        let mut claims = Vec::with_capacity(1 + endorsements.len());
        let creator = proposal.creator;
        claims.push(Claim::over_hash(
            creator, signature, domain, network, signed,
        ));
        let (domain, endorsed) = (Domain::Endorsement, self.endorsed());
        claims.extend(endorsements.iter().map(|each| {
            let signature = &each.signature;
            Claim::over_hash(each.endorser, signature, domain, network, &endorsed)
        }));
        claims
    }

    /// The hash of what endorsers signed, whose bytes but the id are among the
    /// transaction's own.
    fn endorsed(&self) -> Digest {
        let tail = encode(&self.transaction.endorsements).len() + SIGNATURE_BYTES;
        let effects = &self.bytes[self.proposal_end..self.bytes.len() - tail];
        Domain::Endorsement.hash_parts(&[self.id.0.as_bytes(), effects])
    }

    fn signer(&self, claim: usize) -> Signer {
        match claim.checked_sub(1) {
            None => Signer::Creator(self.transaction.proposal.creator),
            Some(at) => Signer::Endorser(self.transaction.endorsements[at].endorser),
        }
    }
}

/// A transaction of the right form whose every signature holds. There is no
/// other way to one than through [`check_transactions`].
#[derive(Clone, Debug)]
pub struct CheckedTransaction {
    transaction: Transaction,
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
        Err(unchecked) => unchecked.into_iter().map(check_alone).collect(),
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
    let claims: Vec<Claim> = unchecked
        .iter()
        .flat_map(UncheckedTransaction::claims)
        .collect();
    if !hold_together(&claims) {
        return Err(unchecked);
    }
    Ok(unchecked.into_iter().map(sound).collect())
}

fn check_alone(unchecked: UncheckedTransaction) -> Result<CheckedTransaction, Refusal> {
    let failed = unchecked
        .claims()
        .iter()
        .position(|it| it.verify().is_err());
    match failed {
        Some(claim) => Err(Refusal::BadSignature {
            signer: unchecked.signer(claim),
        }),
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
