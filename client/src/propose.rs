//! What a client wants done, signed.

use crypto::{Domain, SigningKey};
use ledger::{NO_EXPIRY, Proposal, SignedProposal};

use crate::client::Client;
use crate::error::Error;

/// A call of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub contract: String,
    /// Its function.
    pub function: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Call {
    /// The call of this function of this contract.
    pub fn new<A: Into<String>>(
        contract: &str,
        function: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            contract: contract.to_owned(),
            function: function.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
        }
    }
}

impl Client {
    /// A proposal to make this call, by the owner of `key`. It is another
    /// transaction than every other one, of the same call, too. What one key
    /// proposes to one node at the same moment is signed together.
    ///
    /// # Errors
    ///
    /// [`Error::NoRandomness`].
    pub async fn propose(&self, key: &SigningKey, call: Call) -> Result<SignedProposal, Error> {
        // A nonce that nobody has used.
        let nonce = crypto::random_bytes().map_err(Error::NoRandomness)?;
        Ok(self.propose_with(key, call, nonce).await)
    }

    /// The same with this nonce: of one nonce, one call and one key there is one id, under
    /// which one transaction takes effect. It does not expire: what became of it can be asked for, or it
    /// can be handed in again, at any time.
    pub async fn propose_with(
        &self,
        key: &SigningKey,
        call: Call,
        nonce: [u8; 32],
    ) -> SignedProposal {
        let proposal = Proposal {
            network: self.genesis().network_id(),
            contract: call.contract,
            function: call.function,
            args: call.args,
            creator: key.public(),
            nonce,
            valid_until_block: NO_EXPIRY,
        };
        let leaf = proposal.id().leaf();
        let signature = self.sign(leaf, Domain::Proposal, key).await;
        SignedProposal {
            proposal,
            signature,
        }
    }
}
