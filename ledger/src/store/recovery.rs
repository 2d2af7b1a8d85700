//! What is checked when a store is opened: that it is this network's, at a
//! block boundary, and holds all that was ever on disk.
//!
//! What deliberately does not live here: re-execution. Whether each stored
//! byte is right is the question of `verify`, which takes as long as the chain.

use crypto::{Digest, NetworkId};

use super::families::FORMAT;
use super::records::Written;
use super::witness::{Counter, unseal};
use super::{Family, Store, StoreError, StoreView, TipRow, meta, number_key};
use crate::block::BlockHeader;
use crate::digest::StateAccumulator;

/// What a store that passes the checks holds at its end.
pub(crate) struct Recovered {
    pub(crate) header: BlockHeader,
    pub(crate) hash: Digest,
    pub(crate) accumulator: StateAccumulator,
}

impl Store {
    /// Whether the store holds nothing yet, not even block 0.
    pub(crate) fn is_fresh(&self) -> Result<bool, StoreError> {
        let view = self.view();
        if view.format()?.is_some() {
            return Ok(false);
        }
        if let Some((key, _)) = view.last(Family::Blocks)? {
            return Err(view.bad_value(
                Family::Meta,
                meta::FORMAT,
                None,
                format!(
                    "missing, though blocks up to key {} are there",
                    super::hex(&key)
                ),
            ));
        }
        // The database makes itself anew where its first file is gone.
        self.expect_witnessed(Counter::Blocks, 0)?;
        self.expect_witnessed(Counter::RecordWrites, 0)?;
        Ok(true)
    }

    /// Checks the end of the chain and returns it.
    pub(crate) fn recover(
        &self,
        network: &NetworkId,
        genesis_hash: &Digest,
    ) -> Result<Recovered, StoreError> {
        let view = self.view();
        self.check_identity(&view, network)?;
        let record_writes = self.check_witness(&view)?;
        let tip = view.tip()?;
        let batches = view.recorded_extents(tip.number);
        *self.lock_written() = Written {
            record_writes,
            tip: tip.number,
            batches: batches.collect::<Result<_, _>>()?,
        };
        self.guarded.set(view.guarded()?);
        let recovered = recover_tip(&view, tip)?;
        if view.number_of(genesis_hash)? != Some(0) {
            let what = "is not the block 0 that the genesis document makes";
            return Err(view.bad_value(Family::Blocks, &number_key(0), Some(0), what));
        }
        Ok(recovered)
    }

    /// Checks that the store has this layout and belongs to this network.
    pub(crate) fn check_identity(
        &self,
        view: &StoreView<'_>,
        network: &NetworkId,
    ) -> Result<(), StoreError> {
        let missing = |key| view.bad_value(Family::Meta, key, None, "missing");
        let format = view.format()?.ok_or_else(|| missing(meta::FORMAT))?;
        if format != FORMAT {
            return Err(StoreError::OtherFormat {
                path: self.path.clone(),
                expected: FORMAT,
                found: format,
            });
        }
        let found = view.network()?.ok_or_else(|| missing(meta::NETWORK))?;
        if found != *network {
            return Err(StoreError::OtherNetwork {
                path: self.path.clone(),
                expected: *network,
                found,
            });
        }
        Ok(())
    }

    /// Checks that `found` is no less than what was once on disk.
    fn expect_witnessed(&self, counter: Counter, found: u64) -> Result<(), StoreError> {
        let Some(witness) = &self.witness else {
            return Ok(());
        };
        let witnessed = witness.read(counter)?;
        if found < witnessed {
            return Err(StoreError::LostWrites {
                path: self.path.clone(),
                what: counter.name(),
                witnessed,
                found: found + 1,
            });
        }
        Ok(())
    }

    /// Checks that what was once on disk still is, and returns how many times
    /// records were written.
    pub(crate) fn check_witness(&self, view: &StoreView<'_>) -> Result<u64, StoreError> {
        self.expect_witnessed(Counter::Blocks, view.tip()?.number)?;
        let key = meta::RECORD_WRITES;
        let writes = view
            .bytes(Family::Meta, key)?
            .and_then(|bytes| unseal(&bytes))
            .ok_or_else(|| view.bad_value(Family::Meta, key, None, "missing or altered"))?;
        self.expect_witnessed(Counter::RecordWrites, writes)?;
        Ok(writes)
    }
}

fn recover_tip(view: &StoreView<'_>, tip: TipRow) -> Result<Recovered, StoreError> {
    let key = number_key(tip.number);
    let wrong = |what: &str| view.bad_value(Family::Blocks, &key, Some(tip.number), what);
    let block = view
        .block(tip.number)?
        .ok_or_else(|| wrong("missing, though it is the newest"))?;
    let hash = block.header.hash();
    if hash != tip.hash {
        return Err(wrong("its hash is not that of the newest block"));
    }
    if let Some((last, _)) = view.last(Family::Blocks)?
        && *last != key
    {
        let what = "stands after the newest block";
        return Err(view.bad_value(Family::Blocks, &last, None, what));
    }
    let accumulator = view.accumulator()?;
    if accumulator.digest() != block.header.state_digest {
        let what = "is not the state that the newest block commits to";
        return Err(view.bad_value(Family::Meta, meta::ACCUMULATOR, Some(tip.number), what));
    }
    Ok(Recovered {
        header: block.header,
        hash,
        accumulator,
    })
}
