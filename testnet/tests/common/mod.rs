//! A network whose nodes are played by the test program itself: they serve what
//! a testnet asks for and do nothing else.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use node::config::NodeConfig;
use tempfile::TempDir;
use testnet::{Launch, Mode, Process, Running, Testnet, TestnetError, up};

/// Long enough for the slowest machine; nothing waits this long where all is well.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A place for a network and the binary its nodes run.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/fake-node.sh");
        symlink(script, folder.path().join("binary")).unwrap();
        symlink(env::current_exe().unwrap(), folder.path().join("tests")).unwrap();
        Self { folder }
    }

    pub(crate) fn network(&self) -> PathBuf {
        self.folder.path().join("network")
    }

    pub(crate) fn binary(&self) -> PathBuf {
        self.folder.path().join("binary")
    }

    /// Leaves a file that tells the nodes to misbehave.
    pub(crate) fn tell(&self, what: &str) {
        fs::write(self.folder.path().join(what), "").unwrap();
    }

    /// Takes it back.
    pub(crate) fn untell(&self, what: &str) {
        fs::remove_file(self.folder.path().join(what)).unwrap();
    }

    pub(crate) async fn up(&self, nodes: Option<u32>) -> Result<Running, TestnetError> {
        up(&self.network(), nodes, self.launch(Mode::Detached)).await
    }

    pub(crate) fn launch(&self, mode: Mode) -> Launch {
        Launch {
            binary: self.binary(),
            mode,
            ready_within: PATIENCE,
        }
    }
}

impl Drop for Place {
    /// Leaves no process behind when a test fails.
    fn drop(&mut self) {
        let Ok(testnet) = Testnet::open(&self.network(), self.binary()) else {
            return;
        };
        // On a thread of its own: a test's runtime cannot be waited for in here.
        let stop = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(testnet.down(Duration::ZERO))
        };
        let _stopped = thread::spawn(stop).join();
    }
}

/// The processes of all nodes that run.
pub(crate) fn processes(network: &testnet::NetworkFolder) -> Vec<Process> {
    let nodes = network.nodes().iter();
    nodes
        .filter_map(|node| network.process(node).unwrap())
        .collect()
}

/// Plays a node when the environment says so; does nothing as an ordinary test.
pub(crate) fn play_a_node() {
    let Some(home) = env::var_os("FAKE_NODE_HOME") else {
        return;
    };
    let file = Path::new(&home).join("node.toml");
    let config = NodeConfig::parse(&file, &fs::read_to_string(&file).unwrap()).unwrap();
    if env::var("FAKE_NODE_FLAG").is_ok_and(|flag| flag == "--exit-on-stdin-eof") {
        thread::spawn(|| {
            let _end = std::io::stdin().read_to_end(&mut Vec::new());
            std::process::exit(0);
        });
    }
    let listener = TcpListener::bind(config.api_listen()).unwrap();
    println!("node {} listens", config.id());
    for stream in listener.incoming().flatten() {
        let _broken = answer(&stream);
    }
}

fn answer(stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let body = if request.starts_with("GET /v1/status ") {
        r#"{"node":{"id":0,"name":"node0"},"view":3,"primary":3,"height":7,"block_hash":"ab","state_digest":"cd",
            "last_executed":7,"low_watermark":6,"high_watermark":134,"fault":null,"version":"0"}"#
    } else {
        "{}"
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
