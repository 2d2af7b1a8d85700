//! What can be done to the nodes of a network: the crashes and pauses of a
//! real machine, and the way back.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::error::{TestnetError, io_error};
use crate::folder::NodeEntry;
use crate::lifeline;
use crate::process::Process;
use crate::up::Testnet;

/// How long the system may take to clear away a process that was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(30);

/// The time between two looks at a process that is about to stop.
const PAUSE_LOOK: Duration = Duration::from_millis(2);

/// How a node that was to stop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It did not run.
    NotRunning,
    /// It stopped by itself when asked.
    Cleanly,
    /// It did not stop when asked and was killed.
    Killed,
}

impl Testnet {
    /// Kills a node as a power cut would: it gets no chance to do anything.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub async fn kill(&self, node: &NodeEntry) -> Result<(), TestnetError> {
        let _lock = self.folder.lock()?;
        let process = self.process(node)?;
        self.end(node, &process).await?;
        self.forget(node)
    }

    /// Freezes a node: it keeps its connections and says nothing. Returns when
    /// its last thread stands still.
    ///
    /// # Errors
    ///
    /// When it does not run, or ends meanwhile.
    pub async fn pause(&self, node: &NodeEntry) -> Result<(), TestnetError> {
        let process = self.process(node)?;
        self.signal(node, &process, Signal::STOP)?;
        // Only a parent is told when a process stops; anyone can see when it ends.
        while !process.is_paused() {
            if self.ends_within(node, &process, PAUSE_LOOK).await? {
                let name = node.name.clone();
                return Err(TestnetError::NotRunning { name });
            }
        }
        Ok(())
    }

    /// Lets a paused node go on.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn resume(&self, node: &NodeEntry) -> Result<(), TestnetError> {
        self.signal(node, &self.process(node)?, Signal::CONT)
    }

    /// Stops a node if it runs, and starts it again on its data. Returns when
    /// it answers and is connected to the others that run, or some seconds after it
    /// answers.
    ///
    /// # Errors
    ///
    /// When it ends at once, or does not answer within `within`, or another process
    /// answers where it would.
    pub async fn restart(
        &self,
        node: &NodeEntry,
        grace: Duration,
        within: Duration,
    ) -> Result<Stopped, TestnetError> {
        let _lock = self.folder.lock()?;
        let stopped = self.stop(node, grace).await?;
        let url = format!("{}/healthz", node.api);
        if self.http.get(url).send().await.is_ok() {
            return Err(TestnetError::AnsweredByAnother {
                name: node.name.clone(),
                api: node.api.clone(),
            });
        }
        self.start(node)?;
        self.wait_answering(&[node], within).await?;
        let mut running = Vec::new();
        for other in self.folder.nodes() {
            if let Some(process) = self.folder.process(other)?
                && !process.is_paused()
            {
                running.push(other);
            }
        }
        Testnet::await_connections(&running).await;
        Ok(stopped)
    }

    /// Takes the network down: asks every node to stop, and kills those that
    /// have not after `grace`. Whoever watches it in the foreground sees it.
    ///
    /// # Errors
    ///
    /// When a node runs elsewhere, or a process cannot be signalled; the others are
    /// stopped all the same.
    pub async fn down(&self, grace: Duration) -> Result<Vec<(u32, Stopped)>, TestnetError> {
        self.folder.check_is_here()?;
        let _lock = self.folder.lock()?;
        self.stop_all(grace).await
    }

    /// What [`Testnet::down`] does, by whoever holds the lock.
    pub(crate) async fn stop_all(
        &self,
        grace: Duration,
    ) -> Result<Vec<(u32, Stopped)>, TestnetError> {
        let mut tasks = JoinSet::new();
        for node in self.folder.nodes() {
            let (testnet, node) = (self.clone(), node.clone());
            tasks.spawn(async move {
                let stopped = testnet.stop(&node, grace).await?;
                Ok((node.id, stopped))
            });
        }
        let outcomes: Vec<Result<_, TestnetError>> = tasks.join_all().await;
        lifeline::remove(&self.folder.lifeline())?;
        let mut stopped = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
        stopped.sort_by_key(|(id, _)| *id);
        Ok(stopped)
    }

    async fn stop(&self, node: &NodeEntry, grace: Duration) -> Result<Stopped, TestnetError> {
        let Some(process) = self.folder.process(node)? else {
            self.forget(node)?;
            return Ok(Stopped::NotRunning);
        };
        // A paused process heeds a request only once it goes on.
        self.signal(node, &process, Signal::TERM)?;
        self.signal(node, &process, Signal::CONT)?;
        let stopped = if self.ends_within(node, &process, grace).await? {
            Stopped::Cleanly
        } else {
            self.end(node, &process).await?;
            Stopped::Killed
        };
        self.forget(node)?;
        Ok(stopped)
    }

    fn process(&self, node: &NodeEntry) -> Result<Process, TestnetError> {
        // Names a node of another machine as such.
        let _home = self.folder.home(node)?;
        let process = self.folder.process(node)?;
        process.ok_or_else(|| TestnetError::NotRunning {
            name: node.name.clone(),
        })
    }

    fn signal(
        &self,
        node: &NodeEntry,
        process: &Process,
        signal: Signal,
    ) -> Result<(), TestnetError> {
        let sent = process.signal(signal);
        sent.map_err(|source| self.process_error("signal the process of", node, source))
    }

    /// Kills a process and waits until it is gone.
    async fn end(&self, node: &NodeEntry, process: &Process) -> Result<(), TestnetError> {
        self.signal(node, process, Signal::KILL)?;
        if self.ends_within(node, process, KILLED_WITHIN).await? {
            return Ok(());
        }
        let late = io::ErrorKind::TimedOut.into();
        Err(self.process_error("see the end of the killed process of", node, late))
    }

    async fn ends_within(
        &self,
        node: &NodeEntry,
        process: &Process,
        limit: Duration,
    ) -> Result<bool, TestnetError> {
        let ended = process.ends_within(limit).await;
        ended.map_err(|source| self.process_error("wait for the process of", node, source))
    }

    fn process_error(
        &self,
        operation: &'static str,
        node: &NodeEntry,
        source: io::Error,
    ) -> TestnetError {
        let file = self.folder.pid_file(node).unwrap_or_default();
        io_error(operation, &file, source)
    }

    /// Removes the pid file of a process that has ended.
    fn forget(&self, node: &NodeEntry) -> Result<(), TestnetError> {
        if node.home.is_none() {
            return Ok(());
        }
        let file = self.folder.pid_file(node)?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| io_error("remove", &file, source)),
        }
    }
}
