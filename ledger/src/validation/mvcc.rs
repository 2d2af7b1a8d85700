//! Whether what a transaction has read is still as it was.

use super::budget::Ranges;
use super::verdict::Reason;
use super::{Stop, ValidationCode};
use crate::rwset::{RangeRead, ReadWriteSet, Version};
use crate::state::StateView;
use crate::store::StoreError;

/// Checks that every key still has the version that was read, and then that
/// every range still holds the same keys with the same versions.
pub(super) fn check(
    view: &dyn StateView,
    namespace: &str,
    rwset: &ReadWriteSet,
    of_block: &mut Ranges,
) -> Result<(), Stop> {
    for (read, position) in rwset.reads.iter().zip(0..) {
        let found = view.version(namespace, &read.key)?;
        if found != read.version {
            let code = ValidationCode::MvccReadConflict;
            return Err(Stop::because(code, Reason::Read { position, found }));
        }
    }
    let mut own = Ranges::of_a_transaction();
    for (range, position) in rwset.ranges.iter().zip(0..) {
        let may_read = |bytes| own.take(bytes) && of_block.take(bytes);
        let rows = versions(view, namespace, range, may_read)?;
        if rows.as_ref().map(RangeRead::digest) != Some(range.result) {
            let rows = rows.unwrap_or_default();
            let newest = rows.into_iter().map(|(_, version)| version).max();
            let code = ValidationCode::PhantomReadConflict;
            return Err(Stop::because(code, Reason::Range { position, newest }));
        }
    }
    Ok(())
}

/// What a range holds now; none when that is more than may be read.
fn versions(
    view: &dyn StateView,
    namespace: &str,
    range: &RangeRead,
    mut may_read: impl FnMut(usize) -> bool,
) -> Result<Option<Vec<(String, Version)>>, StoreError> {
    let mut rows = Vec::new();
    for row in view.range(namespace, &range.start, &range.end) {
        let (key, row) = row?;
        if !may_read(row.length_under(&key)) {
            return Ok(None);
        }
        rows.push((key, row.version));
    }
    Ok(Some(rows))
}
