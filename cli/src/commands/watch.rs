//! Blocks and events as they come.

use crate::args::Global;
use crate::exit::Outcome;
use crate::network::Network;
use crate::output::{short, table};

pub(crate) async fn watch(global: &Global, from: Option<u64>) -> Outcome {
    let network = Network::open(global)?;
    let mut events = network.ask(async |node| node.events(from).await).await?;
    while let Some(block) = events.next().await? {
        global.output.print(&block, |block| {
            let rows = block.transactions.iter().map(|it| {
                let events: Vec<String> = it
                    .events
                    .iter()
                    .map(|event| format!("{}({})", event.name, event.payload))
                    .collect();
                [
                    "  ".to_owned(),
                    short(&it.transaction_id).to_owned(),
                    it.code.clone(),
                    format!("{} {}", it.contract, it.function),
                    events.join(" "),
                ]
            });
            let lines: Vec<String> = table([""; 5], rows)
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect();
            format!(
                "block {} {}\n{}",
                block.block,
                short(&block.hash),
                lines.join("\n")
            )
        });
    }
    global.output.note("the node has ended the stream");
    Ok(())
}
