//! One file per family of commands. Each prints one result, or ends in a
//! [`Failure`](crate::exit::Failure).

pub(crate) mod because;
pub(crate) mod bench;
pub(crate) mod block;
pub(crate) mod consistency;
pub(crate) mod demo;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod genesis;
mod given;
pub(crate) mod import;
pub(crate) mod keygen;
pub(crate) mod light;
pub(crate) mod listing;
pub(crate) mod members;
pub(crate) mod node;
pub(crate) mod partition;
mod proven;
pub(crate) mod replay;
pub(crate) mod simulate;
pub(crate) mod state;
pub(crate) mod steps;
pub(crate) mod submit;
pub(crate) mod testnet;
pub(crate) mod transaction;
pub(crate) mod verify;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod why;

use crate::args::{BlockCommand, Cli, Command, TxCommand, VerifyCommand};
use crate::exit::Outcome;

/// Does what was asked for.
pub(crate) async fn run(cli: Cli) -> Outcome {
    let Cli { global, command } = cli;
    match command {
        Command::Demo { keep } => demo::demo(&global, keep).await,
        Command::Testnet(command) => testnet::run(&global, command).await,
        Command::Keygen { out } => keygen::keygen(&global, &out),
        Command::Genesis(command) => genesis::run(&global, command),
        Command::Node(command) => node::run(command).await,
        Command::Tx(command) => transactions(&global, command).await,
        Command::Query {
            call,
            identity,
            consistency,
        } => submit::query(&global, call.into(), &identity, consistency).await,
        Command::Block(BlockCommand::List { from, limit }) => {
            block::list(&global, from, limit).await
        }
        Command::Block(BlockCommand::Get { block }) => block::get(&global, &block).await,
        Command::State(command) => state::run(&global, command).await,
        Command::WhyViewChange { view, out } => why::why(&global, view, out.as_deref()).await,
        Command::Replay { file } => replay::replay(&global, &file),
        Command::Member(command) => members::members(&global, command).await,
        Command::Contract(command) => members::contracts(&global, command).await,
        Command::Evidence(command) => evidence::run(&global, command).await,
        Command::Verify(VerifyCommand::Evidence { file, genesis }) => {
            evidence::verify(&global, &file, genesis.as_deref())
        }
        Command::Verify(VerifyCommand::Receipt { file, genesis }) => {
            verify::receipt(&global, &file, genesis.as_deref())
        }
        Command::Verify(VerifyCommand::Chain { data, genesis }) => {
            verify::chain(&global, data.as_deref(), genesis.as_deref()).await
        }
        Command::Light { receipts, genesis } => {
            light::light(&global, genesis.as_deref(), &receipts).await
        }
        Command::Wait { condition, timeout } => wait::wait(&global, condition, timeout).await,
        Command::Watch(args) => watch::watch(&global, args).await,
        Command::Bench(args) => bench::bench(&global, &args).await,
        Command::Simulate(args) => simulate::simulate(&global, &args),
        Command::Explain { code } => explain::explain(&global, code.as_deref()),
        Command::Completions { shell } => {
            explain::completions(shell);
            Ok(())
        }
    }
}

async fn transactions(global: &crate::args::Global, command: TxCommand) -> Outcome {
    match command {
        TxCommand::Submit {
            call,
            identity,
            timeout,
            retry_conflicts,
        } => submit::submit(global, call.into(), &identity, timeout, retry_conflicts).await,
        TxCommand::Import {
            file,
            identity,
            in_flight,
            label,
        } => import::import(global, &file, &identity, in_flight, label.as_deref()).await,
        TxCommand::Propose {
            call,
            identity,
            out,
        } => steps::propose(global, call.into(), &identity, &out).await,
        TxCommand::Endorse {
            file,
            identity,
            unsigned,
            out,
        } => {
            let identity = (!unsigned).then_some(&identity);
            steps::endorse(global, &file, identity, &out).await
        }
        TxCommand::Sign {
            file,
            identity,
            out,
        } => steps::sign(global, &file, &identity, &out),
        TxCommand::Send { file, timeout } => steps::send(global, &file, timeout).await,
        TxCommand::List(args) => listing::list(global, args).await,
        TxCommand::Get { id } => transaction::get(global, &id).await,
        TxCommand::Receipt { id, out } => transaction::receipt(global, &id, out.as_deref()).await,
        TxCommand::Explain { id } => transaction::explain(global, &id).await,
    }
}
