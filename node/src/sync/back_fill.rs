//! Certificates of blocks that are in the chain without one.
//!
//! A later block's certificate attests them too, but a receipt takes their own.
//! Most are just late. Of others somebody has one. And of some, after a crash of
//! all nodes at once, nobody has: then a quorum is asked to attest them again.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{Claim, Domain, Signature};
use ledger::{BlockCertificate, LedgerError, attested_bytes};

use super::{Sync, SyncError, blocking};
use crate::certificates::attest;
use crate::fetch::{MAX_BLOCKS, Request, Response};

/// What is known of blocks without certificates.
#[derive(Default)]
pub(super) struct Gaps {
    /// Every block up to here has one.
    complete: u64,
    /// The highest block with one when this was last looked at: what was missing
    /// below it then and is missing still does not come by itself.
    certified: u64,
}

/// Signatures by signer, of one block each.
type Attestations = BTreeMap<u64, BTreeMap<u32, Signature>>;

impl Sync {
    /// Asks for certificates that did not come by themselves.
    pub(super) async fn back_fill(&self, gaps: &mut Gaps) -> Result<(), SyncError> {
        let (from, to) = (gaps.complete.saturating_add(1), gaps.certified);
        gaps.certified = self.ledger.latest_certified().unwrap_or(0);
        let mut missing: BTreeSet<u64> = self.uncertified(from, to).await?.into_iter().collect();
        gaps.complete = match missing.first() {
            Some(first) => first.saturating_sub(1),
            None => gaps.complete.max(to),
        };
        for peer in self.network.connected() {
            if missing.is_empty() {
                return Ok(());
            }
            let request = Request::Certificates(missing.iter().copied().collect());
            if let Some(Response::Certificates(found)) = self.ask(peer, &request).await {
                for (number, certificate) in found {
                    if missing.contains(&number) && self.keep(number, certificate).await? {
                        missing.remove(&number);
                    }
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.have_attested(missing).await
    }

    async fn uncertified(&self, from: u64, to: u64) -> Result<Vec<u64>, SyncError> {
        if from > to {
            return Ok(Vec::new());
        }
        let ledger = self.ledger.clone();
        Ok(blocking(move || ledger.uncertified(from, to, MAX_BLOCKS)).await??)
    }

    /// Keeps a certificate if it holds.
    async fn keep(&self, number: u64, certificate: BlockCertificate) -> Result<bool, SyncError> {
        let (ledger, network) = (self.ledger.clone(), self.network_id);
        let checked = certificate.clone();
        let holds = blocking(move || {
            let hash = ledger.block_hash(number)?;
            let attesters = ledger.attesters();
            Ok::<_, LedgerError>(attesters.verify(&checked, &network, number, &hash).is_ok())
        });
        let holds = holds.await??;
        if holds {
            self.committer.back_fill(number, certificate).await?;
        }
        Ok(holds)
    }

    /// Makes certificates of what the peers attest when asked.
    async fn have_attested(&self, missing: BTreeSet<u64>) -> Result<(), SyncError> {
        let numbers: Vec<u64> = missing.iter().copied().collect();
        let mut collected = self.attest_all(numbers.clone()).await?;
        for peer in self.network.connected() {
            let request = Request::Attestations(numbers.clone());
            if let Some(Response::Attestations(signed)) = self.ask(peer, &request).await {
                let known = signed
                    .into_iter()
                    .filter(|(number, _)| missing.contains(number));
                for (number, signature) in known.collect::<Vec<_>>() {
                    if self.attests(peer.0, number, signature).await? {
                        collected
                            .entry(number)
                            .or_default()
                            .insert(peer.0, signature);
                    }
                }
            }
        }
        let quorum = self.ledger.attesters().quorum();
        for (number, signatures) in collected {
            if signatures.len() >= quorum {
                let signatures = signatures.into_iter().take(quorum).collect();
                self.keep(number, BlockCertificate { signatures }).await?;
            }
        }
        Ok(())
    }

    /// This replica's own signatures on these blocks.
    async fn attest_all(&self, numbers: Vec<u64>) -> Result<Attestations, SyncError> {
        let (ledger, network) = (self.ledger.clone(), self.network_id);
        let (id, key) = self.own.clone();
        let signed = blocking(move || {
            let mut signed = Attestations::new();
            for number in numbers {
                let hash = ledger.block_hash(number)?;
                let signature = attest(number, &hash, &network, &key);
                signed.entry(number).or_default().insert(id.0, signature);
            }
            Ok::<_, LedgerError>(signed)
        });
        Ok(signed.await??)
    }

    /// Whether this is that replica's signature on the block that is here.
    async fn attests(
        &self,
        replica: u32,
        number: u64,
        signature: Signature,
    ) -> Result<bool, SyncError> {
        let (ledger, network) = (self.ledger.clone(), self.network_id);
        let holds = blocking(move || {
            let hash = ledger.block_hash(number)?;
            let position = usize::try_from(replica).unwrap_or(usize::MAX);
            let Some(key) = ledger.attesters().keys().get(position) else {
                return Ok(false);
            };
            let body = attested_bytes(number, &hash);
            let claim = Claim::new(*key, &signature, Domain::Checkpoint, &network, &body);
            Ok::<_, LedgerError>(claim.verify().is_ok())
        });
        Ok(holds.await??)
    }
}
