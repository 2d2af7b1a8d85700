//! Whether what a transaction has read is still as it was.

use super::verdict::Reason;
use super::{Stop, ValidationCode};
use crate::names::{MAX_RANGE_BYTES, MAX_RANGE_ROWS};
use crate::rwset::{RangeRead, ReadWriteSet, Version};
use crate::state::StateView;
use crate::store::StoreError;

/// Checks that every key still has the version that was read, and then that
/// every range still holds the same keys with the same versions.
pub(super) fn check(
    view: &dyn StateView,
    namespace: &str,
    rwset: &ReadWriteSet,
) -> Result<(), Stop> {
    for (read, position) in rwset.reads.iter().zip(0..) {
        let found = view.version(namespace, &read.key)?;
        if found != read.version {
            let code = ValidationCode::MvccReadConflict;
            return Err(Stop::because(code, Reason::Read { position, found }));
        }
    }
    for (range, position) in rwset.ranges.iter().zip(0..) {
        let rows = versions(view, namespace, range)?;
        if rows.as_ref().map(RangeRead::digest) != Some(range.result) {
            let rows = rows.unwrap_or_default();
            let newest = rows.into_iter().map(|(_, version)| version).max();
            let code = ValidationCode::PhantomReadConflict;
            return Err(Stop::because(code, Reason::Range { position, newest }));
        }
    }
    Ok(())
}

/// What a range holds now; none when that is more than can have been read.
fn versions(
    view: &dyn StateView,
    namespace: &str,
    range: &RangeRead,
) -> Result<Option<Vec<(String, Version)>>, StoreError> {
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    for row in view.range(namespace, &range.start, &range.end) {
        if rows.len() == MAX_RANGE_ROWS {
            return Ok(None);
        }
        let (key, row) = row?;
        bytes = bytes.saturating_add(row.length_under(&key));
        if bytes > MAX_RANGE_BYTES {
            return Ok(None);
        }
        rows.push((key, row.version));
    }
    Ok(Some(rows))
}
