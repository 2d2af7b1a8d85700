//! Why a view came about: what every reachable node saw of it, joined.

use std::collections::BTreeSet;
use std::path::Path;

use consensus::{Message, ReplicaId, Verified, Verifier, View};
use node::api::types::{ViewAnswer, ViewEventAnswer};
use node::journal;
use serde_json::json;

use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::Network;
use crate::output::table;

/// One event of one node, and whether its message holds.
struct Told {
    node: String,
    event: ViewEventAnswer,
    /// None where there is no message.
    verified: Option<bool>,
    /// The message, where it holds.
    message: Option<Verified>,
}

pub(crate) async fn why(global: &Global, view: u64, out: Option<&Path>) -> Outcome {
    let network = Network::open(global)?;
    let mut told = Vec::new();
    let mut silent = Vec::new();
    let mut failure = None;
    for node in network.nodes() {
        match node.api().view(view).await {
            Ok(answer) => told.extend(events(&network, answer)),
            Err(error) => {
                silent.push(node.name().to_owned());
                failure = Some(error);
            }
        }
    }
    if let (true, Some(error)) = (silent.len() == network.nodes().len(), failure) {
        return Err(error.into());
    }
    if told.is_empty() {
        let message = format!("no node that answers has seen anything of view {view}");
        return Err(Failure::not_found(message)
            .hint("nodes keep the newest events only, and none over a restart"));
    }
    // The clocks of the nodes are as they are: within a node the order is certain.
    told.sort_by_key(|of| of.event.at_ms);
    // What is sent again, for others who may lack it, is told once.
    let mut seen = BTreeSet::new();
    told.retain(|of| seen.insert((of.node.clone(), of.event.text.clone())));
    if let Some(path) = out {
        write(&network, view, &told, path)?;
    }
    let begin = told.first().map_or(0, |of| of.event.at_ms);
    let answer = json!({
        "view": view,
        "unreachable": silent,
        "events": told.iter().map(|of| json!({
            "at_ms": of.event.at_ms,
            "node": of.node,
            "kind": of.event.kind,
            "replica": of.event.replica,
            "text": of.event.text,
            "verified": of.verified,
            "message": of.event.message,
        })).collect::<Vec<_>>(),
    });
    global.output.print(&answer, |_| {
        let rows = told.iter().map(|of| {
            let after = of.event.at_ms.saturating_sub(begin);
            let holds = match of.verified {
                Some(true) => "signature holds",
                Some(false) => "SIGNATURE DOES NOT HOLD",
                None => "",
            };
            [
                format!("+{after} ms"),
                of.node.clone(),
                of.event.text.clone(),
                holds.to_owned(),
            ]
        });
        let timeline = table(["TIME", "NODE", "WHAT", ""], rows);
        if silent.is_empty() {
            return timeline;
        }
        format!("{timeline}\nnot reachable: {}", silent.join(", "))
    });
    if told.iter().any(|of| of.verified == Some(false)) {
        return Err(Failure::not_verified("a node showed a message that nobody signed so").shown());
    }
    Ok(())
}

/// What one node says, its messages held against the genesis document.
fn events(network: &Network, answer: ViewAnswer) -> Vec<Told> {
    let any = ReplicaId(0);
    let config = network.genesis().consensus_config(any);
    let verifier = config.map(|config| Verifier::new(&config));
    let holds = |message: &String| {
        let bytes = hex::decode(message).ok()?;
        let message = Message::decode(&bytes).ok()?;
        verifier.as_ref()?.verify(message).ok()
    };
    let node = answer.node.name;
    let events = answer.events.into_iter();
    events
        .map(|event| {
            let message = event.message.as_ref().map(holds);
            Told {
                node: node.clone(),
                verified: message.as_ref().map(Option::is_some),
                message: message.flatten(),
                event,
            }
        })
        .collect()
}

/// Writes each signed message once, as a replica would hear them that has no part
/// in the view: one that is not its primary.
fn write(network: &Network, view: u64, told: &[Told], path: &Path) -> Outcome {
    let replicas = network.genesis().replicas().len() as u64;
    let bystander = u32::try_from(view.wrapping_add(1) % replicas).unwrap_or(0);
    let config = network.genesis().consensus_config(ReplicaId(bystander));
    let config = config.ok_or_else(|| Failure::failed("genesis has no such replica"))?;
    let primary = config.replicas.primary(View(view));
    let mut messages: Vec<(ReplicaId, Verified)> = Vec::new();
    for verified in told.iter().filter_map(|of| of.message.as_ref()) {
        let from = match verified.message() {
            Message::ViewChange(vote) => vote.signer,
            _ => primary,
        };
        if messages.iter().all(|(_, known)| known != verified) {
            messages.push((from, verified.clone()));
        }
    }
    journal::write_messages(path, &config, messages)
        .map_err(|error| Failure::failed(error.to_string()))
}
