//! Members and contracts: transactions to the system, signed by an admin.

use ledger::{EndorsementPolicy, OrgId};
use node::api::types::{ContractAnswer, MemberAnswer};

use super::given::Given;
use super::submit::submit;
use crate::args::{ContractCommand, Global, MemberCommand, Signed};
use crate::exit::{Failure, Outcome};
use crate::network::Network;
use crate::output::table;

pub(crate) async fn members(global: &Global, command: MemberCommand) -> Outcome {
    match command {
        MemberCommand::List => list(global).await,
        MemberCommand::Enroll {
            member: name,
            role,
            key,
            common,
        } => {
            let network = Network::open(global)?;
            let given = Given::first(&network, &name, &key)?;
            let args = vec![name, role, given.public().to_string()];
            given.enter(global, "enroll", args, &common).await
        }
        MemberCommand::Revoke {
            member: name,
            common,
        } => call(global, "_members", "revoke", vec![name], &common).await,
        MemberCommand::Rotate {
            member: name,
            key,
            common,
        } => {
            let network = Network::open(global)?;
            let given = Given::next(&network, &name, &key).await?;
            let args = vec![name, given.public().to_string()];
            given.enter(global, "rotate", args, &common).await
        }
    }
}

pub(crate) async fn contracts(global: &Global, command: ContractCommand) -> Outcome {
    match command {
        ContractCommand::List => list_contracts(global).await,
        ContractCommand::Version {
            contract,
            version,
            common,
        } => {
            let args = vec![contract, version.to_string()];
            call(global, "_contracts", "set_version", args, &common).await
        }
        ContractCommand::Policy {
            contract,
            policy: None,
            ..
        } => show_policy(global, &contract).await,
        ContractCommand::Policy {
            contract,
            policy: Some(policy),
            common,
        } => {
            check_policy(&Network::open(global)?, &policy)?;
            let args = vec![contract, policy];
            call(global, "_contracts", "set_policy", args, &common).await
        }
    }
}

pub(super) async fn call(
    global: &Global,
    contract: &str,
    function: &str,
    args: Vec<String>,
    signed: &Signed,
) -> Outcome {
    let call = client::Call::new(contract, function, args);
    submit(global, call, &signed.identity, signed.timeout, 0).await
}

async fn list(global: &Global) -> Outcome {
    let network = Network::open(global)?;
    let answer = network.ask(async |node| node.members().await).await?;
    global.output.print(&answer, |answer| {
        let rows = answer.members.iter().map(|member| {
            let MemberAnswer {
                name,
                organisation,
                role,
                key,
                revoked,
            } = member.clone();
            let state = if revoked { "revoked" } else { "" };
            [name, organisation, role, key, state.to_owned()]
        });
        table(["NAME", "ORGANISATION", "ROLE", "KEY", ""], rows)
    });
    Ok(())
}

async fn list_contracts(global: &Global) -> Outcome {
    let network = Network::open(global)?;
    let answer = network.ask(async |node| node.contracts().await).await?;
    global.output.print(&answer, |answer| {
        let rows = answer.contracts.iter();
        let rows = rows.map(|of| [of.name.clone(), of.version.to_string(), of.policy.clone()]);
        table(["CONTRACT", "VERSION", "ENDORSEMENT POLICY"], rows)
    });
    Ok(())
}

async fn show_policy(global: &Global, contract: &str) -> Outcome {
    let network = Network::open(global)?;
    let answer = network.ask(async |node| node.contracts().await).await?;
    let mut named = answer.contracts.into_iter();
    let found: Option<ContractAnswer> = named.find(|of| of.name == contract);
    let found = found.ok_or_else(|| {
        Failure::not_found(format!("there is no contract {contract}"))
            .hint("`logothete contract list` shows those there are")
    })?;
    global.output.print(&found, |found| found.policy.clone());
    Ok(())
}

/// Says where a policy is wrong before anybody else is bothered with it.
fn check_policy(network: &Network, text: &str) -> Outcome {
    let replicas = network.genesis().replicas().iter();
    let organisations: Vec<OrgId> = replicas.map(|of| of.organisation.clone()).collect();
    let Err(error) = EndorsementPolicy::parse(text, &organisations) else {
        return Ok(());
    };
    let failure = Failure::usage(error.to_string());
    Err(match error.at() {
        Some(at) => {
            let before = text.get(..at).map_or(0, |before| before.chars().count());
            failure.cause(format!("\n    {text}\n    {}^", " ".repeat(before)))
        }
        None => failure,
    })
}
