//! Following the chain without believing the node that shows it.

use std::path::{Path, PathBuf};

use crypto::NetworkId;
use ledger::{BlockHeader, LightClient, Receipt};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::genesis::read as read_genesis;
use super::steps::read_text;
use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;
use crate::output::short;

/// Up to where the chain of a network was followed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    network: NetworkId,
    header: BlockHeader,
}

/// How many headers are asked for at a time.
const AT_A_TIME: u64 = 100;

pub(crate) async fn light(
    global: &Global,
    genesis: Option<&Path>,
    receipts: &[PathBuf],
) -> Outcome {
    let document = read_genesis(global, genesis)?;
    let state = document.ledger_genesis();
    let network = Network::open(global)?;
    let kept = global.network.join("light.json");
    let id = document.network_id();
    let mut light = match known(&kept, id)? {
        Some(header) => LightClient::resume(&state, header),
        None => LightClient::new(&state),
    };
    let receipts = read_receipts(receipts)?;
    for (file, receipt) in &receipts {
        receipt
            .verify(&document.network_id(), &document.attesters())
            .map_err(|error| {
                Failure::not_verified(format!("the receipt in {} does not hold", file.display()))
                    .cause(error)
            })?;
    }
    up_to(&network, light.header(), &receipts).await?;
    let keep = |header: &BlockHeader| {
        let header = header.clone();
        keep(
            &kept,
            &Kept {
                network: id,
                header,
            },
        )
    };
    let followed = follow(&network, &mut light, &receipts, keep).await?;
    let height = light.header().number;
    if let Some((file, receipt)) = receipts.iter().find(|(_, it)| it.header.number > height) {
        let (file, block) = (file.display(), receipt.header.number);
        let message = format!("{file} is of block {block}, and the node shows none after {height}");
        return Err(
            Failure::new(Exit::NotReady, "BEHIND", message).hint("`--node` asks another one")
        );
    }
    let answer = json!({
        "ok": true,
        "height": height,
        "block_hash": light.hash(),
        "state_digest": light.header().state_digest,
        "headers_followed": followed,
        "receipts": receipts.iter().map(|(_, of)| json!({
            "transaction_id": of.transaction_id,
            "code": of.code,
            "block": of.header.number,
        })).collect::<Vec<_>>(),
    });
    global.output.print(&answer, |_| {
        let mut lines = vec![format!(
            "block {height} is {}, attested by a quorum ({followed} headers followed)",
            short(&light.hash().to_string()),
        )];
        lines.extend(receipts.iter().map(|(_, of)| {
            let (id, block) = (of.transaction_id.to_string(), of.header.number);
            format!("{} is {} in block {block}", id, of.code)
        }));
        lines.join("\n")
    });
    Ok(())
}

/// Follows the headers as far as quorums attest them, and holds receipts against them.
async fn follow(
    network: &Network,
    light: &mut LightClient,
    receipts: &[(PathBuf, Receipt)],
    keep: impl Fn(&BlockHeader) -> Outcome,
) -> Outcome<u64> {
    let mut followed = 0;
    loop {
        let from = light.header().number + 1;
        let headers = network.ask(async |node| node.headers(from, AT_A_TIME).await);
        let headers = headers.await?;
        let news = light.follow(&headers).map_err(|error| {
            Failure::not_verified("the node shows a chain that no quorum attests").cause(error)
        })?;
        if news == 0 {
            return Ok(followed);
        }
        // What comes after the newest attested one is nobody's word yet.
        let attested = headers.iter().map(|of| &of.header);
        for header in attested.take_while(|header| header.number <= light.header().number) {
            forked(receipts, header)?;
        }
        followed += news;
        keep(light.header())?;
    }
}

fn read_receipts(files: &[PathBuf]) -> Outcome<Vec<(PathBuf, Receipt)>> {
    let read = |file: &PathBuf| {
        let receipt = serde_json::from_str(&read_text(file)?).map_err(|error| {
            Failure::not_verified(format!("{} holds no receipt", file.display())).cause(error)
        })?;
        Ok((file.clone(), receipt))
    };
    files.iter().map(read).collect()
}

/// Holds receipts of blocks that were followed before against the chain, from the newest
/// of those down: what is kept of it is that one's header.
async fn up_to(
    network: &Network,
    newest: &BlockHeader,
    receipts: &[(PathBuf, Receipt)],
) -> Outcome {
    let blocks = receipts.iter().map(|(_, receipt)| receipt.header.number);
    let Some(oldest) = blocks.filter(|block| *block <= newest.number).min() else {
        return Ok(());
    };
    let mut header = newest.clone();
    forked(receipts, &header)?;
    while header.number > oldest {
        let from = oldest.max(header.number.saturating_sub(AT_A_TIME));
        let count = header.number - from;
        let before = network.ask(async |node| node.headers(from, count).await);
        let mut before = before.await?;
        if before.len() as u64 != count {
            let (known, shown) = (newest.number, before.len());
            let message = format!(
                "block {known} is known here, and of the {count} blocks below {} the node shows {shown}",
                header.number
            );
            return Err(
                Failure::new(Exit::NotReady, "BEHIND", message).hint("`--node` asks another one")
            );
        }
        for _ in 0..count {
            let older = before.pop().map(|of| of.header);
            header = older
                .filter(|older| older.hash() == header.previous_hash)
                .ok_or_else(|| {
                    Failure::not_verified(format!(
                        "the node shows another chain below block {} than was followed before",
                        newest.number
                    ))
                })?;
            forked(receipts, &header)?;
        }
    }
    Ok(())
}

/// A receipt that holds in a block that the chain does not have: more replicas
/// lie than a network survives.
fn forked(receipts: &[(PathBuf, Receipt)], header: &BlockHeader) -> Outcome {
    let other = receipts
        .iter()
        .find(|(_, receipt)| receipt.header.number == header.number && receipt.header != *header);
    match other {
        None => Ok(()),
        Some((file, _)) => Err(Failure::not_verified(format!(
            "{} proves another block {} than the node shows: keep it, it is evidence",
            file.display(),
            header.number
        ))),
    }
}

/// The header that this network's chain was followed to before.
fn known(path: &Path, network: NetworkId) -> Outcome<Option<BlockHeader>> {
    if !path.exists() {
        return Ok(None);
    }
    let hint = "remove it: the chain is then followed from genesis on";
    let kept: Kept = serde_json::from_str(&read_text(path)?).map_err(|error| {
        Failure::failed(format!(
            "{} is damaged, or of another version",
            path.display()
        ))
        .cause(error)
        .hint(hint)
    })?;
    if kept.network == network {
        return Ok(Some(kept.header));
    }
    Err(Failure::not_verified(format!(
        "{} is of network {}, and the genesis document is that of {network}",
        path.display(),
        kept.network
    ))
    .hint(hint))
}

fn keep(path: &Path, kept: &Kept) -> Outcome {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot write {}", path.display())).cause(error)
    };
    let text = serde_json::to_string(kept).expect("a header is plain data");
    let beside = path.with_extension("json.new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
