//! Launching real nodes, watching them and breaking them.

use std::time::Duration;

use consensus::byzantine::Modes;
use node::api::ApiClient;
use serde_json::json;
use testnet::{Launch, Mode, NetworkStatus, Stopped, Testnet, up};
use tokio::signal::unix::{SignalKind, signal};

use super::partition;
use crate::args::{Global, TestnetCommand};
use crate::exit::{Failure, Outcome};
use crate::network::{own_binary, testnet};
use crate::output::{short, table};

/// How long nodes may take to come up: their disks may be slow.
pub(super) const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long nodes may take to stop by themselves.
pub(super) const GRACE: Duration = Duration::from_secs(20);

pub(crate) async fn run(global: &Global, command: TestnetCommand) -> Outcome {
    match command {
        TestnetCommand::Up { nodes, detach } => bring_up(global, nodes, detach).await,
        TestnetCommand::Status => {
            print_status(global, &testnet(global)?.status().await?);
            Ok(())
        }
        TestnetCommand::Kill { node } => {
            let (testnet, entry) = one(global, &node)?;
            testnet.kill(&entry).await?;
            done(global, &entry.name, "killed");
            Ok(())
        }
        TestnetCommand::Restart { node } => {
            let (testnet, entry) = one(global, &node)?;
            testnet.restart(&entry, GRACE, READY_WITHIN).await?;
            done(global, &entry.name, "restarted");
            Ok(())
        }
        TestnetCommand::Pause { node } => {
            let (testnet, entry) = one(global, &node)?;
            testnet.pause(&entry).await?;
            done(global, &entry.name, "paused");
            Ok(())
        }
        TestnetCommand::Resume { node } => {
            let (testnet, entry) = one(global, &node)?;
            testnet.resume(&entry)?;
            done(global, &entry.name, "resumed");
            Ok(())
        }
        TestnetCommand::Fault { node, mode } => fault(global, &node, &mode).await,
        TestnetCommand::Partition { groups } => partition::partition(global, &groups).await,
        TestnetCommand::Heal => partition::heal(global).await,
        TestnetCommand::Logs { node } => {
            let (testnet, entry) = one(global, &node)?;
            let path = testnet.folder().log_file(&entry)?;
            let bytes = std::fs::read(&path).map_err(|error| {
                Failure::failed(format!("cannot read {}", path.display())).cause(error)
            })?;
            let log = String::from_utf8_lossy(&bytes).into_owned();
            let answer = json!({"node": entry.name, "file": path, "log": log});
            global.output.print(&answer, |_| log.clone());
            Ok(())
        }
        TestnetCommand::Down { wipe } => take_down(global, wipe).await,
    }
}

/// Makes a running node misbehave. Restarted, it behaves again.
async fn fault(global: &Global, node: &str, mode: &Modes) -> Outcome {
    let (_, entry) = one(global, node)?;
    let client = ApiClient::new(&entry.api)?;
    let set = client.set_fault(&mode.to_string()).await?;
    let answer = json!({"node": entry.name, "fault": set.mode});
    global.output.print(&answer, |_| match set.mode.as_str() {
        "none" => format!("{} behaves", entry.name),
        mode => format!("{} misbehaves: {mode}", entry.name),
    });
    Ok(())
}

fn one(global: &Global, node: &str) -> Outcome<(Testnet, testnet::NodeEntry)> {
    let testnet = testnet(global)?;
    let entry = testnet.folder().node(node)?.clone();
    Ok((testnet, entry))
}

fn done(global: &Global, node: &str, what: &str) {
    let answer = json!({"node": node, "done": what});
    global.output.print(&answer, |_| format!("{node} {what}"));
}

async fn bring_up(global: &Global, nodes: Option<u32>, detach: bool) -> Outcome {
    let mode = if detach {
        Mode::Detached
    } else {
        Mode::Foreground
    };
    let launch = Launch {
        binary: own_binary()?,
        mode,
        ready_within: READY_WITHIN,
    };
    global.output.note("starting the nodes");
    let mut interrupted = Interrupted::new()?;
    let running = tokio::select! {
        running = up(&global.network, nodes, launch) => running?,
        () = interrupted.wait() => {
            // Whatever has been started by now is stopped again.
            if let Ok(testnet) = testnet(global) {
                testnet.down(GRACE).await?;
            }
            return Err(Failure::failed("interrupted; nothing is left running"));
        }
    };
    print_status(global, &running.testnet.status().await?);
    if detach {
        global
            .output
            .note("the network runs; `logothete testnet down` stops it");
        return Ok(());
    }
    global.output.note("the network runs; Ctrl-C stops it");
    tokio::select! {
        () = interrupted.wait() => {
            global.output.note("stopping the nodes");
            running.testnet.down(GRACE).await?;
        }
        () = running.taken_down() => global.output.note("the network was taken down"),
    }
    Ok(())
}

async fn take_down(global: &Global, wipe: bool) -> Outcome {
    // What an interrupted removal has left is no network any more.
    if wipe && Testnet::finish_wipe(&global.network)? {
        wiped(global);
        return Ok(());
    }
    let testnet = testnet(global)?;
    if wipe {
        testnet.down(GRACE).await?;
        testnet.wipe()?;
        wiped(global);
        return Ok(());
    }
    let names = testnet.folder().nodes();
    let stopped = testnet.down(GRACE).await?;
    let words = |how: &Stopped| match how {
        Stopped::NotRunning => "not running",
        Stopped::Cleanly => "stopped",
        Stopped::Killed => "killed",
    };
    let nodes: Vec<_> = names
        .iter()
        .zip(&stopped)
        .map(|(node, (id, how))| json!({"id": id, "name": node.name, "how": words(how)}))
        .collect();
    let text = names
        .iter()
        .zip(&stopped)
        .map(|(node, (_, how))| format!("{} {}", node.name, words(how)))
        .collect::<Vec<_>>()
        .join("\n");
    global.output.print(&json!({"nodes": nodes}), |_| text);
    Ok(())
}

fn wiped(global: &Global) {
    let answer = json!({"wiped": global.network});
    global.output.print(&answer, |_| {
        let folder = global.network.display();
        if global.network.exists() {
            format!("removed the network; what else there is in {folder} stays")
        } else {
            format!("removed {folder}")
        }
    });
}

fn print_status(global: &Global, status: &NetworkStatus) {
    global.output.print(status, |status| {
        let number = |value: Option<u64>| value.map_or("-".to_owned(), |it| it.to_string());
        let digest = |value: &Option<String>| {
            let value = value.as_deref();
            value.map_or("-".to_owned(), |it| short(it).to_owned())
        };
        let rows = status.nodes.iter().map(|node| {
            let state = match (node.running, node.paused) {
                (false, _) => "stopped",
                (true, true) => "paused",
                (true, false) => "running",
            };
            let answer = &node.answer;
            [
                node.name.clone(),
                state.to_owned(),
                number(node.pid.map(u64::from)),
                number(answer.view),
                number(answer.height),
                digest(&answer.block_hash),
                digest(&answer.state_digest),
                format!(
                    "{}..{}",
                    number(answer.low_watermark),
                    number(answer.high_watermark)
                ),
                answer.fault.clone().unwrap_or_else(|| "-".to_owned()),
                node.api.clone(),
            ]
        });
        let header = [
            "NODE",
            "STATE",
            "PID",
            "VIEW",
            "HEIGHT",
            "BLOCK",
            "STATE DIGEST",
            "WINDOW",
            "FAULT",
            "API",
        ];
        let genesis = status.genesis_hash.to_string();
        format!(
            "network {}   view {}   primary {}\n\n{}",
            short(&genesis),
            number(status.view),
            number(status.primary.map(u64::from)),
            table(header, rows)
        )
    });
}

/// Ctrl-C and SIGTERM.
pub(crate) struct Interrupted {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupted {
    pub(crate) fn new() -> Outcome<Self> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::failed("cannot listen for signals").cause(error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
