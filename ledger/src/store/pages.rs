//! The keys of a namespace, a page at a time.

use super::families::{namespace_prefix, state_key};
use super::read::after_prefix;
use super::{StoreError, StoreView};
use crate::row::VersionedValue;

/// Which keys of a namespace are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRange {
    /// From `start` up to, and without, `end`; to the last key when `end` is empty.
    Between {
        /// The first key.
        start: String,
        /// The first key beyond.
        end: String,
    },
    /// Those that begin so.
    Prefix(String),
}

impl KeyRange {
    /// The keys of the database between which they lie.
    fn bounds(&self, namespace: &str) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Between { start, end } if end.is_empty() => {
                let upper = after_prefix(namespace_prefix(namespace));
                (state_key(namespace, start), upper)
            }
            Self::Between { start, end } => {
                (state_key(namespace, start), state_key(namespace, end))
            }
            Self::Prefix(prefix) => {
                let lower = state_key(namespace, prefix);
                (lower.clone(), after_prefix(lower))
            }
        }
    }
}

/// How much of a range to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangePart {
    /// The keys that are meant.
    pub keys: KeyRange,
    /// Only those that come after this one.
    pub after: Option<String>,
    /// How many rows at most.
    pub max_rows: usize,
    /// After how many bytes of keys and values to end; the row that reaches them
    /// is the last.
    pub max_bytes: usize,
}

/// Some rows of a range, by ascending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePage {
    /// The rows.
    pub rows: Vec<(String, VersionedValue)>,
    /// The last key of these, if the range has more.
    pub next: Option<String>,
}

impl StoreView<'_> {
    /// The rows of a range, as many as `part` asks for.
    pub(crate) fn state_page(
        &self,
        namespace: &str,
        part: &RangePart,
    ) -> Result<StatePage, StoreError> {
        let (mut lower, upper) = part.keys.bounds(namespace);
        if let Some(after) = &part.after {
            // Nothing stands between a key and the same with a zero byte behind it.
            let mut next = state_key(namespace, after);
            next.push(0);
            lower = lower.max(next);
        }
        let mut page = StatePage {
            rows: Vec::new(),
            next: None,
        };
        if lower >= upper {
            return Ok(page);
        }
        let mut bytes = 0_usize;
        for row in self.state_rows(&lower, &upper) {
            let (key, row) = row?;
            if page.rows.len() >= part.max_rows || bytes >= part.max_bytes {
                page.next = page.rows.last().map(|(last, _)| last.clone());
                break;
            }
            bytes = bytes.saturating_add(row.length_under(&key));
            let found = row.with_value(|long| self.long_value(namespace, &key, long))?;
            page.rows.push((key, found));
        }
        Ok(page)
    }
}
