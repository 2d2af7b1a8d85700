//! A network comes up and goes down.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{TestnetError, io_error};
use crate::folder::{self, NetworkFolder, NodeEntry};
use crate::lifeline::{self, Lifeline};
use crate::process::ProcessIdentity;
use crate::spec::{Spec, create};

/// How often a watcher looks whether its network was taken down.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// How long one question to a node may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long nodes may take to stop after one of them failed to start.
const FAILED_START_GRACE: Duration = Duration::from_secs(5);

/// How a network is to run.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The binary whose `node run` is a node.
    pub binary: PathBuf,
    /// Whether the nodes outlive the caller.
    pub mode: Mode,
    /// How long the nodes may take to become ready; counted from when the last
    /// one was started. When it is over, all are stopped again.
    pub ready_within: Duration,
}

/// Whether the nodes outlive the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They do not, however the caller ends.
    Foreground,
    /// They run until they are taken down.
    Detached,
}

/// A network that can be told what to do.
#[derive(Clone, Debug)]
pub struct Testnet {
    pub(crate) folder: NetworkFolder,
    pub(crate) http: reqwest::Client,
    binary: PathBuf,
}

/// A network that is up.
#[derive(Debug)]
pub struct Running {
    /// The network.
    pub testnet: Testnet,
    /// Whether it was made just now; otherwise its chain goes on.
    pub created: bool,
    lifeline: Option<Lifeline>,
}

/// Brings up the network in `path`. One that is stopped goes on with its chain;
/// where there is none, one of `nodes` (4 when left open) is made. What crashed
/// commands left behind is recognised: pid files of the dead mean nothing,
/// drafts and half-removed networks are cleared away. Returns when the nodes are ready
/// and all connected to each other, or some seconds after they are ready.
///
/// Inside a tokio runtime only: it reaps the nodes.
///
/// # Errors
///
/// When the network runs already, the folder holds something else, or a node
/// does not come up; then nothing is left running.
pub async fn up(path: &Path, nodes: Option<u32>, launch: Launch) -> Result<Running, TestnetError> {
    let (folder, created) = open_or_create(path, nodes)?;
    let lock = folder.lock()?;
    let testnet = Testnet::new(folder, launch.binary)?;
    testnet.check_stopped()?;
    let lifeline = match launch.mode {
        Mode::Foreground => Some(Lifeline::hold(&testnet.folder.lifeline())?),
        Mode::Detached => {
            lifeline::remove(&testnet.folder.lifeline())?;
            None
        }
    };
    let nodes: Vec<&NodeEntry> = testnet.folder.nodes().iter().collect();
    let started = nodes.iter().try_for_each(|node| testnet.start(node));
    let ready = match started {
        Ok(()) => testnet.wait_ready(&nodes, launch.ready_within).await,
        failed => failed,
    };
    if let Err(error) = ready {
        testnet.stop_all(FAILED_START_GRACE).await?;
        return Err(error);
    }
    drop(lock);
    Testnet::await_connections(&nodes).await;
    Ok(Running {
        testnet,
        created,
        lifeline,
    })
}

fn open_or_create(path: &Path, nodes: Option<u32>) -> Result<(NetworkFolder, bool), TestnetError> {
    match NetworkFolder::open(path) {
        Ok(folder) => {
            let found = folder.nodes().len();
            match nodes {
                Some(wanted) if wanted as usize != found => Err(TestnetError::OtherSize {
                    path: path.to_owned(),
                    found,
                    wanted,
                }),
                _ => Ok((folder, false)),
            }
        }
        Err(TestnetError::NoNetwork { .. }) => new_network(path, nodes),
        Err(TestnetError::HalfRemoved { .. }) => {
            let lock = folder::lock_folder(path)?;
            folder::remove(path)?;
            drop(lock);
            new_network(path, nodes)
        }
        Err(error) => Err(error),
    }
}

fn new_network(path: &Path, nodes: Option<u32>) -> Result<(NetworkFolder, bool), TestnetError> {
    let spec = Spec {
        name: "testnet".to_owned(),
        nodes: nodes.unwrap_or(4),
        policy: None,
        clients: Spec::usual_clients(),
    };
    Ok((create(path, &spec)?, true))
}

impl Running {
    /// Returns when somebody takes the network down; never for a detached one.
    pub async fn taken_down(&self) {
        let Some(lifeline) = &self.lifeline else {
            return std::future::pending().await;
        };
        let mut interval = tokio::time::interval(WATCH_INTERVAL);
        while lifeline.is_in_place() {
            interval.tick().await;
        }
    }
}

impl Testnet {
    /// The network in `path`, with the binary that its nodes are restarted from.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(path: &Path, binary: PathBuf) -> Result<Self, TestnetError> {
        Self::new(NetworkFolder::open(path)?, binary)
    }

    fn new(folder: NetworkFolder, binary: PathBuf) -> Result<Self, TestnetError> {
        let http = reqwest::Client::builder().timeout(HTTP_TIMEOUT).build()?;
        Ok(Self {
            folder,
            http,
            binary,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &NetworkFolder {
        &self.folder
    }

    fn check_stopped(&self) -> Result<(), TestnetError> {
        let mut running = Vec::new();
        for node in self.folder.nodes() {
            if let Some(process) = self.folder.process(node)? {
                running.push(format!("{} is process {}", node.name, process.pid()));
            }
        }
        if running.is_empty() && lifeline::watched(&self.folder.lifeline())?.is_some() {
            running.push("its nodes are stopped, but it is up in the foreground".to_owned());
        }
        if running.is_empty() {
            return Ok(());
        }
        Err(TestnetError::AlreadyRunning {
            path: self.folder.path().to_owned(),
            running: running.join(", "),
        })
    }

    /// Starts the process of a node. It lives as long as the network's lifeline
    /// is held, or for ever when there is none.
    pub(crate) fn start(&self, node: &NodeEntry) -> Result<(), TestnetError> {
        let home = self.folder.home(node)?;
        let log_file = self.folder.log_file(node)?;
        let log = File::options().append(true).create(true).open(&log_file);
        let log = log.map_err(|source| io_error("open", &log_file, source))?;
        let errors = log
            .try_clone()
            .map_err(|source| io_error("open", &log_file, source))?;
        let mut command = Command::new(&self.binary);
        command
            .args(["node", "run", "--home"])
            .arg(home.path())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C in the terminal is for whoever watches, who then stops
            // the nodes in order.
            .process_group(0);
        // What the environment says is for the command that was typed.
        for variable in mirrored_variables() {
            command.env_remove(variable);
        }
        match lifeline::watched(&self.folder.lifeline())? {
            Some(lifeline) => command.arg("--exit-on-stdin-eof").stdin(lifeline),
            None => command.stdin(Stdio::null()),
        };
        let mut command = tokio::process::Command::from(command);
        let mut child = command
            .spawn()
            .map_err(|source| io_error("run", &self.binary, source))?;
        let identity = child.id().and_then(ProcessIdentity::of);
        let identity = identity.ok_or_else(|| self.exited(node))?;
        let pid_file = self.folder.pid_file(node)?;
        if let Err(source) = identity.write_file(&pid_file) {
            // What cannot be found again must not be left running.
            let _ended_already = child.start_kill();
            return Err(io_error("write", &pid_file, source));
        }
        // Reaped as soon as it ends, so that it does not stay as a zombie.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }

    /// Removes the network, all of it. It must be stopped.
    ///
    /// # Errors
    ///
    /// When a node runs, or may run elsewhere, or something cannot be removed.
    pub fn wipe(self) -> Result<(), TestnetError> {
        self.folder.check_is_here()?;
        let lock = self.folder.lock()?;
        self.check_stopped()?;
        folder::remove(self.folder.path())?;
        drop(lock);
        Ok(())
    }

    /// Finishes the removal of a network that was interrupted; nothing when
    /// there is no such thing in `path`.
    ///
    /// # Errors
    ///
    /// When something cannot be removed.
    pub fn finish_wipe(path: &Path) -> Result<bool, TestnetError> {
        let Err(TestnetError::HalfRemoved { .. }) = NetworkFolder::open(path) else {
            return Ok(false);
        };
        let lock = folder::lock_folder(path)?;
        folder::remove(path)?;
        drop(lock);
        Ok(true)
    }

    /// The error that a node has ended, with what it said last.
    pub(crate) fn exited(&self, node: &NodeEntry) -> TestnetError {
        const LINES: usize = 8;
        let log = self.folder.log_file(node).unwrap_or_default();
        let bytes = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
        TestnetError::Exited {
            name: node.name.clone(),
            log,
            tail,
        }
    }
}

/// The variables of the environment that stand for options of commands.
pub fn mirrored_variables() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("LOGOTHETE_") && name != "LOGOTHETE_LOG"
    })
}
