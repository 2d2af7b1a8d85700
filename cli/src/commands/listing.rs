//! The transactions of a creator or of a contract.

use node::api::client::TransactionsBy;
use node::api::types::ListingAnswer;

use crate::args::{Global, ListArgs};
use crate::exit::Outcome;
use crate::network::Network;
use crate::output::table;

pub(crate) async fn list(global: &Global, args: ListArgs) -> Outcome {
    let network = Network::open(global)?;
    let by = TransactionsBy {
        creator: args.creator,
        contract: args.contract,
    };
    let ask = async |from, limit| {
        network
            .ask(async |node| node.transactions(&by, from, limit).await)
            .await
    };
    let mut all: ListingAnswer = ask(args.from, args.limit).await?;
    while all.next.is_some() && all.transactions.len() < args.limit {
        let more = ask(all.next, args.limit.saturating_sub(all.transactions.len())).await?;
        all.transactions.extend(more.transactions);
        all.next = more.next;
    }
    global.output.print(&all, |all| {
        let rows = all.transactions.iter().map(|listed| {
            let it = &listed.transaction;
            [
                format!("{}.{}", listed.block, listed.index),
                it.transaction_id.clone(),
                it.code.clone(),
                format!("{} {}", it.contract, it.function),
                it.args.first().cloned().unwrap_or_default(),
                it.creator.clone(),
            ]
        });
        let header = ["PLACE", "TRANSACTION", "CODE", "CALL", "", "CREATOR"];
        table(header, rows)
    });
    if let Some(next) = all.next {
        let next = format!(
            "there may be more: --from {}.{} goes on",
            next.block, next.index
        );
        global.output.note(next);
    }
    Ok(())
}
