//! Members and contracts.

use std::time::Duration;

use clap::{Args, Subcommand};
use crypto::PublicKey;

use super::{Identity, seconds};

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Everybody who has or had a key
    List,
    /// Make somebody a member of the admin's organisation
    Enroll {
        /// The member's name, which nobody else has
        #[arg(value_name = "NAME")]
        member: String,
        /// client or admin
        #[arg(long, default_value = "client")]
        role: String,
        #[command(flatten)]
        key: NewKey,
        #[command(flatten)]
        common: Signed,
    },
    /// Take a member's key away: what it signs from then on does not count
    Revoke {
        /// The member's name
        #[arg(value_name = "NAME")]
        member: String,
        #[command(flatten)]
        common: Signed,
    },
    /// Give a member another key; one that was revoked comes back with it
    Rotate {
        /// The member's name
        #[arg(value_name = "NAME")]
        member: String,
        #[command(flatten)]
        key: NewKey,
        #[command(flatten)]
        common: Signed,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// The contracts, their versions and policies
    List,
    /// Say for one's organisation which version of a contract is to be executed
    Version {
        /// The contract
        contract: String,
        /// A number from 1
        version: u32,
        #[command(flatten)]
        common: Signed,
    },
    /// Show a contract's endorsement policy, or say for one's organisation what it is to be
    Policy {
        /// The contract
        contract: String,
        /// Such as `2 of (org1, org2, org3)`, `org1 and (org2 or org3)`, `majority`, `any`
        policy: Option<String>,
        #[command(flatten)]
        common: Signed,
    },
}

/// Who signs, and how long the receipt is waited for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Signed {
    #[command(flatten)]
    pub(crate) identity: Identity,
    /// Seconds to wait for the receipt at most
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// The key that a member is to have.
#[derive(Clone, Debug, Args)]
pub(crate) struct NewKey {
    /// Its public key; without it a key is made and put into the network's `keys`
    #[arg(long, value_name = "HEX")]
    pub(crate) key: Option<PublicKey>,
}
