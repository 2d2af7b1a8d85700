//! What a node has recorded, run through the same replica.

use std::panic;
use std::path::Path;

use consensus::journal::{Replay, ReplayError, Report};
use node::journal::{JournalError, JournalReader};
use serde_json::{Value, json};

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};

pub(crate) fn replay(global: &Global, file: &Path) -> Outcome {
    let mut reader = JournalReader::open(file).map_err(|error| unreadable(&error))?;
    let mut replay = Replay::default();
    // An assertion of the replica that fails is a result here, and told as one.
    panic::set_hook(Box::new(|_| {}));
    let replayed = loop {
        match reader.next().map_err(|error| unreadable(&error))? {
            Some(frame) => {
                if let Err(error) = replay.take(&frame) {
                    break Err(error);
                }
            }
            None => break replay.finish(),
        }
    };
    let _ours = panic::take_hook();
    let report = replayed.map_err(|error| failure(&error))?;
    let answer = answer(&report, reader.is_cut_off());
    global
        .output
        .print(&answer, |_| text(&report, reader.is_cut_off()));
    Ok(())
}

fn answer(report: &Report, cut_off: bool) -> Value {
    json!({
        "replica": report.replica.map(|(id, _)| id.0),
        "network": report.replica.map(|(_, network)| network.to_string()),
        "starts": report.starts,
        "inputs": report.inputs,
        "effects_equal": report.effects,
        "unanswered": report.unanswered,
        "view": report.view.0,
        "active": report.active,
        "last_executed": report.last_executed.0,
        "cut_off": cut_off,
        "difference": null,
    })
}

fn text(report: &Report, cut_off: bool) -> String {
    let who = report.replica.map_or_else(
        || "an empty journal".to_owned(),
        |(id, network)| format!("replica {id} of network {network}"),
    );
    let state = if report.active {
        "at work"
    } else {
        "not begun"
    };
    let mut text = format!(
        "{who}\n{} starts, {} inputs: {} effects, each as recorded\n\
         ends in view {} ({state}), executed up to {}",
        report.starts, report.inputs, report.effects, report.view.0, report.last_executed.0,
    );
    if report.unanswered > 0 {
        let unanswered = report.unanswered;
        text += "\nof ";
        text += &unanswered.to_string();
        text += " of them nothing is recorded to compare with";
    }
    if cut_off {
        text += "\nthe file ends within a frame, as a crash leaves it";
    }
    text
}

fn failure(error: &ReplayError) -> Failure {
    match error {
        ReplayError::Difference { .. } => Failure::not_verified(error.to_string())
            .hint("it was recorded by another version, or the file was changed"),
        ReplayError::Stopped { .. } => {
            Failure::new(Exit::Failed, "REPLICA_STOPPED", error.to_string())
        }
        ReplayError::Malformed(_) | ReplayError::OutOfPlace => {
            Failure::not_verified(error.to_string())
        }
    }
}

fn unreadable(error: &JournalError) -> Failure {
    match error {
        JournalError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::not_found(error.to_string())
        }
        JournalError::File { .. } => Failure::failed(error.to_string()),
        JournalError::NotAJournal { .. } | JournalError::Damaged { .. } => {
            Failure::not_verified(error.to_string())
        }
    }
}
