//! How much a network does, and what it costs.
//!
//! The load comes from this process, the cost is that of the nodes alone. Beside it
//! stands the floor: what no replica could do without were everything signed by itself,
//! which is to check every signature once, measured in the same run on the same machine.

mod cost;
mod floor;
mod latency;
mod load;
mod order;
mod payloads;
mod report;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use client::SigningKey;
use testnet::{Launch, Mode, Spec, Testnet, create, up};

use super::testnet::{GRACE, Interrupted, READY_WITHIN};
use crate::args::{BenchArgs, Global};
use crate::exit::{Failure, Outcome};
use crate::network::{Network, own_binary};
use cost::Processes;
use load::Load;
pub(crate) use load::Pace;
use report::Report;
pub(crate) use workload::Contract;
use workload::Workload;

/// How many transactions are under way when nothing else was said.
const IN_FLIGHT: u32 = 256;
/// How long the nodes may take to merge on disk what filling has left to be merged.
const MERGED_WITHIN: Duration = Duration::from_mins(3);

pub(crate) async fn bench(global: &Global, args: &BenchArgs) -> Outcome {
    if args.order_only {
        return order::bench(global, args).await;
    }
    let Some(folder) = &args.on else {
        return on_its_own(global, args).await;
    };
    let global = Global {
        network: folder.clone(),
        ..global.clone()
    };
    if args.endorsements.is_some() {
        return Err(Failure::usage(
            "how many endorse is for the contract's policy to say: `logothete contract policy`",
        ));
    }
    measure(&global, args, &Spec::usual_clients()).await
}

/// Measures a network that is made for it, and gone afterwards.
async fn on_its_own(global: &Global, args: &BenchArgs) -> Outcome {
    let path = std::env::temp_dir().join(format!("logothete-bench-{}", std::process::id()));
    let endorsements = args.endorsements.unwrap_or(1);
    if endorsements == 0 || endorsements > args.nodes {
        let message = format!("{endorsements} endorsements of {} nodes", args.nodes);
        return Err(Failure::usage(message));
    }
    let organisations: Vec<String> = (1..=args.nodes).map(|org| format!("org{org}")).collect();
    let spec = Spec {
        name: "bench".to_owned(),
        nodes: args.nodes,
        policy: Some(format!("{endorsements} of ({})", organisations.join(", "))),
        clients: own_clients(args.clients),
    };
    let launch = Launch {
        binary: own_binary()?,
        mode: Mode::Foreground,
        ready_within: READY_WITHIN,
    };
    global.output.note(format!("starting {} nodes", args.nodes));
    let mut interrupted = Interrupted::new()?;
    create(&path, &spec)?;
    let own = Global {
        network: path,
        ..global.clone()
    };
    let mut running = None;
    let measured = async {
        running = Some(up(&own.network, None, launch).await?);
        measure(&own, args, &spec.clients).await
    };
    let measured = tokio::select! {
        measured = measured => measured,
        () = interrupted.wait() => Err(Failure::failed("interrupted")),
    };
    // However it has ended, nothing of it stays.
    let testnet = Testnet::open(&own.network, own_binary()?)?;
    let gone = testnet.down(GRACE).await.and_then(|_| testnet.wipe());
    drop(running);
    measured?;
    // What was measured is told already.
    gone.map_err(|error| Failure::from(error).shown())
}

/// Each has a key of its own.
fn own_clients(clients: u32) -> Vec<String> {
    (1..=clients)
        .map(|number| format!("client{number}"))
        .collect()
}

async fn measure(global: &Global, args: &BenchArgs, clients: &[String]) -> Outcome {
    let Network { client, folder } = Network::open(global)?;
    let client = if args.sign_alone {
        client.signing_alone()
    } else {
        client
    };
    let keys = clients.iter().map(|name| {
        let key = SigningKey::read_file(&folder.key_file(name));
        key.map_err(|error| Failure::usage(format!("no key of {name}")).cause(error))
    });
    let many = match args.contract {
        Contract::Kv => args.keys,
        Contract::Smallbank => args.accounts,
    };
    // Another run on the same network does not call all of it again.
    let seed = client.nodes()[0].api().status().await?.height << 24;
    let processes = Processes::of(global).await?;
    let mut load = Load {
        follower: client.follow().await?,
        client,
        keys: keys.collect::<Outcome<_>>()?,
        workload: Workload::new(args.contract, args.size, many, seed),
        clients: args.clients,
    };
    load.prepare(load.workload.preparation()).await?;
    if args.filled && args.contract == Contract::Kv {
        global.output.note(format!("filling {many} keys"));
        load.prepare(load.workload.filling()).await?;
        global
            .output
            .note("waiting until the nodes have come to rest");
        processes.rest(MERGED_WITHIN).await?;
    }
    if args.rate.is_some() {
        // What waited for room would be begun at another time than its own.
        load.client = load.client.impatient();
    }
    let load = Arc::new(load);
    let pace = args.pace(IN_FLIGHT);
    let output = global.output;
    if !args.warm_up.is_zero() {
        output.note("warming up");
        load.run(pace, args.warm_up, output).await;
        output.note("measuring");
    }
    let before = processes.usage().await?;
    let done = load.run(pace, args.duration, output).await;
    let after = processes.usage().await?;
    if after.gone_since(&before) > 0 {
        let what = "a node has ended meanwhile, or was started again: what it used is not counted";
        output.note(what);
    }
    let spent = after.since(&before);
    let (nodes, ordered) = (processes.count(), done.ordered());
    let report = Report::new(done, spent, |endorsements| {
        floor::measure(nodes, endorsements)
    });
    output.print(&report, Report::text);
    if ordered == 0 {
        return Err(Failure::failed("no transaction came to stand in the chain").shown());
    }
    Ok(())
}
