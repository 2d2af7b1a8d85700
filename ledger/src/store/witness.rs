//! A second witness of what was safely on disk, and the lock on the folder.
//!
//! A log that ends early looks the same whether the power went while its last
//! record was written (which loses nothing that was promised) or a damaged
//! length made the database take what follows for a torn tail (which loses
//! blocks and votes silently). So, after each synced write, its number is noted
//! in this small file: a database that opens with less than the file says has
//! lost something.
//!
//! The file is not synced. After a power cut it may say less than the database
//! holds, never more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;

const NAME: &str = "witness";
const SLOT_BYTES: usize = 16;
const SLOTS: usize = 2;

/// What is counted, each with one writer and one slot of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    /// The number of the newest block.
    Blocks,
    /// How many times consensus records were written.
    RecordWrites,
}

impl Counter {
    fn offset(self) -> u64 {
        match self {
            Self::Blocks => 0,
            Self::RecordWrites => SLOT_BYTES as u64,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::RecordWrites => "record writes",
        }
    }
}

/// A number with a check that no single altered byte survives.
pub(super) fn seal(value: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    let (number, check) = bytes.split_at_mut(8);
    number.copy_from_slice(&value.to_le_bytes());
    check.copy_from_slice(&blake3::hash(number).as_bytes()[..8]);
    bytes
}

/// The number in a sealed value; `None` when it was altered.
pub(super) fn unseal(bytes: &[u8]) -> Option<u64> {
    let value = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    (seal(value) == bytes).then_some(value)
}

/// The open file. Holding it holds the folder.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    path: PathBuf,
}

impl Witness {
    /// Takes the folder for writing, and makes the file where there is none.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(NAME);
        let open = |operation| io_error(operation, &path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(open("open"))?;
        locked(file.try_lock(), folder, &path)?;
        if file.metadata().map_err(open("read"))?.len() == 0 {
            file.write_all_at(&[seal(0), seal(0)].concat(), 0)
                .and_then(|()| file.sync_all())
                .map_err(open("write"))?;
        }
        Ok(Self { file, path })
    }

    /// Looks at the file of a folder that nobody writes to; `None` where there
    /// is none, which proves nothing.
    pub(super) fn read_only(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(NAME);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("open", &path)(error)),
            Ok(file) => {
                locked(file.try_lock_shared(), folder, &path)?;
                Ok(Some(Self { file, path }))
            }
        }
    }

    /// Notes that `value` is safely on disk.
    pub(super) fn note(&self, counter: Counter, value: u64) -> Result<(), StoreError> {
        self.file
            .write_all_at(&seal(value), counter.offset())
            .map_err(io_error("write", &self.path))
    }

    /// What was last noted.
    pub(super) fn read(&self, counter: Counter) -> Result<u64, StoreError> {
        let length = self.file.metadata().map_err(io_error("read", &self.path))?;
        let mut bytes = [0; SLOT_BYTES];
        let read = self.file.read_exact_at(&mut bytes, counter.offset());
        let sealed = match read {
            Ok(()) if length.len() == (SLOTS * SLOT_BYTES) as u64 => unseal(&bytes),
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(io_error("read", &self.path)(error)),
        };
        sealed.ok_or_else(|| {
            let what = "its contents were altered, so it is not known what was on disk; \
                        remove it only when another copy shows that nothing is missing";
            io_error("trust", &self.path)(io::Error::new(io::ErrorKind::InvalidData, what))
        })
    }
}

fn locked(result: Result<(), TryLockError>, folder: &Path, path: &Path) -> Result<(), StoreError> {
    match result {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: folder.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path)(error)),
    }
}

/// Names the operation and the path of a failure of the operating system.
pub(super) fn io_error(
    operation: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_path_buf();
    move |source| StoreError::Io {
        operation,
        path: path.clone(),
        source,
    }
}
