//! Following the chain without believing the node that shows it.

use std::path::{Path, PathBuf};

use ledger::{BlockHeader, LightClient, Receipt};
use serde_json::json;

use super::genesis::read as read_genesis;
use super::steps::read_text;
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::network::Network;
use crate::output::short;

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
    let mut light = match known(&kept)? {
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
    let mut followed = 0;
    loop {
        let from = light.header().number + 1;
        let headers = network.ask(async |node| node.headers(from, AT_A_TIME).await);
        let headers = headers.await?;
        for of in &headers {
            forked(&receipts, &of.header)?;
        }
        let news = light.follow(&headers).map_err(|error| {
            Failure::not_verified("the node shows a chain that no quorum attests").cause(error)
        })?;
        followed += news;
        if news == 0 {
            break;
        }
        keep(&kept, light.header())?;
    }
    let answer = json!({
        "ok": true,
        "height": light.header().number,
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
            "block {} is {}, attested by a quorum ({followed} headers followed)",
            light.header().number,
            short(&light.hash().to_string()),
        )];
        lines.extend(receipts.iter().map(|(_, of)| {
            let (id, block) = (of.transaction_id.to_string(), of.header.number);
            format!("{} is {} in block {block}", short(&id), of.code)
        }));
        lines.join("\n")
    });
    Ok(())
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

/// The header that was followed to before.
fn known(path: &Path) -> Outcome<Option<BlockHeader>> {
    if !path.exists() {
        return Ok(None);
    }
    serde_json::from_str(&read_text(path)?)
        .map(Some)
        .map_err(|error| {
            Failure::failed(format!("{} is damaged", path.display()))
                .cause(error)
                .hint("remove it: the chain is then followed from genesis on")
        })
}

fn keep(path: &Path, header: &BlockHeader) -> Outcome {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot write {}", path.display())).cause(error)
    };
    let text = serde_json::to_string(header).expect("a header is plain data");
    let beside = path.with_extension("json.new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
