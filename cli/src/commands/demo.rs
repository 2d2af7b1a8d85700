//! The whole story in a minute, on real processes. Every step is done by the
//! commands that a user would type; what they print is what is seen.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use testnet::mirrored_variables;
use tokio::process::Command;

use super::testnet::Interrupted;
use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::network::own_binary;
use crate::output::{Format, short};

/// What is written into its folder for commands to read.
const EVIDENCE: &str = "evidence.json";
const RECEIPT: &str = "receipt.json";

/// The stage: a network of its own, and the commands on it.
struct Stage {
    binary: PathBuf,
    network: PathBuf,
    step: u32,
}

pub(crate) async fn demo(global: &Global, keep: bool) -> Outcome {
    let folder = std::env::temp_dir().join(format!("logothete-demo-{}", std::process::id()));
    let mut stage = Stage {
        binary: own_binary()?,
        network: folder.clone(),
        step: 0,
    };
    let mut interrupted = Interrupted::new()?;
    let told = tokio::select! {
        told = stage.tell() => told,
        () = interrupted.wait() => Err(Failure::failed("interrupted")),
    };
    if keep && told.is_ok() {
        say(&format!(
            "The network goes on running. Look around:\n  export LOGOTHETE_NETWORK={0}\n  \
             logothete testnet status\n  logothete testnet down --wipe",
            folder.display()
        ));
    } else {
        for file in [EVIDENCE, RECEIPT] {
            // It may not have come so far.
            let _ = std::fs::remove_file(folder.join(file));
        }
        told.and(stage.clear().await)?;
    }
    if global.output == Format::Json {
        let answer =
            serde_json::json!({"ok": true, "steps": stage.step, "network": folder, "kept": keep});
        global.output.print(&answer, |_| String::new());
    }
    Ok(())
}

fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// How often and how soon again it is tried to clear the stage: a command of the story
/// that was interrupted may be at work yet.
const CLEARINGS: u32 = 20;
const CLEARING_PAUSE: Duration = Duration::from_millis(500);

impl Stage {
    /// Takes the network down and away.
    async fn clear(&self) -> Outcome {
        let mut said = String::new();
        for _ in 0..CLEARINGS {
            let output = self.run(&["testnet", "down", "--wipe"]).await?;
            if output.status.success() {
                return Ok(());
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            tokio::time::sleep(CLEARING_PAUSE).await;
        }
        let network = self.network.display();
        if !self.network.exists() {
            return Ok(());
        }
        let hint = format!("`logothete testnet down --wipe --network {network}`");
        Err(Failure::failed(format!("{network} is left"))
            .cause(said)
            .hint(hint))
    }

    /// The story.
    async fn tell(&mut self) -> Outcome {
        self.act("Four organisations start a network: four processes, four databases, no leader to trust.");
        self.show(&["testnet", "up", "--detach"]).await?;
        self.transactions().await?;
        self.crash().await?;
        self.lie().await?;
        self.proofs().await?;
        self.act("All four nodes have the same chain and the same state.");
        self.show(&["testnet", "status"]).await?;
        Ok(())
    }

    async fn transactions(&mut self) -> Outcome {
        self.act("Alice creates an asset: endorsed by two organisations, ordered by PBFT, its receipt verified.");
        self.show(&[
            "tx",
            "submit",
            "asset",
            "CreateAsset",
            "asset1",
            "blue",
            "5",
            "Tomoko",
            "300",
        ])
        .await?;
        self.act("Every node answers alike.");
        for node in ["node0", "node1", "node2", "node3"] {
            self.show(&["query", "asset", "ReadAsset", "asset1", "--node", node])
                .await?;
        }
        self.act("The same asset again: the contract itself refuses, before anything is ordered.");
        let again = [
            "tx",
            "submit",
            "asset",
            "CreateAsset",
            "asset1",
            "red",
            "1",
            "Max",
            "1",
        ];
        self.show_refused(&again, Exit::Refused).await
    }

    async fn crash(&mut self) -> Outcome {
        self.act("One node is killed, as by a power cut. The other three are a quorum, and go on.");
        self.show(&["testnet", "kill", "node3"]).await?;
        self.show(&[
            "tx",
            "submit",
            "asset",
            "TransferAsset",
            "asset1",
            "Jin Soo",
            "--as",
            "bob",
        ])
        .await?;
        self.act(
            "It comes back, fetches the blocks it has missed, verifies them, and votes again.",
        );
        self.show(&["testnet", "restart", "node3"]).await?;
        let height = self.height().await?;
        let reached = format!("height={height}");
        self.show(&["wait", "--for", &reached, "--node", "node3"])
            .await?;
        self.show(&["query", "asset", "ReadAsset", "asset1", "--node", "node3"])
            .await
    }

    async fn lie(&mut self) -> Outcome {
        self.act("The primary begins to lie: it proposes one batch to one half of the others, and another batch to the rest.");
        self.show(&["testnet", "fault", "node0", "equivocate"])
            .await?;
        self.act(
            "A transaction all the same. It commits, in the next view, under the next primary.",
        );
        self.show(&[
            "tx",
            "submit",
            "asset",
            "TransferAsset",
            "asset1",
            "Adriana",
        ])
        .await?;
        self.act("Who noticed, and how the view changed, message by message, as the nodes saw it.");
        self.show(&["why-view-change", "1"]).await?;
        self.act("The liar is named, and the proof holds before anybody: two signatures under one sequence number.");
        self.show(&["evidence", "list"]).await?;
        let held = self.json(&["evidence", "list"]).await?;
        let id = held["evidence"][0]["id"].as_str();
        let id = id.ok_or_else(|| Failure::failed("nobody has proof of the lie"))?;
        let file = self.network.join(EVIDENCE).display().to_string();
        self.show(&["evidence", "get", id, "--out", &file]).await?;
        self.show(&["verify", "evidence", &file]).await?;
        self.act("It is told to behave, and takes part again as a backup.");
        self.show(&["testnet", "fault", "node0", "none"]).await
    }

    async fn proofs(&mut self) -> Outcome {
        self.act("What a block says, and who attests it.");
        self.show(&["block", "get", "latest"]).await?;
        self.act("The whole chain, executed again from genesis on.");
        self.show(&["verify", "chain"]).await?;
        self.act("A receipt proves a verdict to anyone who has the genesis document. Change one digit, and it proves nothing.");
        let receipt = self.network.join(RECEIPT);
        let file = receipt.display().to_string();
        let id = self.newest_transaction().await?;
        self.show(&["tx", "receipt", &id, "--out", &file]).await?;
        self.show(&["verify", "receipt", &file]).await?;
        forge(&receipt)?;
        self.show_refused(&["verify", "receipt", &file], Exit::NotVerified)
            .await
    }

    fn act(&mut self, text: &str) {
        self.step += 1;
        say(&format!("\n{}. {text}", self.step));
    }

    /// Runs a command and shows it with what it prints.
    async fn show(&self, args: &[&str]) -> Outcome {
        let (status, text) = self.shown(args).await?;
        if status == Some(0) {
            return Ok(());
        }
        Err(Failure::failed(format!("`logothete {}` failed", args.join(" "))).cause(text))
    }

    /// The same of a command that is to be refused.
    async fn show_refused(&self, args: &[&str], exit: Exit) -> Outcome {
        let (status, _) = self.shown(args).await?;
        if status == Some(exit as i32) {
            return Ok(());
        }
        let line = args.join(" ");
        Err(Failure::failed(format!(
            "`logothete {line}` was not refused as it should be"
        )))
    }

    async fn shown(&self, args: &[&str]) -> Outcome<(Option<i32>, String)> {
        let line: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
        say(&format!("   $ logothete {}", line.join(" ")));
        let output = self.run(args).await?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        for line in text.lines() {
            say(&format!("     {line}"));
        }
        Ok((output.status.code(), text))
    }

    async fn run(&self, args: &[&str]) -> Outcome<std::process::Output> {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .arg("--network")
            .arg(&self.network)
            .stdin(Stdio::null());
        for variable in mirrored_variables() {
            command.env_remove(variable);
        }
        let output = command.output().await;
        output.map_err(|error| Failure::failed("cannot run this program again").cause(error))
    }

    async fn json(&self, args: &[&str]) -> Outcome<Value> {
        let with_format = [args, &["-o", "json"]].concat();
        let output = self.run(&with_format).await?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::failed("a command printed no JSON").cause(error))
    }

    async fn height(&self) -> Outcome<u64> {
        let block = self.json(&["block", "get", "latest"]).await?;
        let height = block["header"]["number"].as_u64();
        height.ok_or_else(|| Failure::failed("the newest block has no number"))
    }

    async fn newest_transaction(&self) -> Outcome<String> {
        let block = self.json(&["block", "get", "latest"]).await?;
        let id = block["transactions"][0]["transaction_id"].as_str();
        id.map(str::to_owned)
            .ok_or_else(|| Failure::failed("the newest block has no transaction"))
    }
}

/// A word as it would be typed into a shell.
fn quote(arg: &str) -> String {
    match arg.contains(' ') {
        true => format!("\"{arg}\""),
        // Ids and paths are shown short: the story is not about them.
        false if arg.len() == 64 => format!("{}…", short(arg)),
        false => arg.to_owned(),
    }
}

/// Changes one digit of a receipt.
fn forge(path: &Path) -> Outcome {
    let failed = |error: std::io::Error| Failure::failed("cannot change the receipt").cause(error);
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let forged = text.replacen("\"state_digest\": \"", "\"state_digest\": \"0", 1);
    // One digit more at the front, one less at the end: still a digest.
    let start = forged.find("\"state_digest\": \"").map_or(0, |at| at + 17);
    let mut forged = forged;
    if forged.len() > start + 64 {
        forged.remove(start + 64);
    }
    std::fs::write(path, forged).map_err(failed)
}
