//! What can be typed.

mod bench;
mod environment;
mod members;
mod reads;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use consensus::byzantine::Modes;

use crate::output::Format;
pub(crate) use bench::BenchArgs;
pub(crate) use members::{ContractCommand, MemberCommand, NewKey, Signed};
pub(crate) use reads::{KeyArgs, ListArgs, RangeArgs, StateCommand, WatchArgs};

/// A permissioned ledger whose replicas may lie: PBFT, endorsed transactions,
/// blocks that prove themselves.
#[derive(Debug, Parser)]
#[command(
    name = "logothete",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The folder of the network
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LOGOTHETE_NETWORK",
        default_value = ".logothete"
    )]
    pub(crate) network: PathBuf,
    /// The form of results
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        env = "LOGOTHETE_OUTPUT",
        default_value = "text"
    )]
    pub(crate) output: Format,
    /// The node that is asked, by name or number; transactions go on to others if it is gone
    #[arg(long, global = true, value_name = "NODE", env = "LOGOTHETE_NODE")]
    pub(crate) node: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole story in a minute: four nodes, signed transactions, a crash, blocks, proofs
    Demo {
        /// Leave the network running, and say where
        #[arg(long)]
        keep: bool,
    },
    /// Launch real nodes on this machine, watch them and break them
    #[command(subcommand)]
    Testnet(TestnetCommand),
    /// Make a signing key
    Keygen {
        /// The file to write, readable by its owner only
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make and read genesis documents
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Run a replica
    #[command(subcommand)]
    Node(NodeCommand),
    /// Transactions: submit, import, prove
    #[command(subcommand)]
    Tx(TxCommand),
    /// Ask a contract without ordering anything
    Query {
        #[command(flatten)]
        call: Call,
        #[command(flatten)]
        identity: Identity,
        /// Whose answer it is to be
        #[arg(long, default_value = "local")]
        consistency: crate::commands::consistency::Consistency,
    },
    /// Look at blocks
    #[command(subcommand)]
    Block(BlockCommand),
    /// Look at what contracts hold
    #[command(subcommand)]
    State(StateCommand),
    /// Who belongs to the network
    #[command(subcommand)]
    Member(MemberCommand),
    /// Contracts, and who must endorse them
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Proof against replicas that contradict themselves
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Tell why a view came about, by what every node saw of it
    WhyViewChange {
        /// The view that was changed to
        view: u64,
        /// Write the signed messages to this file, for `logothete replay`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Run what a node has recorded through the same replica, and compare
    Replay {
        /// As `node run --journal` or `why-view-change --out` wrote it
        file: PathBuf,
    },
    /// Verify against the genesis document alone
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// Follow the chain by headers and certificates alone, believing no node
    Light {
        /// Receipts to check as well, as `tx receipt --out` wrote them
        #[arg(long = "receipt", value_name = "FILE")]
        receipts: Vec<PathBuf>,
        /// The genesis document; the network's own when left out
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Wait until something is so
    Wait {
        /// quorum, height=N, view>V or tx=ID
        #[arg(long = "for", value_name = "CONDITION")]
        condition: crate::commands::wait::Condition,
        /// Seconds to wait at most
        #[arg(long, default_value = "60", value_parser = seconds)]
        timeout: Duration,
    },
    /// Blocks and events as they come
    Watch(WatchArgs),
    /// Run the protocol in the deterministic simulator
    Simulate(SimulateArgs),
    /// Put load on a network, and tell how much it does and what it costs
    Bench(BenchArgs),
    /// Say what a code means and what to do
    Explain {
        /// Such as `MVCC_READ_CONFLICT`; without it, all are listed
        code: Option<String>,
    },
    /// Print a script that completes commands in this shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TestnetCommand {
    /// Start the network, in the foreground until Ctrl-C
    Up {
        /// How many nodes a new network gets (4 when left out)
        #[arg(long, value_name = "N")]
        nodes: Option<u32>,
        /// Return once it is ready, and leave it running
        #[arg(long)]
        detach: bool,
    },
    /// Show every node: running, view, height, digests, watermarks
    Status,
    /// Kill a node as a power cut would
    Kill {
        /// Name or number
        node: String,
    },
    /// Stop a node if it runs, and start it on its data
    Restart {
        /// Name or number
        node: String,
    },
    /// Freeze a node: it keeps its connections and says nothing
    Pause {
        /// Name or number
        node: String,
    },
    /// Let a frozen node go on
    Resume {
        /// Name or number
        node: String,
    },
    /// Make a node misbehave, or behave again with `none`
    #[command(
        after_help = "Modes, also several joined by +: none, silent, delay=MS, drop=NODES, \
        lose=PERCENT, equivocate, wrong-digest, censor=CLIENT, corrupt-signatures, replay, lie-view-change, \
        keep-back, lie-sync, lie-endorsement, skip-sequences, wrong-times, invent-requests, flood, chaotic"
    )]
    Fault {
        /// Name or number
        node: String,
        /// How, such as `equivocate` or `delay=900+replay`
        mode: Modes,
    },
    /// Cut the network into groups that hear nothing of each other
    Partition {
        /// Groups of nodes by name or number, such as "0,1|2,3"
        groups: String,
    },
    /// Mend all partitions
    Heal,
    /// Print the log of a node
    Logs {
        /// Name or number
        node: String,
    },
    /// Stop every node
    Down {
        /// Remove the network and all its data, too
        #[arg(long)]
        wipe: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GenesisCommand {
    /// Make the folder of a network: genesis document, keys, homes
    Create {
        /// How many replicas
        #[arg(long, default_value_t = 4, value_name = "N")]
        nodes: u32,
        /// The name of the network
        #[arg(long, default_value = "logothete")]
        name: String,
    },
    /// Check a genesis document and show what it says
    Inspect {
        /// The document; the network's own when left out
        file: Option<PathBuf>,
    },
    /// Print the network id
    Hash {
        /// The document; the network's own when left out
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Run the replica of this home until it is told to stop
    Run {
        /// The home of the node
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
        /// Record what happens to the replica, for `logothete replay`
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
        /// Stop when standard input ends: whoever started the node is gone
        #[arg(long)]
        exit_on_stdin_eof: bool,
    },
    /// Order opaque payloads in this home until standard input ends; for `bench --order-only`
    #[command(hide = true)]
    Order {
        /// The home of the node, which has never run
        #[arg(long, value_name = "DIR")]
        home: PathBuf,
    },
}

/// A call of a contract.
#[derive(Clone, Debug, Args)]
pub(crate) struct Call {
    /// The contract
    pub(crate) contract: String,
    /// Its function
    pub(crate) function: String,
    /// Its arguments
    #[arg(allow_negative_numbers = true)]
    pub(crate) args: Vec<String>,
}

impl From<Call> for client::Call {
    fn from(typed: Call) -> Self {
        Self {
            contract: typed.contract,
            function: typed.function,
            args: typed.args,
        }
    }
}

/// Who signs.
#[derive(Clone, Debug, Args)]
pub(crate) struct Identity {
    /// Whose key in the network's `keys` signs
    #[arg(
        long = "as",
        value_name = "NAME",
        env = "LOGOTHETE_AS",
        default_value = "alice"
    )]
    pub(crate) name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TxCommand {
    /// Propose, endorse, order, wait, verify the receipt
    Submit {
        #[command(flatten)]
        call: Call,
        #[command(flatten)]
        identity: Identity,
        /// Seconds to wait for the receipt at most
        #[arg(long, default_value = "60", value_parser = seconds)]
        timeout: Duration,
        /// How often to propose anew when others wrote in between what was read
        #[arg(long, default_value_t = 0, value_name = "N")]
        retry_conflicts: u32,
    },
    /// Submit a file of calls, each exactly once however often it is imported
    ///
    /// The same call of the same signer is the same transaction in whatever file it
    /// stands; only within one file it counts as often as it stands there. What is to be
    /// done again, tomorrow's payments say, needs another label.
    Import {
        /// One {"contract", "function", "args"} per line
        file: PathBuf,
        #[command(flatten)]
        identity: Identity,
        /// How many calls are under way at a time
        #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        in_flight: u32,
        /// Makes the calls others than those of every other label, and of none
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
    },
    /// Make and sign a proposal, offline
    Propose {
        #[command(flatten)]
        call: Call,
        #[command(flatten)]
        identity: Identity,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Have a proposal endorsed, and sign the transaction
    Endorse {
        /// The proposal
        file: PathBuf,
        #[command(flatten)]
        identity: Identity,
        /// Sign nothing: the key is elsewhere, for `tx sign`
        #[arg(long)]
        unsigned: bool,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a transaction that was endorsed elsewhere, offline, and show what it does
    Sign {
        /// The transaction, as `tx endorse --unsigned` wrote it
        file: PathBuf,
        #[command(flatten)]
        identity: Identity,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Hand in a signed transaction, wait, verify the receipt
    Send {
        /// The transaction
        file: PathBuf,
        /// Seconds to wait for the receipt at most
        #[arg(long, default_value = "60", value_parser = seconds)]
        timeout: Duration,
    },
    /// The transactions of a creator, of a contract, or of both, the newest first
    List(ListArgs),
    /// Show a committed transaction
    Get {
        /// Its id
        id: String,
    },
    /// Fetch and verify the receipt of a transaction
    Receipt {
        /// Its id
        id: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say why a transaction is valid or not
    Explain {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BlockCommand {
    /// Blocks, the newest when no number is given
    List {
        /// The first block
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// How many
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// One block
    Get {
        /// Its number, its hash, or `latest`
        block: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// What the nodes can prove, and which of them
    List,
    /// One piece, with the signed messages that prove it
    Get {
        /// Its id, or the beginning of it
        id: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Evidence in a file
    Evidence {
        /// As `evidence get --out` wrote it
        file: PathBuf,
        /// The genesis document; the network's own when left out
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// A receipt in a file
    Receipt {
        /// As `tx receipt --out` wrote it
        file: PathBuf,
        /// The genesis document; the network's own when left out
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// A whole chain, executed again from genesis on: a node's, or a data folder's
    Chain {
        /// The data folder of a stopped node, or its home
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The genesis document; the network's own when left out
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SimulateArgs {
    /// One seed
    #[arg(long, value_name = "S", conflicts_with = "seeds", value_parser = clap::value_parser!(u64).range(..u64::MAX))]
    pub(crate) seed: Option<u64>,
    /// Seeds from A to before B
    #[arg(long, value_name = "A..B", default_value = "0..100")]
    pub(crate) seeds: crate::commands::simulate::SeedRange,
    /// How many replicas
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(crate) replicas: u32,
    /// What goes wrong: all, none, or of loss, duplication, reordering, crashes, partitions, pauses, clocks, disks, states, byzantine
    #[arg(long, default_value = "all", value_delimiter = ',')]
    pub(crate) faults: Vec<crate::commands::simulate::Trouble>,
}

/// Ten years: what is longer is a slip, and may be more than a clock has.
const MAX_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text
        .parse()
        .ok()
        .filter(|seconds| *seconds <= MAX_SECONDS)
        .ok_or_else(|| format!("expected a whole number of seconds, {MAX_SECONDS} at most"))?;
    Ok(Duration::from_secs(seconds))
}
