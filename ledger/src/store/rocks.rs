//! How `RocksDB` is set up and opened. No other file names an option of it.
//!
//! The settings keep one promise: what was acknowledged is there after a power
//! cut, and what is damaged is an error. Hence synced writes, one log for all
//! families, families flushed together, and checksums looked at on every read.

use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompactionStyle,
    DBCompressionType, DBRecoveryMode, ErrorKind, InfoLogger, LogLevel, Options, WriteOptions,
};

use super::families::FORMAT;
use super::{Family, StoreError, meta};

const MIB: usize = 1024 * 1024;
/// Memory for what is not yet in table files, over all families.
const WRITE_BUFFER_BYTES: usize = 32 * MIB;
/// Memory for blocks of table files and their indices and filters, over all families.
const CACHE_BYTES: usize = 64 * MIB;
const MAX_OPEN_FILES: i32 = 256;
/// The log is replayed on opening: this bounds how long that takes.
const MAX_LOG_BYTES: u64 = 64 * MIB as u64;
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// How large the filter of what is not yet in table files is, of a memtable's greatest
/// size, 64 MiB: its bytes are taken from those of the write buffers, and with all
/// families together these hold some ten thousand keys.
const MEMTABLE_FILTER: f64 = 0.001;
/// From how many bytes on transactions or a value are written into a file of such, once:
/// tables are merged again and again, with all that they hold.
const BLOB_BYTES: u64 = 256;
/// When more than this part of the oldest files is no longer referred to, what still is
/// moves on.
const BLOB_GARBAGE: f64 = 0.5;
/// Which part of the files are the oldest. Whenever tables are merged, their values in
/// these move on: the more, the sooner the room of overwritten ones can be had again, and
/// the oftener those are written again that nobody overwrites.
const BLOB_OLDEST: f64 = 0.1;

fn database_options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    // A record torn by a crash at the very end is dropped; damage anywhere else stops.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    // Families flushed one by one could be at different blocks after a damaged manifest.
    options.set_atomic_flush(true);
    options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_total_wal_size(MAX_LOG_BYTES);
    options.set_max_open_files(MAX_OPEN_FILES);
    // One long merge must not keep the short ones waiting.
    options.set_max_background_jobs(4);
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
    if matches!(
        family,
        Family::Transactions | Family::Hashes | Family::State
    ) {
        table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    if matches!(family, Family::Bodies | Family::State) {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_BYTES);
        options.set_blob_compression_type(DBCompressionType::Lz4);
    }
    // Transactions are never overwritten.
    if family == Family::State {
        options.set_enable_blob_gc(true);
        options.set_blob_gc_force_threshold(BLOB_GARBAGE);
        options.set_blob_gc_age_cutoff(BLOB_OLDEST);
    }
    // Small rows under keys in no order, which come a few at a time: merged level by
    // level, each would be written again as often as its level is larger than those few.
    if matches!(
        family,
        Family::Transactions | Family::Hashes | Family::History | Family::Index
    ) {
        options.set_compaction_style(DBCompactionStyle::Universal);
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
