//! Following a chain by its headers and certificates: what a quorum has attested
//! is believed, and nobody else.
//!
//! *Architecture invariant:* nothing here reads a transaction, a state or a disk.

use crypto::{Digest, NetworkId};

use crate::block::{Attesters, BlockCertificate, BlockHeader, CertificateError};
use crate::chain::GenesisState;

/// A header as somebody shows it, believed only once followed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestedHeader {
    /// The header.
    pub header: BlockHeader,
    /// Its certificate, if whoever shows it has one.
    pub certificate: Option<BlockCertificate>,
}

/// Whoever holds the genesis and follows the chain from there.
#[derive(Clone, Debug)]
pub struct LightClient {
    network: NetworkId,
    attesters: Attesters,
    header: BlockHeader,
    hash: Digest,
}

/// Why headers do not continue the chain.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LightError {
    /// Another block than the next.
    #[error("expected block {expected}, found block {found} at sequence {sequence}")]
    OutOfOrder {
        /// The next block.
        expected: u64,
        /// The block that came.
        found: u64,
        /// The place that it claims in the order.
        sequence: u64,
    },
    /// It follows another block.
    #[error("block {number} follows {found}, and block {previous} is {expected}", previous = number - 1)]
    NotLinked {
        /// Which block.
        number: u64,
        /// The block before it.
        expected: Digest,
        /// What it names.
        found: Digest,
    },
    /// Time does not go back.
    #[error("block {number} is of {found} ms, and the one before it of {previous} ms")]
    NotLater {
        /// Which block.
        number: u64,
        /// The time of its predecessor.
        previous: u64,
        /// Its own.
        found: u64,
    },
    /// A certificate that attests nothing.
    #[error("the certificate of block {number} does not hold: {source}")]
    Certificate {
        /// Which block.
        number: u64,
        /// What is wrong.
        source: CertificateError,
    },
}

impl LightClient {
    /// Knows block 0, which genesis makes.
    #[must_use]
    pub fn new(genesis: &GenesisState) -> Self {
        Self {
            network: *genesis.network(),
            attesters: genesis.attesters().clone(),
            header: genesis.block().header.clone(),
            hash: genesis.hash(),
        }
    }

    /// Goes on from a header that was followed to before. It is believed.
    #[must_use]
    pub fn resume(genesis: &GenesisState, header: BlockHeader) -> Self {
        Self {
            hash: header.hash(),
            header,
            ..Self::new(genesis)
        }
    }

    /// The newest header that is believed.
    #[must_use]
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// Follows the headers after the newest. One without a certificate is believed
    /// once a later one that descends from it has one; how many headers are
    /// believed anew is what comes back.
    ///
    /// # Errors
    ///
    /// [`LightError`] at the first that does not hold. What was attested before it
    /// stays believed.
    pub fn follow(&mut self, headers: &[AttestedHeader]) -> Result<u64, LightError> {
        let begin = self.header.number;
        let (mut previous, mut hash) = (self.header.clone(), self.hash);
        for AttestedHeader {
            header,
            certificate,
        } in headers
        {
            check_link(&previous, hash, header)?;
            hash = header.hash();
            previous = header.clone();
            if let Some(certificate) = certificate {
                self.attesters
                    .verify(certificate, &self.network, header.sequence, &hash)
                    .map_err(|source| LightError::Certificate {
                        number: header.number,
                        source,
                    })?;
                self.header = header.clone();
                self.hash = hash;
            }
        }
        Ok(self.header.number - begin)
    }
}

fn check_link(previous: &BlockHeader, hash: Digest, next: &BlockHeader) -> Result<(), LightError> {
    let expected = previous.number.saturating_add(1);
    if next.number != expected || next.sequence != expected {
        return Err(LightError::OutOfOrder {
            expected,
            found: next.number,
            sequence: next.sequence,
        });
    }
    let number = next.number;
    if next.previous_hash != hash {
        return Err(LightError::NotLinked {
            number,
            expected: hash,
            found: next.previous_hash,
        });
    }
    if next.timestamp_ms <= previous.timestamp_ms {
        return Err(LightError::NotLater {
            number,
            previous: previous.timestamp_ms,
            found: next.timestamp_ms,
        });
    }
    Ok(())
}
