//! A client's way: propose, have it endorsed, hand it in, and hold a receipt
//! that verifies against genesis. No single node is believed in any of it.

mod disagreement;
mod endorse;
mod order;
mod quorum;

use crypto::{KeyError, SigningKey};
use ledger::{NO_EXPIRY, Proposal, SignedProposal};

use crate::args::Call;
use crate::exit::{Failure, Outcome};
use crate::network::Network;

pub(crate) use endorse::{Endorsed, endorse};
pub(crate) use order::{Receipted, order, verify};
pub(crate) use quorum::{Answer, Answered, agreed};

/// A proposal with this nonce, signed. It does not expire: what became of it can
/// be asked for, or it can be handed in again, at any time.
pub(crate) fn propose(
    network: &Network,
    call: &Call,
    nonce: [u8; 32],
    key: &SigningKey,
) -> SignedProposal {
    let proposal = Proposal {
        network: network.genesis().network_id(),
        contract: call.contract.clone(),
        function: call.function.clone(),
        args: call.args.clone(),
        creator: key.public(),
        nonce,
        valid_until_block: NO_EXPIRY,
    };
    proposal.sign(key)
}

/// A nonce that nobody has used.
pub(crate) fn fresh_nonce() -> Outcome<[u8; 32]> {
    let random = SigningKey::generate().map_err(|error: KeyError| {
        Failure::failed("the system gives no randomness").cause(error)
    })?;
    Ok(*random.public().as_bytes())
}
