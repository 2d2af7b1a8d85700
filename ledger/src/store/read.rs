//! Reading: everything goes through a view, which sees the store at one moment.

use crypto::codec::Decode;
use crypto::{Digest, decode};
use rocksdb::{DBPinnableSlice, Direction, IteratorMode, ReadOptions, Snapshot};

use super::bodies::{Extent, Span};
use super::families::namespace_prefix;
use super::{
    BlockRow, Family, GuardedNamespaces, Location, Store, StoreError, TipRow, meta, number_key,
    parse_state_key, state_key,
};
use crate::block::{Block, BlockCertificate};
use crate::digest::StateAccumulator;
use crate::proposal::TransactionId;
use crate::row::StateRow;

/// A row as the database holds it.
pub(crate) type RawRow = (Box<[u8]>, Box<[u8]>);

/// The store at one moment. Writes that follow do not show in it.
pub(crate) struct StoreView<'a> {
    store: &'a Store,
    snapshot: Snapshot<'a>,
}

impl<'a> StoreView<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            snapshot: store.db.snapshot(),
        }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }

    fn read_error(&self, family: Family) -> impl Fn(rocksdb::Error) -> StoreError + use<> {
        let path = self.store.path.clone();
        move |source| StoreError::Read {
            family,
            path: path.clone(),
            source,
        }
    }

    /// The error for a value that is not what it must be.
    pub(crate) fn bad_value(
        &self,
        family: Family,
        key: &[u8],
        block: Option<u64>,
        what: impl Into<String>,
    ) -> StoreError {
        self.store.bad_value(family, key, block, what)
    }

    /// The bytes under a key.
    pub(crate) fn bytes(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store
            .db
            .get_cf_opt(self.store.family(family), key, &self.options())
            .map_err(self.read_error(family))
    }

    /// All rows with keys in `start..end`, ascending; an empty end means to the end.
    pub(crate) fn rows(
        &self,
        family: Family,
        start: &[u8],
        end: &[u8],
    ) -> impl Iterator<Item = Result<RawRow, StoreError>> + use<'_, 'a> {
        let mut options = self.options();
        if !end.is_empty() {
            options.set_iterate_upper_bound(end);
        }
        let mode = IteratorMode::From(start, Direction::Forward);
        let error = self.read_error(family);
        self.store
            .db
            .iterator_cf_opt(self.store.family(family), options, mode)
            .map(move |row| row.map_err(&error))
    }

    /// All rows with keys in `start..=last`, descending.
    pub(crate) fn rows_down(
        &self,
        family: Family,
        start: &[u8],
        last: &[u8],
    ) -> impl Iterator<Item = Result<RawRow, StoreError>> + use<'_, 'a> {
        let mut options = self.options();
        options.set_iterate_lower_bound(start);
        let mode = IteratorMode::From(last, Direction::Reverse);
        let error = self.read_error(family);
        self.store
            .db
            .iterator_cf_opt(self.store.family(family), options, mode)
            .map(move |row| row.map_err(&error))
    }

    /// The last row of a family.
    pub(crate) fn last(&self, family: Family) -> Result<Option<RawRow>, StoreError> {
        self.store
            .db
            .iterator_cf_opt(self.store.family(family), self.options(), IteratorMode::End)
            .next()
            .transpose()
            .map_err(self.read_error(family))
    }

    pub(super) fn value<T: Decode<()>>(
        &self,
        family: Family,
        key: &[u8],
        block: Option<u64>,
    ) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.bytes(family, key)? else {
            return Ok(None);
        };
        self.parse(family, key, block, &bytes).map(Some)
    }

    /// The values under many keys, in their order.
    fn values<T: Decode<()>>(
        &self,
        family: Family,
        keys: Vec<Vec<u8>>,
    ) -> impl Iterator<Item = Result<Option<T>, StoreError>> {
        let handle = self.store.family(family);
        let (db, options) = (&self.store.db, self.options());
        let found = db.batched_multi_get_cf_opt(handle, &keys, false, &options);
        keys.into_iter().zip(found).map(move |(key, found)| {
            let found = found.map_err(self.read_error(family))?;
            let parse = |bytes: DBPinnableSlice<'_>| self.parse(family, &key, None, &bytes);
            found.map(parse).transpose()
        })
    }

    /// Decodes a value of a family.
    pub(crate) fn parse<T: Decode<()>>(
        &self,
        family: Family,
        key: &[u8],
        block: Option<u64>,
        bytes: &[u8],
    ) -> Result<T, StoreError> {
        decode(bytes, bytes.len())
            .map_err(|error| self.bad_value(family, key, block, error.to_string()))
    }

    /// The layout's version; none in a store that holds nothing yet.
    pub(crate) fn format(&self) -> Result<Option<u32>, StoreError> {
        self.value(Family::Meta, meta::FORMAT, None)
    }

    /// The network whose ledger this is.
    pub(crate) fn network(&self) -> Result<Option<Digest>, StoreError> {
        self.value(Family::Meta, meta::NETWORK, None)
    }

    /// The newest block, as meta has it.
    pub(crate) fn tip(&self) -> Result<TipRow, StoreError> {
        self.value(Family::Meta, meta::TIP, None)?
            .ok_or_else(|| self.bad_value(Family::Meta, meta::TIP, None, "missing"))
    }

    /// The namespaces in which keys may have policies of their own, as meta has them.
    pub(super) fn guarded(&self) -> Result<GuardedNamespaces, StoreError> {
        let bad = |what| self.bad_value(Family::Meta, meta::GUARDED, None, what);
        let guarded: Option<GuardedNamespaces> = self.value(Family::Meta, meta::GUARDED, None)?;
        let guarded = guarded.ok_or_else(|| bad("missing"))?;
        if !guarded.ascend() {
            return Err(bad("its namespaces do not ascend"));
        }
        Ok(guarded)
    }

    /// Whether a key of this namespace may have a policy of its own.
    pub(crate) fn is_guarded(&self, namespace: &str) -> bool {
        self.store.guarded.contains(namespace)
    }

    /// The state accumulator after the newest block.
    pub(crate) fn accumulator(&self) -> Result<StateAccumulator, StoreError> {
        self.bytes(Family::Meta, meta::ACCUMULATOR)?
            .and_then(|bytes| StateAccumulator::from_bytes(&bytes))
            .ok_or_else(|| {
                let what = "missing, or not 2048 bytes long";
                self.bad_value(Family::Meta, meta::ACCUMULATOR, None, what)
            })
    }

    /// The block with this number, without its transactions.
    pub(crate) fn block_row(&self, number: u64) -> Result<Option<BlockRow>, StoreError> {
        let key = number_key(number);
        let row: Option<BlockRow> = self.value(Family::Blocks, &key, Some(number))?;
        match &row {
            Some(other) if other.header.number != number => {
                let what = format!("holds block {}", other.header.number);
                Err(self.bad_value(Family::Blocks, &key, Some(number), what))
            }
            _ => Ok(row),
        }
    }

    /// The block with this number.
    pub(crate) fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let Some(row) = self.block_row(number)? else {
            return Ok(None);
        };
        let (family, key) = (Family::Blocks, number_key(number));
        let bodies = self.bodies((family, &key), number, &row.bodies)?;
        Ok(Some(Block {
            transactions: self.parse(family, &key, Some(number), &bodies)?,
            header: row.header,
            verdicts: row.verdicts,
        }))
    }

    /// The transactions in the place that a row names, for a block with this number.
    pub(super) fn bodies(
        &self,
        (family, key): (Family, &[u8]),
        number: u64,
        extent: &Extent,
    ) -> Result<Vec<u8>, StoreError> {
        let bodies = self.store.bodies.read(extent);
        bodies.map_err(|it| it.into_error(|what| self.bad_value(family, key, Some(number), what)))
    }

    /// One of them, as it is found: it must be held against something else.
    pub(super) fn one_of_bodies(
        &self,
        (family, key): (Family, &[u8]),
        number: u64,
        extent: &Extent,
        span: Span,
    ) -> Result<Vec<u8>, StoreError> {
        let body = self.store.bodies.read_one(extent, span);
        body.map_err(|it| it.into_error(|what| self.bad_value(family, key, Some(number), what)))
    }

    /// The certificate of the block with this number.
    pub(crate) fn certificate(&self, number: u64) -> Result<Option<BlockCertificate>, StoreError> {
        self.value(Family::Certificates, &number_key(number), Some(number))
    }

    /// The highest block that has a certificate.
    pub(crate) fn latest_certified(&self) -> Result<Option<u64>, StoreError> {
        let Some((key, _)) = self.last(Family::Certificates)? else {
            return Ok(None);
        };
        self.number_of_key(Family::Certificates, &key).map(Some)
    }

    /// The number that a key of blocks or certificates stands for.
    pub(crate) fn number_of_key(&self, family: Family, key: &[u8]) -> Result<u64, StoreError> {
        key.as_array::<8>()
            .map(|bytes| u64::from_be_bytes(*bytes))
            .ok_or_else(|| self.bad_value(family, key, None, "the key is not a block number"))
    }

    /// Where a transaction stands.
    pub(crate) fn location(&self, id: &TransactionId) -> Result<Option<Location>, StoreError> {
        self.value(Family::Transactions, id.0.as_bytes(), None)
    }

    /// Where transactions stand, in the order of the ids.
    pub(crate) fn locations(
        &self,
        ids: &[TransactionId],
    ) -> impl Iterator<Item = Result<Option<Location>, StoreError>> {
        let keys = ids.iter().map(|id| id.0.as_bytes().to_vec());
        self.values(Family::Transactions, keys.collect())
    }

    /// The number of the block with this hash.
    pub(crate) fn number_of(&self, hash: &Digest) -> Result<Option<u64>, StoreError> {
        self.value(Family::Hashes, hash.as_bytes(), None)
    }

    /// A row of the state.
    pub(crate) fn state(&self, namespace: &str, key: &str) -> Result<Option<StateRow>, StoreError> {
        self.value(Family::State, &state_key(namespace, key), None)
    }

    /// Rows of the state, in the order of their namespaces and keys.
    pub(crate) fn states(
        &self,
        keys: &[(&str, &str)],
    ) -> impl Iterator<Item = Result<Option<StateRow>, StoreError>> {
        let keys = keys.iter();
        let keys = keys.map(|(namespace, key)| state_key(namespace, key));
        self.values(Family::State, keys.collect())
    }

    /// The rows of a namespace with keys in `start..end`, ascending; an empty
    /// end means to the end.
    pub(crate) fn state_range(
        &self,
        namespace: &str,
        start: &str,
        end: &str,
    ) -> impl Iterator<Item = Result<(String, StateRow), StoreError>> + use<'_, 'a> {
        let upper = if end.is_empty() {
            after_prefix(namespace_prefix(namespace))
        } else {
            state_key(namespace, end)
        };
        self.state_rows(&state_key(namespace, start), &upper)
    }

    /// The rows of the state with keys of the database in `lower..upper`, ascending.
    pub(super) fn state_rows(
        &self,
        lower: &[u8],
        upper: &[u8],
    ) -> impl Iterator<Item = Result<(String, StateRow), StoreError>> + use<'_, 'a> {
        self.rows(Family::State, lower, upper).map(|row| {
            let (key, bytes) = row?;
            let Some((_, name)) = parse_state_key(&key) else {
                return Err(self.bad_value(Family::State, &key, None, "not a state key"));
            };
            let row = self.parse(Family::State, &key, None, &bytes)?;
            Ok((name.to_owned(), row))
        })
    }
}

/// The first key after all that begin with `prefix`.
pub(super) fn after_prefix(mut prefix: Vec<u8>) -> Vec<u8> {
    // Bytes of 255 at the end have no successor: the one before them has.
    while prefix.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = prefix.last_mut() {
        *last += 1;
    }
    prefix
}
