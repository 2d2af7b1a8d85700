//! The transactions of batches and blocks, in files of their own.
//!
//! They are most of what a chain is and never change. A database would write them
//! twice, into its log and into a table; here they are appended to a file, once, and
//! rows of the database say where: of a batch that was voted for in
//! [`super::Family::Batches`], of a block in its own row. What a row refers to is on disk
//! before the row is written. What no row refers to, such as the beginning of what a
//! crash cut off, is passed over.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crypto::Digest;
use crypto::codec::{Decode, Encode};

use super::StoreError;
use super::witness::io_error;

/// The folder within the data folder.
const FOLDER: &str = "bodies";
/// How a file is called after its number.
const EXTENSION: &str = "bodies";
/// From how many bytes on a file is not appended to any more.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Where the transactions of a batch stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Extent {
    /// The number of the file, from 1.
    file: u64,
    /// The first byte of it.
    offset: u64,
    /// How many bytes they are.
    length: u64,
    /// Their BLAKE3 hash: this disk's own, of which nothing in the chain speaks.
    checksum: Digest,
}

/// Where a transaction stands among those of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Span {
    /// Its first byte.
    start: u32,
    /// How many bytes it has.
    length: u32,
}

impl Extent {
    /// Holds how many bytes some transactions have against what was written of the batch
    /// that they are said to be.
    pub(super) fn expect_length(&self, found: usize) {
        assert_eq!(
            self.length, found as u64,
            "a name stands for the same transactions wherever it is used"
        );
    }

    /// Whether these transactions stand there.
    pub(super) fn is_of(&self, bodies: &[u8]) -> bool {
        self.length == bodies.len() as u64 && self.checksum == checksum(bodies)
    }
}

/// How a count is encoded.
const COUNT_BYTES: usize = 8;
/// How many times as long as a value a transaction may be that is read for it: what it
/// takes to read many values is bounded by how long they are. Another number is another
/// layout: verification expects the rows that follow from it.
const MAX_READ_FOR_VALUE: usize = 8;

impl Span {
    /// Those of all transactions of a block, whose canonical encoding is a list of them.
    pub(crate) fn of_all(transactions: &[Arc<[u8]>]) -> Vec<Self> {
        let mut end = COUNT_BYTES;
        let number = |at: usize| u32::try_from(at).expect("blocks are shorter than 4 GiB");
        let spans = transactions.iter().map(|bytes| {
            let start = end + COUNT_BYTES;
            end = start + bytes.len();
            Self {
                start: number(start),
                length: number(bytes.len()),
            }
        });
        spans.collect()
    }

    /// Whether a long value which this transaction writes need not stand elsewhere.
    pub(super) fn holds(self, value: &[u8]) -> bool {
        u64::from(self.length) <= (MAX_READ_FOR_VALUE * value.len()) as u64
    }
}

/// The files of a store.
#[derive(Debug)]
pub(super) struct BodyFiles {
    folder: PathBuf,
    writer: Mutex<Writer>,
}

/// What is known from writing.
#[derive(Debug, Default)]
struct Writer {
    /// The file that is appended to; none before the first time.
    last: Option<LastFile>,
    /// The oldest and the newest block that something was appended for, of each file
    /// since the opening.
    blocks: BTreeMap<u64, (u64, u64)>,
}

#[derive(Debug)]
struct LastFile {
    number: u64,
    file: File,
    path: PathBuf,
    length: u64,
    is_synced: bool,
}

impl LastFile {
    fn append(&mut self, bodies: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all_at(bodies, self.length);
        written.map_err(not_appended(&self.path))?;
        self.length += bodies.len() as u64;
        self.is_synced = false;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(not_appended(&self.path))?;
        self.is_synced = true;
        Ok(())
    }
}

impl BodyFiles {
    /// The files in this data folder. There need be none yet.
    pub(super) fn new(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
            writer: Mutex::default(),
        }
    }

    /// Appends transactions that may become, or are, those of the block with this
    /// number: their canonical encoding. They are on disk after [`Self::sync`].
    pub(super) fn append(&self, block: u64, bodies: &[u8]) -> Result<Extent, StoreError> {
        let mut writer = self.lock();
        let mut last = self.last_with_room(&mut writer)?;
        let extent = Extent {
            file: last.number,
            offset: last.length,
            length: bodies.len() as u64,
            checksum: checksum(bodies),
        };
        last.append(bodies)?;
        let (oldest, newest) = writer.blocks.entry(last.number).or_insert((block, block));
        (*oldest, *newest) = (block.min(*oldest), block.max(*newest));
        writer.last = Some(last);
        Ok(extent)
    }

    /// Waits until all that was appended is on disk; whether there was something.
    pub(super) fn sync(&self) -> Result<bool, StoreError> {
        match &mut self.lock().last {
            Some(last) if !last.is_synced => last.sync().map(|()| true),
            _ => Ok(false),
        }
    }

    /// The file to append to, which is the last, as long as it has room.
    fn last_with_room(&self, writer: &mut Writer) -> Result<LastFile, StoreError> {
        let mut last = if let Some(last) = writer.last.take() {
            last
        } else {
            fs::create_dir_all(&self.folder).map_err(io_error("create", &self.folder))?;
            sync_folder(self.folder.parent().unwrap_or(Path::new(".")))?;
            let newest = self.newest()?;
            let last = self.open_to_append(newest.unwrap_or(1))?;
            // What is in there already may be of any block.
            if last.length > 0 {
                writer.blocks.insert(last.number, (0, u64::MAX));
            }
            last
        };
        if last.length < FILE_BYTES {
            return Ok(last);
        }
        last.sync()?;
        let next = last.number.checked_add(1);
        self.open_to_append(next.expect("nobody writes 2^64 files"))
    }

    fn open_to_append(&self, number: u64) -> Result<LastFile, StoreError> {
        let path = self.path(number);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(io_error("open", &path))?;
        sync_folder(&self.folder)?;
        // After a crash there may be more than what was written to its end.
        let length = file.metadata().map_err(io_error("read", &path))?.len();
        Ok(LastFile {
            number,
            file,
            path,
            length,
            is_synced: true,
        })
    }

    /// The files all of whose transactions were appended for blocks after `after` and up
    /// to `through`, but for the one that is appended to.
    pub(super) fn take_needless(&self, after: u64, through: u64) -> Vec<u64> {
        let mut writer = self.lock();
        let last = writer.last.as_ref().map(|last| last.number);
        let is_needless = |file: &u64, (oldest, newest): &mut (u64, u64)| {
            *oldest > after && *newest <= through && Some(*file) != last
        };
        let needless = writer.blocks.extract_if(.., is_needless);
        needless.map(|(file, _)| file).collect()
    }

    /// Removes a file to which no row refers any more.
    pub(super) fn remove(&self, file: u64) -> Result<(), StoreError> {
        let path = self.path(file);
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    /// The transactions in this place, held against their hash.
    pub(super) fn read(&self, extent: &Extent) -> Result<Vec<u8>, BodiesProblem> {
        let bodies = self.read_at(extent, 0, extent.length)?;
        if checksum(&bodies) != extent.checksum {
            return Err(self.problem(extent, damaged("it holds other bytes than were written")));
        }
        Ok(bodies)
    }

    /// One of the transactions in this place, as it is found: what is read so must be
    /// held against something else.
    pub(super) fn read_one(&self, extent: &Extent, span: Span) -> Result<Vec<u8>, BodiesProblem> {
        let (start, length) = (u64::from(span.start), u64::from(span.length));
        if start + length > extent.length {
            return Err(self.problem(extent, damaged("it was said to hold more transactions")));
        }
        self.read_at(extent, start, length)
    }

    fn read_at(&self, extent: &Extent, start: u64, length: u64) -> Result<Vec<u8>, BodiesProblem> {
        let read = || {
            let file = File::open(self.path(extent.file))?;
            let there = file.metadata()?.len();
            let offset = extent.offset.checked_add(start);
            let end = offset.and_then(|offset| offset.checked_add(length));
            // What a row says is not believed: nothing is made room for that is not there.
            let (Some(offset), Some(length)) = (
                offset.filter(|_| end.is_some_and(|end| end <= there)),
                usize::try_from(length).ok(),
            ) else {
                return Err(damaged("it ends before that"));
            };
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        };
        read().map_err(|source| self.problem(extent, source))
    }

    fn problem(&self, extent: &Extent, source: io::Error) -> BodiesProblem {
        BodiesProblem {
            path: self.path(extent.file),
            offset: extent.offset,
            source,
        }
    }

    /// The number of the newest file, if there is one.
    fn newest(&self) -> Result<Option<u64>, StoreError> {
        let error = io_error("read", &self.folder);
        let mut newest = None;
        for entry in fs::read_dir(&self.folder).map_err(&error)? {
            let path = entry.map_err(&error)?.path();
            if path.extension().is_some_and(|it| it == EXTENSION) {
                let stem = path.file_stem().and_then(|it| it.to_str());
                newest = newest.max(stem.and_then(|stem| stem.parse().ok()));
            }
        }
        Ok(newest)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{EXTENSION}"))
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        let writer = self.writer.lock();
        writer.expect("a panic while writing stops the process")
    }
}

/// Transactions that cannot be had from where they were written.
#[derive(Debug, thiserror::Error)]
#[error("the transactions at byte {offset} of {} cannot be read: {source}", path.display())]
pub(super) struct BodiesProblem {
    path: PathBuf,
    offset: u64,
    source: io::Error,
}

impl BodiesProblem {
    /// The error of a row that refers to them: it is damage where they are not there, and
    /// else what the operating system says of its file.
    pub(super) fn into_error(self, damaged: impl FnOnce(String) -> StoreError) -> StoreError {
        match self.source.kind() {
            ErrorKind::InvalidData | ErrorKind::NotFound | ErrorKind::UnexpectedEof => {
                damaged(self.to_string())
            }
            _ => io_error("read", &self.path)(self.source),
        }
    }
}

fn not_appended(path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_path_buf();
    move |source| StoreError::Append {
        path: path.clone(),
        source,
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn checksum(bodies: &[u8]) -> Digest {
    Digest(*blake3::hash(bodies).as_bytes())
}

/// Waits until the names in a folder are on disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(io_error("sync", folder))
}
