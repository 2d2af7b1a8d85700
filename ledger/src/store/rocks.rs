//! How `RocksDB` is set up and opened. No other file names an option of it.
//!
//! The settings keep one promise: what was acknowledged is there after a power
//! cut, and what is damaged is an error. Hence synced writes, one log for all
//! families, families flushed together, and checksums looked at on every read.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle,
    DBCompressionType, DBRecoveryMode, Env, ErrorKind, InfoLogger, LogLevel, Options, WriteOptions,
};

use super::families::FORMAT;
use super::{Family, StoreError, meta};

const MIB: usize = 1024 * 1024;
/// Memory for what is not yet in table files, over all families, at most.
const WRITE_BUFFER_BYTES: usize = 32 * MIB;
/// By how much less it may be, which chance decides at each opening. All replicas write
/// the same: with buffers of one size all of them would be full, and written into tables,
/// at the same moment, and none could vote for the others meanwhile.
const WRITE_BUFFER_SPREAD: usize = 8 * MIB;
/// Memory for blocks of table files and their indices and filters, over all families.
const CACHE_BYTES: usize = 64 * MIB;
const MAX_OPEN_FILES: i32 = 256;
/// The log is replayed on opening: this bounds how long that takes.
const MAX_LOG_BYTES: u64 = 64 * MIB as u64;
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// How large the parts of indices and filters are. Keys that are looked for together
/// share one, of which a small one, of 4 KiB, would be found in the cache for each.
const PART_BYTES: usize = 64 * 1024;
/// How large the filter of what is not yet in table files is, of a memtable's greatest
/// size, 64 MiB: its bytes are taken from those of the write buffers, and with all
/// families together these hold some fifty thousand keys.
const MEMTABLE_FILTER: f64 = 0.001;
/// From how many tables of a family on some of like size are merged into one. With fewer a
/// row is written again more often, with more there are more filters to ask for it.
const TABLES_TO_MERGE: i32 = 8;
/// How far a merge reads ahead in each of the tables that it merges, several merges at a
/// time: ample for a disk, and little memory.
const READ_AHEAD_BYTES: usize = 512 * 1024;
/// How much is handed to the system at once of a file that is written. What is larger costs
/// more to copy there, byte for byte.
const WRITE_BYTES: u64 = 64 * 1024;

/// The size of the write buffers, by a number that was drawn.
fn write_buffer_bytes(drawn: u64) -> usize {
    let drawn = usize::try_from(drawn % (WRITE_BUFFER_SPREAD as u64));
    WRITE_BUFFER_BYTES - drawn.expect("less than the spread")
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    // A record torn by a crash at the very end is dropped; damage anywhere else stops.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    // Families flushed one by one could be at different blocks after a damaged manifest.
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(write_buffer_bytes(RandomState::new().hash_one(())));
    options.set_max_total_wal_size(MAX_LOG_BYTES);
    options.set_max_open_files(MAX_OPEN_FILES);
    // One long merge must not keep the short ones waiting.
    options.set_max_background_jobs(4);
    options.set_compaction_readahead_size(READ_AHEAD_BYTES);
    options.set_writable_file_max_buffer_size(WRITE_BYTES);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn descriptors(cache: &Cache) -> Vec<ColumnFamilyDescriptor> {
    Family::ALL
        .iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(*family, cache)))
        .collect()
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In parts: whole ones soon have more bytes than a shard of the cache takes, and
    // would be read for every key that is looked for.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(PART_BYTES);
    let is_looked_for = matches!(
        family,
        Family::Transactions | Family::Hashes | Family::State
    );
    if is_looked_for || family == Family::History {
        table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    }
    if is_looked_for {
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    // Small rows which come a few at a time: merged level by level, those under keys in
    // no order would be written again as often as their level is larger than those few,
    // and those in order would never be, each few in a file of their own for good.
    if !matches!(family, Family::Records | Family::Meta) {
        options.set_compaction_style(DBCompactionStyle::Universal);
        options.set_level_zero_file_num_compaction_trigger(TABLES_TO_MERGE);
    }
    options
}

/// Opens the database for writing, and makes it where there is none.
pub(super) fn open(folder: &Path) -> Result<DB, StoreError> {
    let mut options = database_options();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(4);
    // A merge of all of a family, of which each has one now and then, takes long and has
    // a thread of its own: the others must go on, or writing stops at last.
    let mut environment = Env::new().map_err(|error| opening_failed(folder, error))?;
    environment.set_bottom_priority_background_threads(1);
    options.set_env(&environment);
    options.set_max_log_file_size(4 * MIB);
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    DB::open_cf_descriptors(&options, folder, descriptors(&cache))
        .map_err(|error| opening_failed(folder, error))
}

/// Opens the database so that nothing in the folder changes: the log is
/// replayed in memory, and the database's own diary is not written.
pub(super) fn open_read_only(folder: &Path) -> Result<DB, StoreError> {
    let options = looking_options();
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    DB::open_cf_descriptors_read_only(&options, folder, descriptors(&cache), false)
        .map_err(|error| opening_failed(folder, error))
}

/// For looking on: the database's own diary is not written.
fn looking_options() -> Options {
    let mut options = database_options();
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
    options
}

/// The layout that a database with other families than those of this one says it
/// has, if it can be asked. What is damaged is for the opening to name.
pub(super) fn other_format(folder: &Path) -> Option<u32> {
    let options = looking_options();
    let there = DB::list_cf(&options, folder).ok()?;
    let is_known = |name: &String| Family::ALL.iter().any(|family| family.name() == name);
    // The database has a family of its own besides.
    let known = there.iter().filter(|name| is_known(name)).count();
    if known == Family::ALL.len() && there.len() == known + 1 {
        return None;
    }
    let meta = Family::Meta.name();
    let db = DB::open_cf_for_read_only(&options, folder, [meta], false).ok()?;
    let format = db.get_cf(db.cf_handle(meta)?, meta::FORMAT).ok()??;
    let format: u32 = crypto::decode(&format, format.len()).ok()?;
    (format != FORMAT).then_some(format)
}

fn opening_failed(folder: &Path, source: rocksdb::Error) -> StoreError {
    let path = folder.to_path_buf();
    // Families that are missing or unknown, and files that are gone, come as
    // other kinds than corruption.
    match source.kind() {
        ErrorKind::Corruption | ErrorKind::InvalidArgument | ErrorKind::NotFound => {
            StoreError::Damaged { path, source }
        }
        _ => StoreError::Open { path, source },
    }
}

/// For what must be on disk before anything is said about it.
pub(super) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// For what can be had again from the others.
pub(super) fn unsynced() -> WriteOptions {
    WriteOptions::default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn replicas_fill_their_write_buffers_at_different_moments_and_none_beyond_the_bound() {
        let sizes: BTreeSet<_> = (0..4)
            .map(|node| write_buffer_bytes(u64::MAX / 5 * node))
            .collect();
        assert_eq!(sizes.len(), 4);
        let bounds = WRITE_BUFFER_BYTES - WRITE_BUFFER_SPREAD..=WRITE_BUFFER_BYTES;
        assert!(sizes.iter().all(|size| bounds.contains(size)));
    }
}
