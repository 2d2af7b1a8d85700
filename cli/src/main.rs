//! The one binary of Logothete: a node, and everything people do with a network.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod exit;
mod network;
mod output;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};
use exit::{Exit, Failure};
use output::Format;

/// For the database as well; `docs/benchmarks.md` says what it spares.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// More threads than ever work at a time in a node, whose configuration allows 1024 calls:
/// its records, without which it does not vote, must not wait for one of them to end.
const MAX_BLOCKING_THREADS: usize = 2048;

fn main() -> ExitCode {
    let cli = match Cli::given() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    log(&cli.command);
    let format = cli.global.output;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(cli));
            // Not dropped: that would wait for whoever reads standard input.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::failed("cannot start").cause(error)),
    };
    match outcome {
        Ok(()) => match output::lost() {
            Some(error) => fail(
                Format::Text,
                &Failure::failed("what there was to say could not be written").cause(error),
            ),
            None => ExitCode::SUCCESS,
        },
        Err(failure) => fail(format, &failure),
    }
}

/// Nodes say what they do on stderr; other commands only what went wrong.
fn log(command: &Command) {
    let default = match command {
        Command::Node(_) => "info,libp2p=warn",
        _ => "off",
    };
    let filter = EnvFilter::try_from_env("LOGOTHETE_LOG").unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::is_colourful())
        .with_writer(std::io::stderr)
        .init();
}

fn fail(format: Format, failure: &Failure) -> ExitCode {
    match format {
        Format::Json if !failure.is_shown => {
            let _ = writeln!(std::io::stdout().lock(), "{}", failure.to_json());
        }
        // Of what was shown the document has that it failed; people may want to see how.
        Format::Text | Format::Json => {
            let _ = writeln!(anstream::stderr().lock(), "{failure}");
        }
    }
    ExitCode::from(failure.exit as u8)
}

/// What was typed is no command, or asks for help.
fn refuse(error: &clap::Error) -> ExitCode {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked_for && wants_json() {
        let text = error.render().to_string();
        let text = text.trim_end().trim_start_matches("error: ");
        return fail(Format::Json, &Failure::new(Exit::Usage, "USAGE", text));
    }
    // Nobody is left to be told when this fails.
    let _ = error.print();
    if asked_for {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Exit::Usage as u8)
    }
}

/// Whether JSON was asked for, as far as a line that cannot be parsed tells.
fn wants_json() -> bool {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let pairs = args.windows(2);
    let apart = |pair: &[String]| {
        let [flag, value] = pair else { return false };
        (flag == "-o" || flag == "--output") && value == "json"
    };
    let together = |arg: &String| arg == "--output=json" || arg == "-ojson" || arg == "-o=json";
    let by_environment = || std::env::var("LOGOTHETE_OUTPUT").is_ok_and(|it| it == "json");
    pairs.into_iter().any(apart) || args.iter().any(together) || by_environment()
}
