//! Looking at what contracts hold.

use node::api::ApiClient;
use node::api::client::StateRange;
use node::api::types::StateRow;
use serde::Serialize;

use super::consistency::{Consistency, consult};
use crate::args::{Global, KeyArgs, RangeArgs, StateCommand};
use crate::exit::Outcome;
use crate::network::Network;
use crate::output::table;

pub(crate) async fn run(global: &Global, command: StateCommand) -> Outcome {
    match command {
        StateCommand::Get { key, consistency } => get(global, &key, consistency).await,
        StateCommand::List {
            range,
            limit,
            consistency,
        } => list(global, range, limit, consistency).await,
        StateCommand::History { key } => history(global, &key).await,
    }
}

async fn get(global: &Global, at: &KeyArgs, consistency: Consistency) -> Outcome {
    let network = Network::open(global)?;
    let question = async |node: &ApiClient| node.state(&at.contract, &at.key).await;
    let state = consult(&network, consistency, question).await?;
    global.output.print(&state, |it| it.answer.value.clone());
    Ok(())
}

/// Keys and values, put together of pages.
#[derive(Debug, Serialize)]
struct Listed {
    contract: String,
    /// The block of the first page, and its hash.
    height: u64,
    block_hash: String,
    /// The block of the last page: another one when the chain went on in between,
    /// and then the rows are not of one moment.
    last_height: u64,
    rows: Vec<StateRow>,
    /// The last of these keys, if there are more.
    next: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answered_by: Vec<String>,
}

async fn list(
    global: &Global,
    range: RangeArgs,
    limit: usize,
    consistency: Consistency,
) -> Outcome {
    let network = Network::open(global)?;
    let mut asked = StateRange {
        start: range.start,
        end: range.end,
        prefix: range.prefix,
        after: range.after,
    };
    let mut listed: Option<Listed> = None;
    loop {
        let had = listed.as_ref().map_or(0, |listed| listed.rows.len());
        let left = limit.saturating_sub(had);
        let question =
            async |node: &ApiClient| node.state_range(&range.contract, &asked, left).await;
        let page = consult(&network, consistency, question).await?;
        let (page, answered_by) = (page.answer, page.answered_by);
        let (rows, next) = (page.rows, page.next);
        let listed = listed.get_or_insert_with(|| Listed {
            contract: page.contract,
            height: page.height,
            block_hash: page.block_hash,
            last_height: page.height,
            rows: Vec::new(),
            next: None,
            answered_by: Vec::new(),
        });
        listed.last_height = page.height;
        listed.answered_by = answered_by;
        listed.rows.extend(rows);
        listed.next.clone_from(&next);
        if next.is_none() || listed.rows.len() >= limit {
            break;
        }
        asked.after = next;
    }
    if let Some(listed) = listed {
        tell(global, &listed);
    }
    Ok(())
}

fn tell(global: &Global, listed: &Listed) {
    global.output.print(listed, |it| {
        let rows = it.rows.iter().map(|row| {
            let version = format!("{}.{}", row.version.block, row.version.index);
            [row.key.clone(), version, row.value.clone()]
        });
        table(["KEY", "VERSION", "VALUE"], rows)
    });
    if listed.height != listed.last_height {
        global.output.note(format!(
            "the chain went on from block {} to block {} while this was read",
            listed.height, listed.last_height
        ));
    }
    if let Some(next) = &listed.next {
        let next = format!("there are more keys: --after {next:?} goes on");
        global.output.note(next);
    }
}

async fn history(global: &Global, at: &KeyArgs) -> Outcome {
    let network = Network::open(global)?;
    let history = network.ask(async |node| node.history(&at.contract, &at.key).await);
    let history = history.await?;
    global.output.print(&history, |history| {
        let rows = history.entries.iter().map(|entry| {
            [
                format!("{}.{}", entry.version.block, entry.version.index),
                entry
                    .transaction_id
                    .clone()
                    .unwrap_or_else(|| "genesis".to_owned()),
                entry
                    .value
                    .clone()
                    .unwrap_or_else(|| "(deleted)".to_owned()),
            ]
        });
        table(["VERSION", "TRANSACTION", "VALUE"], rows)
    });
    if let Some(next) = history.next {
        global.output.note(format!(
            "there are more writes, from {}.{} on; a node's API goes on from there",
            next.block, next.index
        ));
    }
    Ok(())
}
