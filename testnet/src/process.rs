//! Processes that are known by more than their number.
//!
//! The system gives the number of a dead process to another one. A pid file
//! therefore says when its process started and in which run of the machine, and
//! a signal goes through a pidfd that was opened before these were compared:
//! it reaches the process that is meant, or none.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What tells a process from all that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    pid: u32,
    /// In clock ticks since the machine started.
    started: u64,
    /// Which run of the machine.
    boot: String,
}

impl ProcessIdentity {
    /// The identity of the process that has this number now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            started: Stat::of(pid)?.started,
            boot: boot_id()?,
        })
    }

    /// The number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The identity in a pid file; `None` when there is no such file or it
    /// holds no identity.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read.
    pub fn read_file(path: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let mut words = text.split_whitespace();
        let mut word = || words.next();
        let identity = (|| {
            Some(Self {
                pid: word()?.parse().ok()?,
                started: word()?.parse().ok()?,
                boot: word()?.to_owned(),
            })
        })();
        Ok(identity.filter(|_| words.next().is_none()))
    }

    /// Writes the pid file: whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_file(&self, path: &Path) -> io::Result<()> {
        let Self { pid, started, boot } = self;
        let fresh = path.with_extension("pid.new");
        fs::write(&fresh, format!("{pid} {started} {boot}\n"))?;
        fs::rename(&fresh, path)
    }

    /// The process, if it still lives.
    ///
    /// # Errors
    ///
    /// When the system does not let us look.
    pub fn find(&self) -> io::Result<Option<Process>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The pidfd holds on to whatever process it is; only now is it asked
        // which one.
        let same = Self::of(self.pid).as_ref() == Some(self);
        let alive = Stat::of(self.pid).is_some_and(|stat| stat.is_alive());
        let pid = self.pid;
        Ok((same && alive).then_some(Process { pid, pidfd }))
    }
}

/// A process that was seen to be the one that is meant.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is stopped by a signal, with all its threads.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid));
        threads.is_ok_and(|mut threads| {
            threads.all(|thread| {
                let stat = thread.map(|thread| Stat::read(&thread.path().join("stat")));
                stat.is_ok_and(|stat| stat.is_some_and(|stat| stat.state == 'T'))
            })
        })
    }

    /// Sends a signal; one that died meanwhile needs none.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it has ended, at most for `limit`; whether it has.
    ///
    /// # Errors
    ///
    /// When the system does not let us wait.
    pub async fn ends_within(&self, limit: Duration) -> io::Result<bool> {
        let pidfd = self.pidfd.try_clone()?;
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        // A pidfd becomes readable when its process ends. Waiting takes a
        // thread: tokio offers no safe way to watch such a descriptor.
        let wait = move || {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            retry_on_intr(|| poll(&mut fds, Some(&limit)))
        };
        let ready = tokio::task::spawn_blocking(wait).await;
        Ok(ready.map_err(io::Error::other)?? == 1)
    }
}

/// What `/proc/PID/stat` says of a process, or the same of a thread.
struct Stat {
    state: char,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(Path::new(&format!("/proc/{pid}/stat")))
    }

    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        // The name in parentheses may hold anything, parentheses too. After it
        // come the state, third of the fields, and at place 22 the start time.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let started = fields.nth(18)?.parse().ok()?;
        Some(Self { state, started })
    }

    /// A zombie has ended, whether or not its parent has looked.
    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[tokio::test]
    async fn a_process_is_found_signalled_and_seen_to_end() {
        let mut child = sleeper();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        let process = identity.find().unwrap().unwrap();
        assert_eq!(process.pid(), child.id());
        assert!(!process.ends_within(Duration::ZERO).await.unwrap());
        process.signal(Signal::KILL).unwrap();
        assert!(process.ends_within(Duration::from_mins(1)).await.unwrap());
        assert!(identity.find().unwrap().is_none(), "a zombie has ended");
        child.wait().unwrap();
        assert!(identity.find().unwrap().is_none());
        process.signal(Signal::KILL).unwrap();
    }

    /// The number of a dead process belongs to another one now: it must not be
    /// found under the old identity, or it would be killed for it.
    #[test]
    fn a_process_with_a_reused_number_is_not_found() {
        let mut child = sleeper();
        let now = ProcessIdentity::of(child.id()).unwrap();
        let earlier = ProcessIdentity {
            started: now.started - 1,
            ..now.clone()
        };
        let before_the_reboot = ProcessIdentity {
            boot: "4f0c8a52-0000-0000-0000-000000000000".to_owned(),
            ..now.clone()
        };
        assert!(earlier.find().unwrap().is_none());
        assert!(before_the_reboot.find().unwrap().is_none());
        assert!(now.find().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_pid_file_gives_back_what_was_written_and_nothing_from_junk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.pid");
        assert_eq!(ProcessIdentity::read_file(&path).unwrap(), None);
        let own = ProcessIdentity::of(std::process::id()).unwrap();
        own.write_file(&path).unwrap();
        assert_eq!(ProcessIdentity::read_file(&path).unwrap(), Some(own));
        for junk in ["", "1", "1 2", "x y z", "1 2 3 4", "-1 2 3"] {
            fs::write(&path, junk).unwrap();
            let read = ProcessIdentity::read_file(&path).unwrap();
            assert_eq!(read, None, "{junk:?}");
        }
    }
}
