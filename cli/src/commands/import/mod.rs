//! Submitting a file of calls, each exactly once however often it is imported.
//!
//! The nonce of a line follows from its content and from a label, so the same line
//! under the same label is always the same transaction, and the chain takes each but
//! once. Verdicts are not asked for one by one: blocks are followed as they are
//! attested, and each is verified.

mod line;
mod send;

use std::path::Path;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Global, Identity};
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::is_colourful;
use line::Lines;
use send::{Sender, Verdict};

mod summary;

use summary::Summary;

/// How many failures are told in full.
const TOLD: u64 = 5;

pub(crate) async fn import(
    global: &Global,
    file: &Path,
    identity: &Identity,
    in_flight: u32,
    label: Option<&str>,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let lines = Lines::open(file, label)?;
    let bar = progress(lines.total());
    let follower = network.client.follow().await?;
    let sender = Sender::new(network.client, key, follower);
    let begin = Instant::now();
    let mut summary = Summary::default();
    let mut verdicts = stream::iter(lines)
        .map(|line| sender.send(line))
        .buffer_unordered(in_flight as usize);
    let mut first_failure = None;
    while let Some((submitted, verdict)) = verdicts.next().await {
        bar.inc(1);
        summary.count(submitted, &verdict);
        if let Verdict::Failed {
            line,
            failure,
            is_outage,
        } = verdict
        {
            if summary.failed <= TOLD {
                bar.suspend(|| global.output.note(format!("line {line}: {failure}")));
            }
            first_failure.get_or_insert(failure);
            if is_outage {
                // The rest would fail alike; importing again goes on from here.
                break;
            }
        }
    }
    bar.finish_and_clear();
    summary.take_time(begin.elapsed());
    global.output.print(&summary, Summary::text);
    conclude(&summary, first_failure)
}

fn conclude(summary: &Summary, first_failure: Option<Failure>) -> Outcome {
    if let Some(failure) = first_failure {
        let message = format!("{} lines failed; import the file again", summary.failed);
        let mut concluded = Failure::new(failure.exit, &failure.code, message)
            .cause(&failure.message)
            .shown();
        concluded.hint = failure.hint;
        return Err(concluded);
    }
    match summary.invalid.iter().next() {
        None => Ok(()),
        Some((code, _)) => Err(Failure::new(
            Exit::Invalid,
            code,
            "some transactions are committed and did not take effect",
        )
        .shown()),
    }
}

/// A bar on a terminal that wants such things, nothing elsewhere.
fn progress(total: Option<u64>) -> ProgressBar {
    if !is_colourful() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => {
            let template = "{bar:40} {pos}/{len}  {per_sec}  {eta} left";
            (ProgressBar::new(total), template)
        }
        None => (ProgressBar::new_spinner(), "{spinner} {pos}  {per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
