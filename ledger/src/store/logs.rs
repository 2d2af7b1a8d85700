//! What is looked at in the database's logs before the database reads them.
//!
//! Its manifest and its write-ahead logs are written as records in blocks of 32 KiB,
//! each with a checksum, a length and a kind. At a record that claims to be of a log
//! which was used before, `RocksDB` (up to 11.8 at least) goes round in a circle for
//! ever: one turned bit makes it so. Our logs are never used again, so a record of such
//! a kind is damage.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::StoreError;
use super::witness::io_error;

const BLOCK_BYTES: usize = 32 * 1024;
/// Checksum (4 bytes), length (2, little-endian), kind (1).
const HEADER_BYTES: usize = 7;

/// The kinds of records in logs that were used before.
fn is_of_a_used_log(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}

/// Looks at the kinds of all records in the manifest and the logs of a database, if
/// there is one.
pub(super) fn check(database: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(io_error("read", database))?,
    };
    for entry in entries {
        let path = entry.map_err(io_error("read", database))?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if !name.starts_with(b"MANIFEST-") && !name.ends_with(b".log") {
            continue;
        }
        let found = File::open(&path).and_then(find);
        if let Some(offset) = found.map_err(io_error("read", &path))? {
            return Err(StoreError::DamagedLog { path, offset });
        }
    }
    Ok(())
}

/// The offset of the first record that is of a kind which it cannot be.
fn find(mut file: File) -> io::Result<Option<u64>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut before = 0_u64;
    loop {
        block.clear();
        file.by_ref()
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(None);
        }
        if let Some(at) = find_in(&block) {
            return Ok(Some(before + at as u64));
        }
        before += block.len() as u64;
    }
}

/// The same within a block, which records do not cross.
fn find_in(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(header) = block.get(at..at + HEADER_BYTES) {
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        // A page that did not reach the disk when the power went: the database passes
        // over what follows it in the block, whatever that looks like.
        if (header[6], length) == (0, 0) {
            return None;
        }
        if is_of_a_used_log(header[6]) {
            return Some(at);
        }
        at += HEADER_BYTES + length;
    }
    None
}
