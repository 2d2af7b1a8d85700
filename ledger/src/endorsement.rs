//! What an endorser answers: what a proposal would do, under its signature.

use crypto::codec::{Decode, Encode};
use crypto::{Claim, Domain, NetworkId, PublicKey, Signature, SigningKey, encode};
use serde::{Deserialize, Serialize};

use crate::policy::EndorsementPolicy;
use crate::proposal::TransactionId;
use crate::rwset::{Event, ReadWriteSet};
use crate::transaction::{Refusal, Signer};

/// What a call returns to its caller and announces to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Response {
    /// What the function returned.
    #[serde(with = "hex::serde")]
    pub payload: Vec<u8>,
    /// What it announces, in order, should the transaction take effect.
    pub events: Vec<Event>,
}

/// What an endorser signs. All endorsers of a transaction sign the same bytes:
/// effects or answers that differ cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EndorsedAction {
    /// The transaction the proposal leads to.
    pub transaction_id: TransactionId,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
}

/// An endorser's signature over an [`EndorsedAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Endorsement {
    /// Who endorses.
    pub endorser: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// An endorser's answer to a proposal, believed only once verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposalResponse {
    /// The transaction the proposal leads to.
    pub transaction_id: TransactionId,
    /// The version of the contract that executed it.
    pub contract_version: u32,
    /// Its effects.
    pub rwset: ReadWriteSet,
    /// Its answer.
    pub response: Response,
    /// The endorser's signature over all of that.
    pub endorsement: Endorsement,
    /// The policies of their own that keys among the effects have, each once:
    /// they tell a client whom else to ask, and are believed no further.
    pub key_policies: Vec<EndorsementPolicy>,
}

impl ProposalResponse {
    /// Endorses `action` with `key`.
    #[must_use]
    pub fn endorse(action: EndorsedAction, network: &NetworkId, key: &SigningKey) -> Self {
        let signature = key.sign(Domain::Endorsement, network, &encode(&action));
        Self {
            transaction_id: action.transaction_id,
            contract_version: action.contract_version,
            rwset: action.rwset,
            response: action.response,
            endorsement: Endorsement {
                endorser: key.public(),
                signature,
            },
            key_policies: Vec::new(),
        }
    }

    /// What the endorser signed.
    #[must_use]
    pub fn action(&self) -> EndorsedAction {
        self.clone().into_action()
    }

    /// The same, without the signature.
    #[must_use]
    pub fn into_action(self) -> EndorsedAction {
        EndorsedAction {
            transaction_id: self.transaction_id,
            contract_version: self.contract_version,
            rwset: self.rwset,
            response: self.response,
        }
    }

    /// Whether another endorser says the same of what the proposal does.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.contract_version == other.contract_version
            && self.rwset == other.rwset
            && self.response == other.response
    }

    /// Checks the endorser's signature.
    ///
    /// # Errors
    ///
    /// When it does not hold.
    pub fn verify(&self, network: &NetworkId) -> Result<(), Refusal> {
        let Endorsement {
            endorser,
            signature,
        } = self.endorsement;
        let body = encode(&self.action());
        Claim::new(endorser, &signature, Domain::Endorsement, network, &body)
            .verify()
            .map_err(|_| Refusal::BadSignature {
                signer: Signer::Endorser(endorser),
            })
    }
}
