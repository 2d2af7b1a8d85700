//! A network of real processes for one test, gone when the test ends.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod http;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) fn logothete() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logothete"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOGOTHETE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A network of four nodes.
pub(crate) struct Network {
    folder: TempDir,
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.command(&["testnet", "down"]).output();
    }
}

impl Network {
    /// A place for a network.
    pub(crate) fn folder() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Brings up four nodes and waits until they are ready.
    pub(crate) fn up() -> Self {
        let network = Self::folder();
        network.ok(&["testnet", "up", "--detach"]);
        network
    }

    /// The folder of the network.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    /// A place for other files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder of a node.
    pub(crate) fn data(&self, node: usize) -> PathBuf {
        self.path().join(format!("nodes/node{node}/data"))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = logothete();
        command.args(args);
        command.args(["-o", "json", "--network"]).arg(self.path());
        command
    }

    /// Starts a command and does not wait for it.
    pub(crate) fn begin(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command prints, which is to succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        self.ends(args, 0)
    }

    /// What a command prints, which is to end with this exit code.
    #[track_caller]
    pub(crate) fn ends(&self, args: &[&str], code: i32) -> Value {
        let output = self.output(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(text.trim_end().lines().count(), 1, "one document: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What a customer of `smallbank` has in the checking account, as a quorum says.
    #[track_caller]
    pub(crate) fn checking(&self, customer: &str) -> u64 {
        let query = ["query", "smallbank", "query", customer];
        let shown = self.ok(&[&query[..], &["--consistency", "quorum"]].concat());
        let balances: Value = serde_json::from_str(shown["response"].as_str().unwrap()).unwrap();
        balances["checking"].as_u64().unwrap()
    }

    /// Until all four nodes have the highest block that any has, attested; then
    /// they have one state.
    #[track_caller]
    pub(crate) fn await_one_state(&self) {
        let status = self.ok(&["testnet", "status"]);
        let nodes = status["nodes"].as_array().unwrap().clone();
        let heights = nodes.iter().filter_map(|node| node["height"].as_u64());
        let reached = format!("height={}", heights.max().unwrap());
        for node in &nodes {
            let name = node["name"].as_str().unwrap();
            let wait = [
                "wait",
                "--for",
                &reached,
                "--timeout",
                "120",
                "--node",
                name,
            ];
            self.ok(&wait);
        }
        let status = self.ok(&["testnet", "status"]);
        for key in ["height", "block_hash", "state_digest", "view"] {
            let values: Vec<_> = status["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| &it[key])
                .collect();
            assert!(
                values.windows(2).all(|pair| pair[0] == pair[1]),
                "{key}: {values:?}"
            );
        }
    }
}

/// Writes `count` calls of `kv put`, one per line.
pub(crate) fn write_calls(path: &Path, count: usize) {
    let lines = (0..count).map(|i| {
        format!(
            "{{\"contract\":\"kv\",\"function\":\"put\",\"args\":[\"key/{i}\",\"value {i}\"]}}\n"
        )
    });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}
