//! The lifeline of a network in the foreground: a named pipe that whoever
//! watches the network holds open for writing. The nodes have its other end as
//! their standard input and stop when it ends, which it does when the watcher
//! dies, by `SIGKILL` too. Being named, it also serves for nodes that another
//! command restarts.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fcntl_setfl, mkfifoat};

use crate::error::{TestnetError, io_error};

/// The end that is held by whoever watches.
#[derive(Debug)]
pub(crate) struct Lifeline {
    path: PathBuf,
    held: File,
}

impl Lifeline {
    /// Makes the lifeline and holds it.
    pub(crate) fn hold(path: &Path) -> Result<Self, TestnetError> {
        remove(path)?;
        mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)
            .map_err(|error| io_error("make the pipe", path, error))?;
        // Open for both, because opening for writing alone waits for a reader.
        let held = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| io_error("open", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            held,
        })
    }

    /// Whether it is still in its place; [`remove`] says that the network is
    /// to end.
    pub(crate) fn is_in_place(&self) -> bool {
        let inode = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|found| found.ino());
        inode(fs::metadata(&self.path)) == inode(self.held.metadata())
    }
}

/// The end for a node, if somebody watches.
pub(crate) fn watched(path: &Path) -> Result<Option<File>, TestnetError> {
    // Without waiting for a writer: there may be none.
    let opened = File::options()
        .read(true)
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).expect("an open flag is small"))
        .open(path);
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| io_error("open", path, source))?,
    };
    // Nothing is ever written: with a writer there is nothing yet, without one
    // there is the end.
    match file.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        _ => return Ok(None),
    }
    fcntl_setfl(&file, OFlags::empty()).map_err(|error| io_error("set up", path, error))?;
    Ok(Some(file))
}

/// Takes the lifeline away: whoever watches will see it.
pub(crate) fn remove(path: &Path) -> Result<(), TestnetError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| io_error("remove", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_sees_the_end_when_the_watcher_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lifeline");
        assert!(watched(&path).unwrap().is_none(), "there is none");
        let lifeline = Lifeline::hold(&path).unwrap();
        let mut first = watched(&path).unwrap().unwrap();
        let mut second = watched(&path).unwrap().unwrap();
        assert!(lifeline.is_in_place());
        drop(lifeline);
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        assert_eq!(second.read(&mut [0]).unwrap(), 0);
        assert!(watched(&path).unwrap().is_none(), "nobody watches");
    }

    #[test]
    fn the_watcher_sees_that_the_lifeline_was_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lifeline");
        let first = Lifeline::hold(&path).unwrap();
        remove(&path).unwrap();
        assert!(!first.is_in_place());
        let second = Lifeline::hold(&path).unwrap();
        assert!(!first.is_in_place(), "another one is not the same");
        assert!(second.is_in_place());
    }
}
