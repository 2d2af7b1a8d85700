//! A transaction in steps, through files: keys stay where they are, bytes travel.

use std::path::Path;
use std::time::Duration;

use client::{Call, SignedProposal, Transaction, UnsignedTransaction};
use crypto::codec::{Decode, Encode};
use crypto::{SharedSignature, SigningKey};
use ledger::Proposal;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::submit::send as send_transaction;
use crate::args::{Global, Identity};
use crate::exit::{Failure, Outcome};
use crate::network::Network;

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A signed thing in a file: what it is, and its canonical bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedFile {
    kind: String,
    transaction_id: String,
    bytes: String,
}

const PROPOSAL: &str = "proposal";
const UNSIGNED: &str = "unsigned transaction";
const TRANSACTION: &str = "transaction";

pub(crate) async fn propose(
    global: &Global,
    call: Call,
    identity: &Identity,
    out: &Path,
) -> Outcome {
    let network = Network::open(global)?;
    let key = network.key(&identity.name)?;
    let signed = network.client.propose(&key, call).await?;
    let id = signed.proposal.id().to_string();
    write(out, PROPOSAL, &id, &signed)?;
    wrote(global, PROPOSAL, &id, out);
    Ok(())
}

pub(crate) async fn endorse(
    global: &Global,
    file: &Path,
    identity: Option<&Identity>,
    out: &Path,
) -> Outcome {
    let network = Network::open(global)?;
    let signed: SignedProposal = read(file, PROPOSAL)?;
    let key = identity.map(|identity| key_of(&network, identity, &signed.proposal));
    let key = key.transpose()?;
    let unsigned = network.client.endorse_unsigned(&signed).await?;
    let id = unsigned.proposal.id().to_string();
    if let Some(key) = key {
        write_transaction(out, &unsigned.sign(&key))?;
        wrote(global, TRANSACTION, &id, out);
    } else {
        write(out, UNSIGNED, &id, &(signed.signature, unsigned))?;
        wrote(global, UNSIGNED, &id, out);
    }
    Ok(())
}

/// Signs what was endorsed elsewhere, and shows what that is. It must be what the same
/// key has proposed: what comes from elsewhere may be anything.
pub(crate) fn sign(global: &Global, file: &Path, identity: &Identity, out: &Path) -> Outcome {
    let network = Network::open(global)?;
    let (signature, unsigned): (SharedSignature, UnsignedTransaction) = read(file, UNSIGNED)?;
    let key = key_of(&network, identity, &unsigned.proposal)?;
    let proposal = unsigned.proposal.clone();
    let proposed = SignedProposal {
        proposal,
        signature,
    };
    proposed
        .verify(&network.genesis().network_id())
        .map_err(|refusal| {
            let message = format!("{} has not proposed this", identity.name);
            Failure::usage(message).cause(refusal)
        })?;
    let transaction = unsigned.sign(&key);
    let proposal = &transaction.proposal;
    let answer = json!({
        "transaction_id": proposal.id(),
        "file": out,
        "contract": proposal.contract,
        "function": proposal.function,
        "args": proposal.args,
        "writes": transaction.rwset.touched(),
        "response": String::from_utf8_lossy(&transaction.response.payload),
    });
    write_transaction(out, &transaction)?;
    global.output.print(&answer, |_| {
        format!(
            "signs {} {} {:?}\nwhich writes {:?}\ninto {}, the {TRANSACTION} {}",
            proposal.contract,
            proposal.function,
            proposal.args,
            transaction.rwset.touched(),
            out.display(),
            proposal.id()
        )
    });
    Ok(())
}

/// The key of whoever has made this proposal, for this network.
fn key_of(network: &Network, identity: &Identity, proposal: &Proposal) -> Outcome<SigningKey> {
    let key = network.key(&identity.name)?;
    if proposal.creator != key.public() {
        let message = format!("the proposal is not by {}", identity.name);
        return Err(Failure::usage(message).hint("`--as` names who made it"));
    }
    if proposal.network != network.genesis().network_id() {
        let message = "the proposal is for another network";
        return Err(Failure::usage(message).hint("`--network` names the folder of its own"));
    }
    Ok(key)
}

pub(crate) async fn send(global: &Global, file: &Path, timeout: Duration) -> Outcome {
    let network = Network::open(global)?;
    let transaction: Transaction = read(file, TRANSACTION)?;
    send_transaction(global, &network, transaction, timeout).await
}

pub(crate) fn write_transaction(out: &Path, transaction: &Transaction) -> Outcome {
    write(
        out,
        TRANSACTION,
        &transaction.proposal.id().to_string(),
        transaction,
    )
}

fn wrote(global: &Global, kind: &str, id: &str, out: &Path) {
    let answer = json!({"transaction_id": id, "file": out});
    global.output.print(&answer, |_| {
        format!("wrote the {kind} {id} to {}", out.display())
    });
}

fn write<T: Encode>(out: &Path, kind: &str, id: &str, value: &T) -> Outcome {
    let file = SignedFile {
        kind: kind.to_owned(),
        transaction_id: id.to_owned(),
        bytes: hex::encode(crypto::encode(value)),
    };
    let json = serde_json::to_string_pretty(&file).unwrap_or_default();
    std::fs::write(out, json + "\n")
        .map_err(|error| Failure::failed(format!("cannot write {}", out.display())).cause(error))
}

fn read<T: Decode<()>>(path: &Path, kind: &str) -> Outcome<T> {
    let unusable = |cause: String| {
        let message = format!("{} holds no {kind}", path.display());
        Failure::usage(message).cause(cause)
    };
    let text = read_text(path)?;
    let file: SignedFile = serde_json::from_str(&text).map_err(|e| unusable(e.to_string()))?;
    if file.kind != kind {
        return Err(unusable(format!("it is a {}", file.kind)));
    }
    let bytes = hex::decode(&file.bytes).map_err(|e| unusable(e.to_string()))?;
    crypto::decode(&bytes, bytes.len()).map_err(|e| unusable(e.to_string()))
}

/// The text of a file of bounded length.
pub(crate) fn read_text(path: &Path) -> Outcome<String> {
    let unreadable = |error: std::io::Error| {
        Failure::failed(format!("cannot read {}", path.display())).cause(error)
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        let message = format!("{} is longer than {MAX_FILE_BYTES} bytes", path.display());
        return Err(Failure::usage(message));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
