//! One replica floods the others, on real processes: their memory stays flat, and
//! commits go on.
//!
//! `FLOOD_SECONDS` says how long each half of the flood lasts at least.

mod common;

use std::fs;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::Network;
use common::http::{get, ports};
use serde_json::Value;

/// The share by which memory may grow in the second half of the flood, and so
/// many MiB besides. The chain grows by what is committed meanwhile, and with it
/// `RocksDB`'s memtables, up to a bound that short runs do not reach. A flood that
/// was kept would come to hundreds of MiB: what a link of this machine brings in
/// a few seconds.
const GROWTH: f64 = 1.25;
const SLACK_MIB: f64 = 64.0;

/// How many messages and transactions of the flood each node is to refuse at
/// least: with a correct peer it is none.
const REFUSED: u64 = 500;

/// Commits in each half of the flood, one after the other.
const COMMITS: u32 = 20;

fn half() -> Duration {
    let asked = std::env::var("FLOOD_SECONDS").ok();
    let seconds = asked.map_or(12, |asked| asked.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

/// The memory of a process that is in use, in MiB.
fn resident_mib(pid: u64) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

struct Flooded {
    network: Network,
    flooder: usize,
    others: Vec<usize>,
    submitted: u32,
    imports: u32,
    import: Option<Child>,
}

impl Drop for Flooded {
    fn drop(&mut self) {
        if let Some(import) = &mut self.import {
            let _ = import.kill();
            let _ = import.wait();
        }
    }
}

impl Flooded {
    fn up(flooder: usize) -> Self {
        Self {
            network: Network::up(),
            flooder,
            others: (0..4).filter(|node| *node != flooder).collect(),
            submitted: 0,
            imports: 0,
            import: None,
        }
    }

    /// A client has a transaction committed through one of the others.
    fn submit(&mut self) {
        let node = self.others[self.submitted as usize % self.others.len()].to_string();
        let key = format!("key/{}", self.submitted);
        let put = ["tx", "submit", "kv", "put", &key, "1", "--node", &node];
        let done = self.network.ok(&[&put[..], &["--timeout", "240"]].concat());
        assert_eq!(done["code"], "VALID");
        self.submitted += 1;
    }

    /// Beside it another client has much to do, without end.
    fn keep_busy(&mut self) {
        if let Some(import) = &mut self.import
            && import.try_wait().unwrap().is_none()
        {
            return;
        }
        let calls = self.network.file(&format!("calls{}.jsonl", self.imports));
        let lines = (0..500).map(|at| {
            let key = format!("many/{}/{at}", self.imports);
            format!("{{\"contract\":\"kv\",\"function\":\"put\",\"args\":[\"{key}\",\"1\"]}}\n")
        });
        fs::write(&calls, lines.collect::<String>()).unwrap();
        self.imports += 1;
        let calls = calls.to_str().unwrap();
        let import = ["tx", "import", calls, "--in-flight", "16"];
        self.import = Some(self.network.begin(&import));
    }

    /// Commits for so long, and so many at least.
    fn commit_for(&mut self, time: Duration) {
        let begun = Instant::now();
        let before = self.submitted;
        while begun.elapsed() < time || self.submitted - before < COMMITS {
            self.keep_busy();
            self.submit();
        }
    }

    fn memory(&self) -> Vec<f64> {
        let status = self.network.ok(&["testnet", "status"]);
        let pid = |node: &usize| status["nodes"][*node]["pid"].as_u64().unwrap();
        let pids = self.others.iter().map(pid);
        pids.map(resident_mib).collect()
    }

    /// What a node counts of this kind, of this peer if one is named.
    fn count(&self, node: usize, kind: &str, of: &str) -> u64 {
        let (api, _) = ports(&self.network, node);
        let (_, _, text) = get(&api, "/metrics", "text/plain");
        let lines = text
            .lines()
            .filter(|line| line.starts_with(kind) && line.contains(of));
        let counts = lines.filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    fn view(&self) -> Value {
        self.network.ok(&["testnet", "status"])["view"].clone()
    }

    /// Floods and commits; says what came of it.
    fn run(&mut self) {
        self.commit_for(Duration::ZERO);
        let quiet = self.memory();
        let name = self.flooder.to_string();
        self.network.ok(&["testnet", "fault", &name, "flood"]);
        self.commit_for(half());
        let middle = self.memory();
        self.commit_for(half());
        let end = self.memory();
        println!("node {name} floods: {quiet:.0?} MiB, {middle:.0?}, {end:.0?}");
        for (middle, end) in middle.iter().zip(&end) {
            let bound = middle * GROWTH + SLACK_MIB;
            assert!(*end < bound, "memory grew from {middle:.0} to {end:.0} MiB");
        }
        let flooder = format!("peer=\"{name}\"");
        for node in self.others.clone() {
            let refused = self.count(node, "logothete_rejections_total", &flooder);
            let rests = self.count(node, "logothete_rests_total", &flooder);
            println!("node {node} refused {refused}, rested {rests} times");
            assert!(refused > REFUSED, "node {node} refused {refused}");
            assert!(rests > 0, "node {node} was never tired of it");
            for correct in self.others.iter().filter(|other| **other != node) {
                let correct = format!("peer=\"{correct}\"");
                let rests = self.count(node, "logothete_rests_total", &correct);
                assert_eq!(rests, 0, "a correct replica is always listened to");
            }
        }
    }

    /// The flooder behaves again, and all are together.
    fn end(&mut self) {
        let name = self.flooder.to_string();
        self.network.ok(&["testnet", "fault", &name, "none"]);
        self.submit();
        if let Some(mut import) = self.import.take() {
            import.wait().unwrap();
        }
        self.network.await_one_state();
    }
}

/// Two floods at a time would be one of the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_backup_that_floods_costs_the_others_neither_memory_nor_their_view() {
    let _alone = alone();
    let mut flooded = Flooded::up(3);
    flooded.run();
    // One replica alone moves nobody; with one that waits too long on a busy
    // machine it does.
    assert!(flooded.view().as_u64() <= Some(2), "no storm of views");
    flooded.end();
}

#[test]
fn with_a_primary_that_floods_commits_go_on_in_whatever_view() {
    let _alone = alone();
    let mut flooded = Flooded::up(0);
    flooded.run();
    flooded.end();
}
