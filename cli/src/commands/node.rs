//! Running a replica.

use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::testnet::Interrupted;
use crate::args::NodeCommand;
use crate::exit::Outcome;

pub(crate) async fn run(command: NodeCommand) -> Outcome {
    let stop = CancellationToken::new();
    let mut interrupted = Interrupted::new()?;
    let on_signal = stop.clone();
    tokio::spawn(async move {
        interrupted.wait().await;
        tracing::info!("told to stop");
        on_signal.cancel();
    });
    let ended = match command {
        NodeCommand::Run {
            home,
            journal,
            exit_on_stdin_eof,
        } => {
            if exit_on_stdin_eof {
                tokio::spawn(stop_with_stdin(stop.clone()));
            }
            node::run(&home, journal.as_deref(), stop).await
        }
        NodeCommand::Order { home } => {
            tokio::spawn(stop_with_stdin(stop.clone()));
            node::order::run(&home, stop).await
        }
    };
    ended.map_err(|error| {
        // The log is where people look for the reason.
        tracing::error!("{error}");
        error.into()
    })
}

/// Whoever started the node holds the other end of its standard input: when that
/// is gone, however it went, the node goes too.
async fn stop_with_stdin(stop: CancellationToken) {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
    tracing::info!("standard input has ended");
    stop.cancel();
}
