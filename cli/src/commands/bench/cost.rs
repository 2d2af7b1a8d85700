//! What the nodes' processes have used, as the system counts it.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use node::api::ApiClient;
use testnet::NetworkStatus;

use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::testnet;

/// What one tick of `/proc` is, in microseconds: Linux tells processor time to
/// user space in hundredths of a second, whatever the kernel's own clock.
const TICK_MICROS: u64 = 10_000;

/// How much of a processor a node takes that has nothing to do, in microseconds of a
/// second, at most.
const AT_REST_MICROS: u64 = 50_000;

/// The parts of a transaction's way, as the nodes measure them.
pub(super) const PHASES: [&str; 5] = ["endorse", "pool", "order", "execute", "attest"];

/// The processes of the nodes.
pub(super) struct Processes {
    pids: Vec<u32>,
    of: testnet::Testnet,
}

/// What each of them has used so far, by its process.
#[derive(Debug, Default)]
pub(super) struct Usages {
    of: BTreeMap<u32, Usage>,
    view: u64,
}

impl Usages {
    /// What has been used since then by those that have run all the while.
    pub(super) fn since(&self, before: &Self) -> Usage {
        let mut spent = Usage {
            view: self.view.saturating_sub(before.view),
            ..Usage::default()
        };
        for (pid, now) in &self.of {
            if let Some(then) = before.of.get(pid) {
                spent.take(now.since(then));
            }
        }
        spent
    }

    /// How many of those that ran then do not run any more.
    pub(super) fn gone_since(&self, before: &Self) -> usize {
        let gone = before.of.keys().filter(|pid| !self.of.contains_key(pid));
        gone.count()
    }
}

/// What one of them, or all, have used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Processor time in microseconds.
    pub(super) cpu_micros: u64,
    /// Bytes written to disk.
    pub(super) disk_bytes: u64,
    /// Bytes sent to other nodes, before encryption.
    pub(super) wire_bytes: u64,
    /// Writes that were waited for until they were on disk.
    pub(super) syncs: u64,
    /// Bytes of memory that the largest of them had at its largest.
    pub(super) peak_rss: u64,
    /// Seconds in each of [`PHASES`], and how often it was passed.
    pub(super) phases: [(f64, f64); PHASES.len()],
    /// The view.
    pub(super) view: u64,
}

impl Usage {
    /// Adds what these processes have used so far.
    pub(super) fn add(&mut self, pids: &[u32]) -> Outcome {
        for pid in pids {
            self.cpu_micros += cpu_ticks(*pid)? * TICK_MICROS;
            self.disk_bytes += field(*pid, "io", "write_bytes:")?;
            let rss = field(*pid, "status", "VmHWM:")? * 1024;
            self.peak_rss = self.peak_rss.max(rss);
        }
        Ok(())
    }

    /// Adds what another has used.
    fn take(&mut self, other: Self) {
        self.cpu_micros += other.cpu_micros;
        self.disk_bytes += other.disk_bytes;
        self.wire_bytes += other.wire_bytes;
        self.syncs += other.syncs;
        self.peak_rss = self.peak_rss.max(other.peak_rss);
        for (sum, phase) in self.phases.iter_mut().zip(other.phases) {
            sum.0 += phase.0;
            sum.1 += phase.1;
        }
    }

    /// What has been used since then.
    pub(super) fn since(self, before: &Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros.saturating_sub(before.cpu_micros),
            disk_bytes: self.disk_bytes.saturating_sub(before.disk_bytes),
            wire_bytes: self.wire_bytes.saturating_sub(before.wire_bytes),
            syncs: self.syncs.saturating_sub(before.syncs),
            peak_rss: self.peak_rss,
            phases: std::array::from_fn(|at| {
                let (now, then) = (self.phases[at], before.phases[at]);
                ((now.0 - then.0).max(0.0), (now.1 - then.1).max(0.0))
            }),
            view: self.view.saturating_sub(before.view),
        }
    }
}

impl Processes {
    pub(super) async fn of(global: &Global) -> Outcome<Self> {
        let of = testnet(global)?;
        let status = of.status().await?;
        let pids: Vec<u32> = status.nodes.iter().filter_map(|node| node.pid).collect();
        if pids.len() != status.nodes.len() {
            let message = "what a network costs can be told where all of its nodes run here";
            return Err(Failure::usage(message));
        }
        Ok(Self { pids, of })
    }

    pub(super) fn count(&self) -> usize {
        self.pids.len()
    }

    pub(super) async fn usage(&self) -> Outcome<Usages> {
        let status: NetworkStatus = self.of.status().await?;
        let mut usages = Usages {
            view: status.view.unwrap_or(0),
            of: BTreeMap::new(),
        };
        // One that has ended meanwhile, or was started again, is not counted.
        for node in &status.nodes {
            let Some(pid) = node.pid.filter(|pid| self.pids.contains(pid)) else {
                continue;
            };
            let mut usage = Usage::default();
            usage.add(&[pid])?;
            let text = ApiClient::new(&node.api)?.metrics().await?;
            usage.wire_bytes += counted(&text, "logothete_frame_bytes{", "sent")?;
            usage.syncs += counted(&text, "logothete_syncs ", "")?;
            for (phase, (seconds, times)) in PHASES.iter().zip(&mut usage.phases) {
                let of = |what| passed(&text, what, phase);
                *seconds += of("sum");
                *times += of("count");
            }
            usages.of.insert(pid, usage);
        }
        Ok(usages)
    }

    /// Waits until the nodes have come to rest, but no longer than this: what they
    /// still do on account of what was is not of what is measured next.
    pub(super) async fn rest(&self, longest: Duration) -> Outcome {
        let begun = Instant::now();
        let mut before = self.usage().await?;
        while begun.elapsed() < longest {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.usage().await?;
            let spent = now.since(&before).cpu_micros;
            if spent < AT_REST_MICROS * self.count() as u64 {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

/// The sum of what a node has counted under a name, with this label's value.
fn counted(text: &str, name: &str, label: &str) -> Outcome<u64> {
    let lines = text.lines().filter(|line| line.starts_with(name));
    let lines = lines.filter(|line| line.contains(label));
    let values: Option<Vec<u64>> = lines
        .map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect();
    match values {
        Some(values) if !values.is_empty() => Ok(values.iter().sum()),
        _ => Err(Failure::failed(format!("a node does not count {name}"))),
    }
}

/// What a node says of a phase; nothing where it has not passed it.
fn passed(text: &str, what: &str, phase: &str) -> f64 {
    let name = format!("logothete_phase_seconds_{what}{{phase=\"{phase}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

fn read(pid: u32, file: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path)
        .map_err(|error| Failure::failed(format!("cannot read {path}")).cause(error))
}

fn strange(pid: u32, file: &str) -> Failure {
    Failure::failed(format!("/proc/{pid}/{file} is not what proc(5) says"))
}

/// User and system time of a process: the 14th and 15th fields of `stat`. The
/// second, the name, is in parentheses and may hold anything.
fn cpu_ticks(pid: u32) -> Outcome<u64> {
    let text = read(pid, "stat")?;
    let after_name = text.rsplit_once(')').map(|(_, rest)| rest);
    let mut fields = after_name.unwrap_or("").split_ascii_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let ticks = next().zip(next()).map(|(user, system)| user + system);
    ticks.ok_or_else(|| strange(pid, "stat"))
}

fn field(pid: u32, file: &str, name: &str) -> Outcome<u64> {
    let text = read(pid, file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    let number = number.and_then(|number| number.parse().ok());
    number.ok_or_else(|| strange(pid, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usages(of: &[(u32, u64)], view: u64) -> Usages {
        let of = of.iter().map(|&(pid, cpu_micros)| {
            let usage = Usage {
                cpu_micros,
                ..Usage::default()
            };
            (pid, usage)
        });
        let of = of.collect();
        Usages { of, view }
    }

    /// What it had used before it ended must not be taken from the others.
    #[test]
    fn what_a_node_has_used_that_ended_is_taken_from_nobody() {
        let before = usages(&[(1, 100), (2, 9_000), (3, 50)], 1);
        let after = usages(&[(1, 130), (3, 70), (4, 8)], 3);
        let spent = after.since(&before);
        assert_eq!((spent.cpu_micros, spent.view), (50, 2));
        assert_eq!(after.gone_since(&before), 1);
        assert_eq!(before.gone_since(&before), 0);
    }
}
