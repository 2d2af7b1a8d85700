//! Blocks and events as they come.

use node::api::client::Subscription;
use node::api::types::BlockEvent;

use crate::args::{Global, WatchArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::{Format, is_unread, short, table};

pub(crate) async fn watch(global: &Global, args: WatchArgs) -> Outcome {
    let network = Network::open(global)?;
    let subscription = Subscription {
        from: args.from,
        after: args.after,
        contract: args.contract,
        event: args.event,
        creator: args.creator,
    };
    let is_filtered = [
        &subscription.contract,
        &subscription.event,
        &subscription.creator,
    ];
    let is_filtered = is_filtered.iter().any(|it| it.is_some());
    let events = network.ask(async |node| node.subscribe(&subscription).await);
    let mut events = events.await?;
    let mut last = None;
    while let Some(block) = events.next().await? {
        last = Some(block.block);
        // That nothing has matched so far is for programs, which note how far they are.
        let is_bookmark = is_filtered && block.transactions.is_empty();
        if global.output == Format::Json || !is_bookmark {
            global.output.print(&block, show);
        }
        if is_unread() {
            return Ok(());
        }
    }
    let message = "the node has ended the stream";
    let failure = Failure::new(Exit::Unreachable, "UNREACHABLE", message).shown();
    Err(match last {
        Some(last) => failure.hint(format!("`--after {last}` goes on where it ended")),
        None => failure,
    })
}

fn show(block: &BlockEvent) -> String {
    let rows = block.transactions.iter().map(|it| {
        let events: Vec<String> = it
            .events
            .iter()
            .map(|event| format!("{}({})", event.name, event.payload))
            .collect();
        [
            "  ".to_owned(),
            it.transaction_id.clone(),
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
}
