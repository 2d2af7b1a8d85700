//! How much the network orders, and what that costs, when it does nothing else.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures::future::try_join_all;
use node::config::NodeConfig;
use node::order::wire::{Outcome as Ordered, Standing};
use serde::Serialize;
use testnet::{NetworkFolder, Spec, Testnet, create};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::cost::Usage;
use super::latency::Percentiles;
use super::load::Pace;
use super::payloads::{Done, Lane};
use crate::args::{BenchArgs, Global};
use crate::commands::testnet::{GRACE, Interrupted, READY_WITHIN};
use crate::exit::{Failure, Outcome};
use crate::network::own_binary;

/// How many payloads are under way when nothing else was said.
const IN_FLIGHT: u32 = 8000;

/// How often it is looked whether the nodes are ready, or of one mind.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Measures a network that is made for it, and gone afterwards.
pub(super) async fn bench(global: &Global, args: &BenchArgs) -> Outcome {
    let path = std::env::temp_dir().join(format!("logothete-bench-{}", std::process::id()));
    let spec = Spec {
        name: "bench".to_owned(),
        nodes: args.nodes,
        policy: None,
        clients: Spec::usual_clients(),
    };
    global.output.note(format!("starting {} nodes", args.nodes));
    let folder = create(&path, &spec)?;
    let mut interrupted = Interrupted::new()?;
    let mut orderers = Orderers::default();
    let measured = tokio::select! {
        measured = measure(global, args, &folder, &mut orderers) => measured,
        () = interrupted.wait() => Err(Failure::failed("interrupted")),
    };
    let stopped = orderers.stop().await;
    Testnet::open(&path, own_binary()?)?.wipe()?;
    // A node that has ended is why the rest has failed.
    stopped?;
    let report = measured?;
    global.output.print(&report, Report::text);
    Ok(())
}

/// The processes that order. They do not outlive this one, however it ends.
#[derive(Default)]
struct Orderers {
    children: Vec<(Child, PathBuf)>,
}

impl Orderers {
    fn start(&mut self, folder: &NetworkFolder) -> Outcome<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for node in folder.nodes() {
            let home = folder.home(node)?;
            let path = home.config();
            let cannot = |what: &str| Failure::failed(format!("cannot {what} of {}", node.name));
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| cannot("read the configuration").cause(error))?;
            let config = NodeConfig::parse(&path, &text);
            let config = config.map_err(|error| cannot("use the configuration").cause(error))?;
            addresses.push(config.api_listen());
            let log = home.path().join("node.log");
            let file = File::create(&log);
            let file = file.map_err(|error| cannot("make the log").cause(error))?;
            let child = Command::new(own_binary()?)
                .args(["node", "order", "--home"])
                .arg(home.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(file)
                .process_group(0)
                .spawn();
            let child = child.map_err(|error| cannot("start the process").cause(error))?;
            self.children.push((child, log));
        }
        Ok(addresses)
    }

    fn pids(&self) -> Outcome<Vec<u32>> {
        let pids: Vec<u32> = self.children.iter().filter_map(|(it, _)| it.id()).collect();
        if pids.len() == self.children.len() {
            return Ok(pids);
        }
        Err(Failure::failed("a node has ended"))
    }

    /// Tells all of them to stop, and waits for it. What one that did not end well
    /// said last is the error.
    async fn stop(&mut self) -> Outcome {
        let mut outcome = Ok(());
        for (child, _) in &mut self.children {
            drop(child.stdin.take());
        }
        for (child, log) in &mut self.children {
            let ended = timeout(GRACE, child.wait()).await;
            if ended.is_err() {
                // It ends by force.
                let _ = child.kill().await;
            }
            if !matches!(ended, Ok(Ok(status)) if status.success()) {
                let said = std::fs::read_to_string(&*log).unwrap_or_default();
                let last = said.lines().next_back().unwrap_or_default().to_owned();
                outcome = Err(Failure::failed("a node did not end well").cause(last));
            }
        }
        outcome
    }
}

async fn measure(
    global: &Global,
    args: &BenchArgs,
    folder: &NetworkFolder,
    orderers: &mut Orderers,
) -> Outcome<Report> {
    let addresses = orderers.start(folder)?;
    let mut lanes = connect(&addresses, args.size).await?;
    let pace = args.pace(IN_FLIGHT);
    let output = global.output;
    if !args.warm_up.is_zero() {
        output.note("warming up");
        run(&mut lanes, pace, args.warm_up).await?;
        output.note("measuring");
    }
    let pids = orderers.pids()?;
    let before = usage(&pids, &mut lanes).await?;
    let begin = Instant::now();
    let done = run(&mut lanes, pace, args.duration).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let spent = usage(&pids, &mut lanes).await?.since(&before);
    let agreed = agree(&mut lanes).await?;
    Ok(Report::new(done, seconds, spent, agreed))
}

/// Connects to every node, once all of them are connected to each other.
async fn connect(addresses: &[SocketAddr], size: usize) -> Outcome<Vec<Lane>> {
    let deadline = Instant::now() + READY_WITHIN;
    let late = |what: &str| {
        let message = format!("the nodes are not {what} after {READY_WITHIN:?}");
        Failure::failed(message)
    };
    let mut lanes = Vec::new();
    for (number, address) in (0..).zip(addresses) {
        let stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(late("listening").cause(error));
                }
                Err(_) => sleep(LOOK_INTERVAL).await,
            }
        };
        lanes.push(Lane::new(number, size, stream)?);
    }
    let others = addresses.len() - 1;
    loop {
        let standings = standings(&mut lanes).await?;
        if standings.iter().all(|it| it.connected as usize == others) {
            return Ok(lanes);
        }
        if Instant::now() > deadline {
            return Err(late("connected"));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

async fn standings(lanes: &mut [Lane]) -> Outcome<Vec<Standing>> {
    try_join_all(lanes.iter_mut().map(Lane::standing)).await
}

async fn usage(pids: &[u32], lanes: &mut [Lane]) -> Outcome<Usage> {
    let views = standings(lanes).await?.into_iter().map(|it| it.view);
    let mut usage = Usage {
        view: views.max().unwrap_or(0),
        ..Usage::default()
    };
    usage.add(pids)?;
    Ok(usage)
}

async fn run(lanes: &mut [Lane], pace: Pace, duration: Duration) -> Outcome<Done> {
    let count = lanes.len() as u64;
    let runs = lanes.iter_mut().map(|lane| lane.run(pace, count, duration));
    let mut all = Done::default();
    for done in try_join_all(runs).await? {
        all.executed += done.executed;
        all.failed += done.failed;
        all.latencies.append(done.latencies);
    }
    Ok(all)
}

/// Where all nodes have executed everything that was sent, with one hash of it.
async fn agree(lanes: &mut [Lane]) -> Outcome<Ordered> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let standings = standings(lanes).await?;
        let lasts = standings.iter().map(|it| it.outcomes.last().copied());
        let lasts: Vec<Ordered> = lasts.flatten().collect();
        let Some(lowest) = lasts.iter().min_by_key(|it| it.sequence) else {
            return Err(Failure::failed("nothing was ordered"));
        };
        let same = |it: &Standing| {
            let there = it.outcomes.iter();
            let mut there = there.filter(|it| it.sequence == lowest.sequence);
            there.next().is_none_or(|it| it == lowest)
        };
        if !standings.iter().all(same) {
            let message = format!("the nodes have not ordered the same at {}", lowest.sequence);
            return Err(Failure::failed(message));
        }
        let sent: u64 = lanes.iter().map(Lane::sent).sum();
        let all = lasts.len() == lanes.len() && lasts.iter().all(|it| it == lowest);
        if all && lowest.payloads == sent {
            return Ok(*lowest);
        }
        if Instant::now() > deadline {
            let found: Vec<u64> = lasts.iter().map(|it| it.payloads).collect();
            let message = format!("{sent} payloads were sent, the nodes have {found:?}");
            return Err(Failure::failed(message));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// What a run did and cost. The names of the JSON keys are a promise.
#[derive(Debug, Serialize)]
struct Report {
    committed: u64,
    /// None: payloads mean nothing.
    invalid: u64,
    failed: u64,
    seconds: f64,
    per_second: f64,
    /// End to end, from when a payload was due until its node said it was executed.
    latency_ms: Percentiles,
    /// Of all nodes together.
    cpu_us_per_transaction: f64,
    /// Nothing, since nobody signs payloads.
    floor_us_per_transaction: f64,
    /// None, to nothing.
    ratio_to_floor: Option<f64>,
    /// Of all nodes together.
    disk_bytes_per_transaction: f64,
    peak_rss_mib_per_node: f64,
    view_changes: u64,
    /// Where the nodes were found to have ordered the same, everything included.
    agreed_at: u64,
    /// The hash of it.
    agreed_digest: String,
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
impl Report {
    fn new(done: Done, seconds: f64, spent: Usage, agreed: Ordered) -> Self {
        let executed = done.executed as f64;
        let each = |total: u64| total as f64 / executed.max(1.0);
        Self {
            committed: done.executed,
            invalid: 0,
            failed: done.failed,
            seconds,
            per_second: executed / seconds.max(1e-9),
            latency_ms: done.latencies.percentiles(),
            cpu_us_per_transaction: each(spent.cpu_micros),
            floor_us_per_transaction: 0.0,
            ratio_to_floor: None,
            disk_bytes_per_transaction: each(spent.disk_bytes),
            peak_rss_mib_per_node: spent.peak_rss as f64 / 1_048_576.0,
            view_changes: spent.view,
            agreed_at: agreed.sequence,
            agreed_digest: agreed.digest.to_string(),
        }
    }

    fn text(&self) -> String {
        let Self {
            committed,
            failed,
            seconds,
            ..
        } = self;
        let lines = [
            format!("{committed} ordered, {failed} failed in {seconds:.1} s"),
            format!("throughput   {:.0} per second", self.per_second),
            format!("latency      {}", self.latency_ms),
            format!(
                "processor    {:.1} us per transaction, all nodes together",
                self.cpu_us_per_transaction
            ),
            format!(
                "disk         {:.0} bytes per transaction, all nodes together",
                self.disk_bytes_per_transaction
            ),
            format!(
                "memory       {:.0} MiB at most per node",
                self.peak_rss_mib_per_node
            ),
            format!("view changes {}", self.view_changes),
            format!(
                "one order    up to {}, hash {}",
                self.agreed_at, self.agreed_digest
            ),
        ];
        lines.join("\n")
    }
}
