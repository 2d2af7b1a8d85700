//! Looking at what contracts hold.

use crate::args::Global;
use crate::exit::Outcome;
use crate::network::Network;
use crate::output::table;

pub(crate) async fn get(global: &Global, contract: &str, key: &str) -> Outcome {
    let network = Network::open(global)?;
    let state = network.ask(async |node| node.state(contract, key).await);
    global
        .output
        .print(&state.await?, |state| state.value.clone());
    Ok(())
}

pub(crate) async fn history(global: &Global, contract: &str, key: &str) -> Outcome {
    let network = Network::open(global)?;
    let history = network.ask(async |node| node.history(contract, key).await);
    global.output.print(&history.await?, |history| {
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
    Ok(())
}
