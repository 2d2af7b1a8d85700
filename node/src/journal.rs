//! What happens to the replica, written to a file as it happens, for
//! `logothete replay`.
//!
//! For those who look for the cause of something, not for safety: it is not
//! synced, it grows for as long as the node runs, and when it cannot be written
//! the node goes on without it. A crash leaves at most the last frame cut off.
//!
//! ```text
//! "LOGOTHETE JOURNAL 1\n", then for each frame of consensus::journal:
//! length (u32, little-endian) ‖ the first 8 bytes of its hash ‖ frame
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use consensus::journal::{self, MAX_FRAME_BYTES};
use consensus::{Config, Effect, Input, Replica, ReplicaId, Signer, Start, Verified};
use crypto::{Domain, SigningKey};

const MAGIC: &[u8; 20] = b"LOGOTHETE JOURNAL 1\n";

/// Length and the beginning of the hash.
const HEAD: usize = 12;

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("cannot use the journal {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is no journal: expected it to begin with \"LOGOTHETE JOURNAL 1\"")]
    NotAJournal {
        /// Which.
        path: PathBuf,
    },
    /// A frame is not what was written.
    #[error("the journal {path} is damaged in frame {frame}, at byte {at}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The how manieth frame, from 1.
        frame: u64,
        /// Where it begins.
        at: u64,
    },
}

/// A journal that is being written.
pub(crate) struct Journal {
    path: PathBuf,
    /// Gone once a write has failed.
    file: Option<BufWriter<File>>,
}

impl Journal {
    /// Begins a journal, or goes on with the one that is there: what a crash has
    /// cut off at its end is removed.
    ///
    /// # Errors
    ///
    /// When the file cannot be used, or is something else or damaged.
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::File {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            file.write_all(MAGIC).map_err(failed)?;
        } else {
            let mut reader = JournalReader::open(path)?;
            while reader.next()?.is_some() {}
            file.set_len(reader.at).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file: Some(BufWriter::new(file)),
        })
    }

    /// Starts a replica, with this journal as its witness.
    pub(crate) fn start(
        &mut self,
        config: Config,
        key: SigningKey,
        start: Start,
    ) -> (Replica, Vec<Effect>) {
        self.write(&journal::started(&config, &start));
        let made = Vec::new();
        let (mut replica, effects) = Replica::start(config, Signer::Recorded { key, made }, start);
        self.write(&journal::done(replica.take_signatures(), &effects));
        (replica, effects)
    }

    /// A step of that replica. An input that it does not survive is in the
    /// journal too, with nothing after it.
    pub(crate) fn step(&mut self, replica: &mut Replica, input: Input) -> Vec<Effect> {
        self.write(&journal::input(&input));
        let effects = replica.step(input);
        self.write(&journal::done(replica.take_signatures(), &effects));
        effects
    }

    /// Hands what was written to the operating system.
    pub(crate) fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let flushed = file.flush();
            self.give_up_if(flushed);
        }
    }

    fn write(&mut self, frame: &[u8]) {
        let Some(file) = &mut self.file else {
            return;
        };
        let head = file.write_all(&head(frame));
        let written = head.and_then(|()| file.write_all(frame));
        self.give_up_if(written);
    }

    fn give_up_if(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            let path = self.path.display();
            tracing::error!("the journal {path} ends here, the node goes on: {error}");
            self.file = None;
        }
    }
}

/// Writes a journal in which a replica that knows nothing hears these messages,
/// each from whom it is said to come: what it does with them is for the replay
/// to say.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_messages(
    path: &Path,
    config: &Config,
    messages: Vec<(ReplicaId, Verified)>,
) -> Result<(), JournalError> {
    let inputs = messages.into_iter();
    let inputs = inputs.map(|(from, message)| Input::Message { from, message });
    let frames = std::iter::once(journal::started(config, &Start::Amnesiac))
        .chain(inputs.map(|input| journal::input(&input)));
    let bytes = frames.fold(MAGIC.to_vec(), |all, frame| {
        [all, head(&frame), frame].concat()
    });
    std::fs::write(path, bytes).map_err(|source| JournalError::File {
        path: path.to_owned(),
        source,
    })
}

fn head(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], &check(frame)].concat()
}

fn check(frame: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&Domain::Journal.hash(frame).as_bytes()[..8]);
    check
}

/// A journal that is read, frame by frame.
pub struct JournalReader {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the next frame begins.
    at: u64,
    frames: u64,
    cut_off: bool,
}

impl JournalReader {
    /// Opens a journal.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is something else.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(|source| JournalError::File {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            at: MAGIC.len() as u64,
            frames: 0,
            cut_off: false,
        };
        let magic = reader.read(MAGIC.len())?;
        if magic.as_deref() != Some(MAGIC) {
            return Err(JournalError::NotAJournal { path: reader.path });
        }
        Ok(reader)
    }

    /// The next frame; none at the end, and where a crash has cut it off.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or a frame is not what was written.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(head) = self.read(HEAD)? else {
            return Ok(None);
        };
        let (length, expected) = head.split_at(4);
        let length = length.iter().rev();
        let length = length.fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if length > MAX_FRAME_BYTES {
            return Err(self.damaged());
        }
        let Some(frame) = self.read(length)? else {
            return Ok(None);
        };
        if check(&frame) != *expected {
            return Err(self.damaged());
        }
        self.at += (HEAD + length) as u64;
        self.frames += 1;
        Ok(Some(frame))
    }

    /// Whether the file ends within a frame.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }

    /// So many bytes; none when the file ends before them. What a length in the
    /// file claims is not reserved before it is there.
    fn read(&mut self, length: usize) -> Result<Option<Vec<u8>>, JournalError> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length as u64).read_to_end(&mut bytes);
        let read = read.map_err(|source| JournalError::File {
            path: self.path.clone(),
            source,
        })?;
        self.cut_off |= (1..length).contains(&read) || (read < length && length != HEAD);
        Ok((read == length).then_some(bytes))
    }

    fn damaged(&self) -> JournalError {
        JournalError::Damaged {
            path: self.path.clone(),
            frame: self.frames + 1,
            at: self.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn frames(path: &Path) -> Result<(Vec<Vec<u8>>, bool), JournalError> {
        let mut reader = JournalReader::open(path)?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.next()? {
            frames.push(frame);
        }
        Ok((frames, reader.is_cut_off()))
    }

    fn write(path: &Path, frames: &[&[u8]]) {
        let mut journal = Journal::open(path).unwrap();
        for frame in frames {
            journal.write(frame);
        }
        journal.flush();
    }

    #[test]
    fn what_was_written_is_read_however_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        write(&path, &[b"one", b"", b"three"]);
        let whole = fs::read(&path).unwrap();
        let written = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        assert_eq!(frames(&path).unwrap(), (written.clone(), false));
        for length in MAGIC.len()..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let (read, cut_off) = frames(&path).unwrap();
            assert_eq!(read, written[..read.len()], "a prefix, at {length}");
            let ends = [20, 20 + 15, 20 + 15 + 12];
            assert_eq!(cut_off, !ends.contains(&length), "at {length}");
            // Whoever goes on with it goes on after the last whole frame.
            write(&path, &[b"next"]);
            let mut expected = read.clone();
            expected.push(b"next".to_vec());
            assert_eq!(frames(&path).unwrap(), (expected, false), "at {length}");
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        write(&path, &[b"one", b"two"]);
        let whole = fs::read(&path).unwrap();
        let written = frames(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            let seen = frames(&path);
            assert!(seen.is_err() || seen.unwrap() != written, "at {at}");
        }
    }
}
