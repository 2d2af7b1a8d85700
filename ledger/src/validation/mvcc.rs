//! Whether what a transaction has read is still as it was.

use crate::names::MAX_RANGE_ROWS;
use crate::rwset::{RangeRead, Read, Version};
use crate::state::StateView;
use crate::store::StoreError;

/// Whether every key still has the version that was read.
pub(super) fn reads_hold(
    view: &dyn StateView,
    namespace: &str,
    reads: &[Read],
) -> Result<bool, StoreError> {
    for read in reads {
        let found = view.get(namespace, &read.key)?;
        if found.map(|found| found.version) != read.version {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether every range still holds the same keys with the same versions.
pub(super) fn ranges_hold(
    view: &dyn StateView,
    namespace: &str,
    ranges: &[RangeRead],
) -> Result<bool, StoreError> {
    for range in ranges {
        match versions(view, namespace, range)? {
            Some(rows) if RangeRead::digest(&rows) == range.result => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// What a range holds now; none when that is more than can have been read.
fn versions(
    view: &dyn StateView,
    namespace: &str,
    range: &RangeRead,
) -> Result<Option<Vec<(String, Version)>>, StoreError> {
    let mut rows = Vec::new();
    for row in view.range(namespace, &range.start, &range.end) {
        if rows.len() == MAX_RANGE_ROWS {
            return Ok(None);
        }
        let (key, found) = row?;
        rows.push((key, found.version));
    }
    Ok(Some(rows))
}
