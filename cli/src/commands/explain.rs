//! What codes mean and what to do, and completions for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::args::{Cli, Global};
use crate::exit::{Failure, Outcome};
use crate::output::table;

/// Every code that can be met: what it means, and what to do.
const MEANINGS: &[(&str, &str, &str)] = &[
    // Verdicts on committed transactions.
    (
        "VALID",
        "The transaction is committed and took effect.",
        "Nothing is to be done.",
    ),
    (
        "MVCC_READ_CONFLICT",
        "A key that the transaction had read was written by another before it was ordered.",
        "Propose again: the new proposal sees the new value.",
    ),
    (
        "PHANTOM_READ_CONFLICT",
        "A range that the transaction had read has gained, lost or changed a key before it was ordered.",
        "Propose again: the new proposal sees the range as it is now.",
    ),
    (
        "ENDORSEMENT_POLICY_FAILURE",
        "The endorsers are not those that the contract's policy asks for.",
        "Have the proposal endorsed by members that meet the policy; `logothete contract list` shows it, `logothete tx explain` which key has one of its own.",
    ),
    (
        "DUPLICATE_TRANSACTION",
        "A transaction with this id is in the chain already; the first one counts.",
        "Nothing is to be done: `logothete tx get` shows what became of the first.",
    ),
    (
        "UNKNOWN_CREATOR",
        "Whoever signed is not a member of the network.",
        "Sign with the key of a member; `logothete member list` shows them.",
    ),
    (
        "CREATOR_NOT_PERMITTED",
        "Whoever signed is a member of a role that does not propose.",
        "Sign as a client or an admin.",
    ),
    (
        "UNKNOWN_CONTRACT",
        "The network has no contract of this name.",
        "`logothete contract list` shows those there are.",
    ),
    (
        "CREATOR_REVOKED",
        "The key that signed it has been revoked.",
        "An admin of the organisation gives the member another key: `logothete member rotate`.",
    ),
    (
        "WRONG_EFFECTS",
        "It calls the system, and when it is executed in its place it does something else.",
        "Whoever endorsed it was at fault, or lies: propose again, with another node first.",
    ),
    (
        "CONTRACT_VERSION_MISMATCH",
        "It was executed by another version of its contract than the network has agreed on.",
        "Propose again: nodes endorse with the version that was agreed on.",
    ),
    (
        "EXPIRED",
        "It was ordered, or proposed, after the last block in which it could take effect.",
        "Propose again.",
    ),
    // Refusals before ordering.
    (
        "TOO_LARGE",
        "It has more bytes than the network allows.",
        "Split it up; the limit stands in the genesis document.",
    ),
    (
        "MALFORMED",
        "The bytes are not what they should be.",
        "docs/formats.md says what they must look like.",
    ),
    (
        "WRONG_NETWORK",
        "It was signed for another network.",
        "Sign for this one: `logothete genesis hash` prints its id.",
    ),
    (
        "BAD_SIGNATURE",
        "A signature does not hold: something was altered, or another key signed.",
        "Sign what docs/formats.md says of the bytes that are sent, with the key that is named.",
    ),
    (
        "BAD_NAME",
        "A name has characters that names do not have, or too many.",
        "Use a shorter one, of the characters that the message names.",
    ),
    (
        "TOO_MANY",
        "It has more parts than are allowed.",
        "Split it up.",
    ),
    (
        "TOO_LONG",
        "A part of it is longer than is allowed.",
        "Shorten it, or keep only its hash in the ledger.",
    ),
    ("EMPTY_KEY", "A key is empty.", "Name the key."),
    (
        "EMPTY_RANGE",
        "A range can hold nothing.",
        "Let it end after it begins.",
    ),
    (
        "NOT_ASCENDING",
        "What must be sorted is not.",
        "Sort it; docs/formats.md says by what.",
    ),
    (
        "BAD_ARGUMENT",
        "It would write an argument that the call does not have, or one of them twice.",
        "Have the proposal endorsed again; ask other endorsers.",
    ),
    (
        "NOT_ENDORSED",
        "The transaction has no endorsement.",
        "Have the proposal endorsed first.",
    ),
    (
        "CONTRACT_ERROR",
        "The contract itself said no.",
        "Its message says why.",
    ),
    (
        "ALREADY_COMMITTED",
        "The same proposal has been committed before.",
        "Nothing is to be done: `logothete tx receipt` proves what became of it.",
    ),
    (
        "NOT_INSTALLED",
        "The node cannot execute this contract.",
        "Ask another node.",
    ),
    (
        "ENDORSER_REVOKED",
        "The key that the node endorses with has been revoked: its endorsements count no more.",
        "Ask another node.",
    ),
    (
        "BAD_ENDORSEMENT",
        "An endorser's answer does not hold: it answers another proposal, or its signature is wrong.",
        "Ask other endorsers, and tell whoever runs that one.",
    ),
    (
        "ENDORSERS_DISAGREE",
        "Endorsers see different states, because one is behind or lies.",
        "Try again; `logothete testnet status` shows where the nodes stand.",
    ),
    // The state of nodes.
    (
        "POOL_FULL",
        "The node holds as many transactions as it may.",
        "Try again shortly, more slowly.",
    ),
    (
        "BUSY",
        "The node executes as many calls as it may.",
        "Try again shortly.",
    ),
    (
        "BEHIND",
        "The node that was asked shows fewer blocks than are known already.",
        "Ask another node, with `--node`, or wait until this one has caught up.",
    ),
    (
        "NO_QUORUM",
        "Not enough nodes gave the same answer at the same height.",
        "Ask again when all nodes are up; `--consistency local` asks one of them alone.",
    ),
    (
        "NOT_READY",
        "The node or the network cannot do this now.",
        "`logothete wait --for quorum` waits until it can.",
    ),
    (
        "STORE_FAILURE",
        "The node cannot read its database.",
        "Ask another node; its log says more.",
    ),
    (
        "UNREACHABLE",
        "No answer came.",
        "`logothete testnet status` shows which nodes run.",
    ),
    (
        "TIMED_OUT",
        "The time was over before the outcome was known.",
        "Handing the same transaction in again is safe: it counts once.",
    ),
    (
        "NOT_FOUND",
        "There is no such thing, or not yet.",
        "Check the name; a transaction that was just handed in takes a moment.",
    ),
    (
        "NOT_FOR_TESTING",
        "Only nodes of a network for testing can be told to misbehave.",
        "A genesis document that says `testing` makes such a network, as `logothete testnet up` does.",
    ),
    (
        "BAD_REQUEST",
        "The node does not understand the question.",
        "/v1/openapi.json describes what can be asked.",
    ),
    // Commands.
    (
        "VERIFICATION_FAILED",
        "Something does not hold against the genesis document.",
        "Do not believe it, and find out who changed it.",
    ),
    (
        "NO_KEY",
        "There is no key of that name that can be used.",
        "`--as` takes a name from the folder `keys` of the network.",
    ),
    (
        "REPLICA_STOPPED",
        "In a replay the replica stops at an assertion, as it did when this was recorded.",
        "The journal shows what led to it: keep the file, and report it with its version.",
    ),
    (
        "INVARIANT_BROKEN",
        "The simulator found a run in which a promise does not hold.",
        "Run the seed again by itself: it fails the same way each time.",
    ),
    (
        "USAGE",
        "The command was typed wrongly.",
        "`--help` shows how.",
    ),
    (
        "FAILED",
        "Something outside of Logothete did not work.",
        "The cause says what.",
    ),
];

/// What a code means, and what to do.
pub(crate) fn meaning(code: &str) -> Option<(&'static str, &'static str)> {
    let mut of_code = MEANINGS.iter().filter(|it| it.0 == code);
    of_code
        .next()
        .map(|(_, meaning, remedy)| (*meaning, *remedy))
}

pub(crate) fn explain(global: &Global, code: Option<&str>) -> Outcome {
    let Some(code) = code else {
        let all: Vec<_> = MEANINGS
            .iter()
            .map(|(code, meaning, remedy)| json!({"code": code, "meaning": meaning, "remedy": remedy}))
            .collect();
        global.output.print(&all, |_| {
            let rows = MEANINGS.iter().map(|it| [it.0.to_owned(), it.1.to_owned()]);
            table(["CODE", "MEANING"], rows)
        });
        return Ok(());
    };
    let code = code.to_ascii_uppercase();
    let Some((meaning, remedy)) = meaning(&code) else {
        return Err(Failure::not_found(format!("there is no code {code}"))
            .hint("`logothete explain` lists all of them"));
    };
    let answer = json!({"code": code, "meaning": meaning, "remedy": remedy});
    global
        .output
        .print(&answer, |_| format!("{code}\n{meaning}\n{remedy}"));
    Ok(())
}

pub(crate) fn completions(shell: Shell) {
    let mut command = Cli::command();
    clap_complete::generate(shell, &mut command, "logothete", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use ledger::ValidationCode;

    use super::*;

    #[test]
    fn every_verdict_is_explained() {
        for code in ValidationCode::ALL {
            assert!(meaning(code.as_str()).is_some(), "{code}");
        }
    }

    /// The codes that commands themselves end with stand where they do.
    #[test]
    fn every_code_that_a_command_ends_with_is_explained() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut folders, mut found) = (vec![source], 0);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                for made in text.split("Failure::new(").skip(1) {
                    let Some((_, rest)) = made.split_once(',') else {
                        continue;
                    };
                    // What is not written there was made elsewhere.
                    let Some(rest) = rest.trim_start().strip_prefix('"') else {
                        continue;
                    };
                    let code = rest.split('"').next().unwrap_or_default();
                    assert!(meaning(code).is_some(), "{code} of {}", path.display());
                    found += 1;
                }
            }
        }
        assert!(found > 10, "{found}");
    }

    #[test]
    fn every_code_is_explained_once() {
        for (at, (code, ..)) in MEANINGS.iter().enumerate() {
            let again = MEANINGS[at + 1..].iter().any(|it| it.0 == *code);
            assert!(!again, "{code} is explained twice");
        }
    }

    #[test]
    fn commands_are_well_formed() {
        Cli::command().debug_assert();
    }
}
