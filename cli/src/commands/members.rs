//! Members and contracts: transactions to the system, signed by an admin.

use std::path::{Path, PathBuf};

use crypto::{PublicKey, SigningKey};
use ledger::{EndorsementPolicy, OrgId};
use node::api::types::{ContractAnswer, MemberAnswer};

use super::submit::submit;
use crate::args::{ContractCommand, Global, MemberCommand, NewKey, Signed};
use crate::exit::{Exit, Failure, Outcome};
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
            let key = Key::of(global, &name, &key)?;
            let args = vec![name, role, key.public.to_string()];
            key.settle(call(global, "_members", "enroll", args, &common).await)
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
            let key = Key::of(global, &name, &key)?;
            let args = vec![name, key.public.to_string()];
            key.settle(call(global, "_members", "rotate", args, &common).await)
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

async fn call(
    global: &Global,
    contract: &str,
    function: &str,
    args: Vec<String>,
    signed: &Signed,
) -> Outcome {
    let call = client::Call::new(contract, function, args);
    submit(global, call, &signed.identity, signed.timeout, 0).await
}

/// A key that a member is to have: one that was given, or a new one that lies
/// beside its place until the ledger has it.
struct Key {
    public: PublicKey,
    files: Option<(PathBuf, PathBuf)>,
}

impl Key {
    fn of(global: &Global, name: &str, asked: &NewKey) -> Outcome<Self> {
        if let Some(public) = asked.key {
            return Ok(Self {
                public,
                files: None,
            });
        }
        if !ledger::names::is_member_name(name) {
            return Err(Failure::usage(format!(
                "{name:?} cannot be a member's name"
            )));
        }
        let place = Network::open(global)?.folder.key_file(name);
        let beside = place.with_extension("new.pem");
        // What an interrupted attempt has left may be in the ledger already.
        let key = match SigningKey::read_file(&beside) {
            Ok(key) => key,
            Err(_) => new_key(&beside)?,
        };
        Ok(Self {
            public: key.public(),
            files: Some((beside, place)),
        })
    }

    /// Puts the key in its place if the ledger has it, and removes it if the
    /// ledger certainly does not.
    fn settle(self, outcome: Outcome) -> Outcome {
        let Some((beside, place)) = self.files else {
            return outcome;
        };
        let settled = match &outcome {
            Ok(()) => std::fs::rename(&beside, &place),
            Err(failure) if failure.exit == Exit::Unknown => Ok(()),
            Err(_) => std::fs::remove_file(&beside),
        };
        let failed = |error| {
            Failure::failed(format!("cannot put {} in its place", beside.display())).cause(error)
        };
        outcome.and(settled.map_err(failed))
    }
}

fn new_key(path: &Path) -> Outcome<SigningKey> {
    let key = SigningKey::generate()
        .map_err(|error| Failure::failed("the system gives no randomness").cause(error))?;
    key.write_file(path).map_err(|error| {
        Failure::failed(format!("cannot write {}", path.display())).cause(error)
    })?;
    Ok(key)
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
