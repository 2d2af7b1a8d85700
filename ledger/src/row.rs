//! The rows of the world state: what a key holds, a long value by its hash.
//!
//! Validation asks for versions and policies (and for values of the system alone), the
//! digest of the state for what is hashed: neither for a long value itself. It stands
//! apart, where the history of its key says, and is read for who wants to see it.

use std::sync::Arc;

use crypto::codec::{Decode, Encode};
use crypto::{Digest, Domain};

use crate::policy::EndorsementPolicy;
use crate::rwset::Version;

/// From how many bytes on a value is long.
pub(crate) const LONG_VALUE: usize = 256;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedValue {
    /// Where it was written.
    pub version: Version,
    /// The value.
    pub value: Vec<u8>,
    /// Who must endorse what is done to the key, where that is not for the
    /// contract's policy to say.
    pub policy: Option<EndorsementPolicy>,
}

/// What a key holds, as the state keeps it and its digest hashes it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StateRow {
    /// Where it was written.
    pub version: Version,
    /// The value, or what is said of it.
    pub value: RowValue,
    /// The key's own endorsement policy.
    pub policy: Option<EndorsementPolicy>,
}

impl StateRow {
    /// How many bytes it counts for among others of a range, under this key: those of
    /// the key and of the value, long or not.
    pub(crate) fn length_under(&self, key: &str) -> usize {
        key.len().saturating_add(self.value.length())
    }

    /// The row with its value, which is looked up where it is long.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    pub(crate) fn with_value<E>(
        self,
        look_up: impl FnOnce(&LongValue) -> Result<Vec<u8>, E>,
    ) -> Result<VersionedValue, E> {
        Ok(VersionedValue {
            version: self.version,
            value: match self.value {
                RowValue::Short(value) => value,
                RowValue::Long(long) => look_up(&long)?,
            },
            policy: self.policy,
        })
    }
}

/// The value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RowValue {
    /// Itself, of less than 256 bytes.
    Short(Vec<u8>),
    /// What is said of a longer one.
    Long(LongValue),
}

/// What a row says of a long value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LongValue {
    /// Where the value was written, which may be before only the policy of its key was.
    pub written: Version,
    /// How many bytes it has.
    pub length: u64,
    /// Its hash.
    pub hash: Digest,
}

impl RowValue {
    /// The value as a row has it, when it is written at `written`.
    #[must_use]
    pub fn of(value: &[u8], written: Version) -> Self {
        if value.len() < LONG_VALUE {
            return Self::Short(value.to_vec());
        }
        Self::Long(LongValue {
            written,
            length: value.len() as u64,
            hash: Domain::Value.hash(value),
        })
    }

    /// How many bytes the value has.
    fn length(&self) -> usize {
        match self {
            Self::Short(value) => value.len(),
            Self::Long(long) => usize::try_from(long.length).unwrap_or(usize::MAX),
        }
    }
}

impl LongValue {
    /// Whether these bytes are the value.
    #[must_use]
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        self.length == bytes.len() as u64 && self.hash == Domain::Value.hash(bytes)
    }
}

/// One write to one key: what the key holds from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowWrite {
    /// Its row; none when it is deleted.
    pub(crate) row: Option<StateRow>,
    /// The value, where it was written and is long.
    pub(crate) long: Option<Arc<[u8]>>,
}

impl RowWrite {
    /// A value and a policy, written at `version`.
    pub(crate) fn value(value: &[u8], version: Version, policy: Option<EndorsementPolicy>) -> Self {
        let row = StateRow {
            version,
            value: RowValue::of(value, version),
            policy,
        };
        Self {
            long: matches!(row.value, RowValue::Long(_)).then(|| value.into()),
            row: Some(row),
        }
    }

    /// Another policy, set at `version`, on what the key held before.
    pub(crate) fn policy(
        before: StateRow,
        version: Version,
        policy: Option<EndorsementPolicy>,
    ) -> Self {
        let row = StateRow {
            version,
            policy,
            ..before
        };
        Self {
            row: Some(row),
            long: None,
        }
    }

    /// What the key holds once `later` is written, too. The value stays at hand where
    /// only the policy is another.
    pub(crate) fn then(&mut self, later: &Self) {
        let row = later.row.as_ref();
        let is_long = row.is_some_and(|row| matches!(row.value, RowValue::Long(_)));
        if !is_long || later.long.is_some() {
            self.long.clone_from(&later.long);
        }
        self.row.clone_from(&later.row);
    }

    /// The long value that the row has, where it is at hand.
    pub(crate) fn long_value(&self, of: &LongValue) -> Option<&[u8]> {
        match &self.row.as_ref()?.value {
            RowValue::Long(long) if long == of => self.long.as_deref(),
            _ => None,
        }
    }

    /// Nothing.
    pub(crate) const DELETED: Self = Self {
        row: None,
        long: None,
    };
}

impl From<Option<VersionedValue>> for RowWrite {
    fn from(found: Option<VersionedValue>) -> Self {
        found.map_or(Self::DELETED, |found| {
            Self::value(&found.value, found.version, found.policy)
        })
    }
}
