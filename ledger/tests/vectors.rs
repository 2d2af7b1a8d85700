//! Golden bytes for those who write clients: `docs/vectors.json`, which
//! `docs/formats.md` refers to. A change here is a change of the format.

use crypto::{Digest, Domain, SharedSignature, SigningKey, encode};
use ledger::{
    BlockHeader, EndorsedAction, Endorsement, Event, KeyPolicy, NO_EXPIRY, Proposal,
    ProposalResponse, Read, ReadWriteSet, Reason, Response, Shortfall, Transaction,
    TransactionHash, TransactionResult, UnsignedTransaction, ValidationCode, Version, Write,
    WriteValue, attested_bytes,
};
use serde_json::{Value, json};

/// What the call would do, and its answer.
fn effects() -> (ReadWriteSet, Response) {
    let version = Version { block: 3, index: 1 };
    let rwset = ReadWriteSet {
        reads: vec![Read {
            key: "asset1".to_owned(),
            version: Some(version),
        }],
        ranges: Vec::new(),
        writes: vec![Write {
            key: "asset1".to_owned(),
            value: Some(WriteValue::Bytes(b"{}".to_vec())),
        }],
        policies: vec![KeyPolicy {
            key: "asset1".to_owned(),
            policy: Some("org1 and org2".parse().unwrap()),
        }],
    };
    let response = Response {
        payload: b"Tomoko".to_vec(),
        events: vec![Event {
            name: "transferred".to_owned(),
            payload: b"asset1".to_vec(),
        }],
    };
    (rwset, response)
}

/// Why a transaction may be invalid.
fn reasons() -> (Reason, Reason) {
    let since = Version { block: 3, index: 1 };
    let conflict = Reason::Read {
        position: 2,
        found: Some(since),
    };
    let shortfall = Reason::Policy(Shortfall {
        key: Some(0),
        since,
        met: vec![(1, 0)],
        strangers: vec![1],
        revoked: vec![2],
    });
    (conflict, shortfall)
}

/// The same transaction, endorsed with four others before it, and signed so.
fn fifth_of_five(
    (proposal, action): (&Proposal, EndorsedAction),
    (client, endorser): (&SigningKey, &SigningKey),
) -> Value {
    let fifth = |leaf, domain, key| {
        let mut leaves: Vec<_> = (1..=4).map(|byte| Digest([byte; 32])).collect();
        leaves.push(leaf);
        SharedSignature::of_all(&leaves, domain, &proposal.network, key).swap_remove(4)
    };
    let endorsement = Endorsement {
        endorser: endorser.public(),
        signature: fifth(action.leaf(), Domain::Endorsement, endorser),
    };
    let unsigned = UnsignedTransaction {
        proposal: proposal.clone(),
        contract_version: action.contract_version,
        rwset: action.rwset,
        response: action.response,
        endorsements: vec![endorsement.clone()],
    };
    let signature = fifth(unsigned.leaf(), Domain::Transaction, client);
    json!({
        "endorsement": {
            "endorser": endorsement.endorser,
            "signature": endorsement.signature.signature,
            "proof": endorsement.signature.proof,
        },
        "shared_signature": hex::encode(encode(&signature)),
        "transaction_hash": TransactionHash::of_bytes(&encode(&unsigned.signed(signature))),
    })
}

fn vectors() -> Value {
    let [client, endorser] = [9, 1].map(|byte| SigningKey::from_seed(&[byte; 32]));
    let network = Digest([7; 32]);
    let proposal = Proposal {
        network,
        contract: "asset".to_owned(),
        function: "TransferAsset".to_owned(),
        args: vec!["asset1".to_owned(), "Jin Soo".to_owned()],
        creator: client.public(),
        nonce: [5; 32],
        valid_until_block: NO_EXPIRY,
    };
    let (rwset, response) = effects();
    let action = EndorsedAction {
        transaction_id: proposal.id(),
        contract_version: 1,
        rwset: rwset.clone(),
        response: response.clone(),
    };
    let answer = ProposalResponse::endorse(action.clone(), &network, &endorser);
    let endorsements = vec![answer.endorsement.clone()];
    let transaction = Transaction::assemble(proposal.clone(), action, endorsements, &client);
    let bytes = encode(&transaction);
    let result = TransactionResult {
        index: 0,
        count: 1,
        transaction_id: proposal.id(),
        transaction_hash: TransactionHash::of_bytes(&bytes),
        code: ValidationCode::Valid,
        outcome: TransactionResult::outcome(None, Some(&response)),
    };
    let header = BlockHeader {
        number: 4,
        previous_hash: Digest([8; 32]),
        transactions_root: Digest([9; 32]),
        results_root: result.leaf(),
        state_digest: Digest([10; 32]),
        timestamp_ms: 1_800_000_000_000,
        sequence: 4,
    };
    let (conflict, shortfall) = reasons();
    json!({
        "client_seed": hex::encode([9; 32]),
        "endorser_seed": hex::encode([1; 32]),
        "network": network,
        "nonce": hex::encode([5; 32]),
        "call": ["asset", "TransferAsset", "asset1", "Jin Soo"],
        "proposal": hex::encode(encode(&proposal)),
        "fifth_of_five": fifth_of_five((&proposal, answer.action()), (&client, &endorser)),
        "transaction_id": proposal.id(),
        "signed_proposal": hex::encode(encode(&proposal.sign(&client))),
        "rwset": hex::encode(encode(&rwset)),
        "response": hex::encode(encode(&response)),
        "endorsement": hex::encode(encode(&answer.endorsement)),
        "transaction": hex::encode(bytes),
        "transaction_hash": result.transaction_hash,
        "outcome": result.outcome,
        "conflict": conflict,
        "conflict_outcome": TransactionResult::outcome(Some(&conflict), None),
        "shortfall": shortfall,
        "shortfall_outcome": TransactionResult::outcome(Some(&shortfall), None),
        "result": hex::encode(encode(&result)),
        "results_root": header.results_root,
        "header": header,
        "block_hash": header.hash(),
        "attested": hex::encode(attested_bytes(header.sequence, &header.hash())),
    })
}

#[test]
fn the_golden_bytes_are_what_they_were() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/vectors.json");
    let made = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    }
    let known: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(made, known);
}
