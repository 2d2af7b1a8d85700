//! Every wire type has one encoding per value, and nothing else decodes.

use std::fmt::Debug;

use crypto::codec::{Decode, Encode};
use crypto::merkle::InclusionProof;
use crypto::{Digest, PublicKey, SharedSignature, Signature, decode, encode};
use ledger::{
    ContractDefinition, EndorsedAction, Endorsement, EndorsementPolicy, Event, Identity, KeyPolicy,
    Proposal, ProposalResponse, RangeRead, Read, ReadWriteSet, Reason, Response, Role, RowValue,
    Shortfall, SignedProposal, StateRow, Transaction, TransactionId, ValidationCode, Verdict,
    Version, Write, WriteValue,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// That a value survives the way there and back, and that whatever comes of it
/// when a byte is altered, cut off or added has its own bytes or none.
fn check<T: Encode + Decode<()> + PartialEq + Debug>(
    value: &T,
    at: Index,
    to: u8,
) -> Result<(), TestCaseError> {
    let bytes = encode(value);
    let decoded = decode::<T>(&bytes, bytes.len()).unwrap();
    prop_assert_eq!(&decoded, value);
    let at = at.index(bytes.len());
    let mut altered = bytes.clone();
    altered[at] = to;
    if let Ok(other) = decode::<T>(&altered, altered.len()) {
        prop_assert_eq!(encode(&other), altered);
    }
    prop_assert!(decode::<T>(&bytes[..at], bytes.len()).is_err());
    let longer = [&bytes[..], &[to]].concat();
    prop_assert!(decode::<T>(&longer, longer.len()).is_err());
    Ok(())
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| Signature(bytes.try_into().unwrap()))
}

fn version() -> impl Strategy<Value = Version> {
    any::<(u64, u32)>().prop_map(|(block, index)| Version { block, index })
}

fn rwset() -> impl Strategy<Value = ReadWriteSet> {
    let read = (".{0,6}", prop::option::of(version()));
    let range = (".{0,6}", ".{0,6}", digest());
    let value = prop_oneof![
        any::<Vec<u8>>().prop_map(WriteValue::Bytes),
        any::<u8>().prop_map(WriteValue::Argument),
    ];
    let write = (".{0,6}", prop::option::of(value));
    let reads = vec(read.prop_map(|(key, version)| Read { key, version }), 0..4);
    let ranges = vec(
        range.prop_map(|(start, end, result)| RangeRead { start, end, result }),
        0..3,
    );
    let writes = vec(write.prop_map(|(key, value)| Write { key, value }), 0..4);
    let guard = (".{0,6}", prop::option::of(policy()));
    let policies = vec(
        guard.prop_map(|(key, policy)| KeyPolicy { key, policy }),
        0..3,
    );
    (reads, ranges, writes, policies).prop_map(|(reads, ranges, writes, policies)| ReadWriteSet {
        reads,
        ranges,
        writes,
        policies,
    })
}

fn policy() -> impl Strategy<Value = EndorsementPolicy> {
    let texts = vec![
        "org1",
        "org1 and (org2 or org3.admin)",
        "2 of (org1, org2, org3)",
    ];
    select(texts).prop_map(|text| text.parse().unwrap())
}

fn reason() -> impl Strategy<Value = Option<Reason>> {
    let read = || (any::<u32>(), prop::option::of(version()));
    let bytes = || vec(any::<u8>(), 0..3);
    let shortfall = (
        (any::<Option<u32>>(), version()),
        vec(any::<(u8, u8)>(), 0..3),
        (bytes(), bytes()),
    );
    prop::option::of(prop_oneof![
        read().prop_map(|(position, found)| Reason::Read { position, found }),
        read().prop_map(|(position, newest)| Reason::Range { position, newest }),
        shortfall.prop_map(|((key, since), met, (strangers, revoked))| {
            Reason::Policy(Shortfall {
                key,
                since,
                met,
                strangers,
                revoked,
            })
        }),
        version().prop_map(|place| Reason::Earlier { place }),
        version().prop_map(|since| Reason::Member { since }),
        (any::<u32>(), version()).prop_map(|(agreed, since)| Reason::Contract { agreed, since }),
    ])
}

fn response() -> impl Strategy<Value = Response> {
    let event = (".{0,6}", any::<Vec<u8>>()).prop_map(|(name, payload)| Event { name, payload });
    (any::<Vec<u8>>(), vec(event, 0..3)).prop_map(|(payload, events)| Response { payload, events })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let call = (".{0,6}", ".{0,6}", vec(".{0,6}", 0..4));
    let rest = (digest(), key(), any::<[u8; 32]>(), any::<u64>());
    (call, rest).prop_map(
        |((contract, function, args), (network, creator, nonce, valid_until_block))| Proposal {
            network,
            contract,
            function,
            args,
            creator,
            nonce,
            valid_until_block,
        },
    )
}

fn shared_signature() -> impl Strategy<Value = SharedSignature> {
    let proof = (any::<u64>(), any::<u64>(), vec(digest(), 0..4));
    let proof = proof.prop_map(|(index, size, path)| InclusionProof { index, size, path });
    (signature(), proof).prop_map(|(signature, proof)| SharedSignature { signature, proof })
}

fn endorsement() -> impl Strategy<Value = Endorsement> {
    let parts = (key(), shared_signature());
    parts.prop_map(|(endorser, signature)| Endorsement {
        endorser,
        signature,
    })
}

proptest! {
    #[test]
    fn proposals(proposal in proposal(), signature in shared_signature(), at in any::<Index>(), to in any::<u8>()) {
        check(&proposal, at, to)?;
        check(&SignedProposal { proposal, signature }, at, to)?;
    }

    #[test]
    fn endorsements(
        id in digest(), contract_version in any::<u32>(), rwset in rwset(), response in response(),
        endorsement in endorsement(), key_policies in vec(policy(), 0..3), at in any::<Index>(), to in any::<u8>()
    ) {
        let transaction_id = TransactionId(id);
        let action = EndorsedAction { transaction_id, contract_version, rwset, response };
        check(&action, at, to)?;
        let EndorsedAction { rwset, response, .. } = action;
        let response = ProposalResponse {
            transaction_id, contract_version, rwset, response, endorsement, key_policies
        };
        check(&response, at, to)?;
    }

    #[test]
    fn transactions(
        proposal in proposal(), contract_version in any::<u32>(), rwset in rwset(),
        response in response(),
        endorsements in vec(endorsement(), 0..4), signature in shared_signature(),
        at in any::<Index>(), to in any::<u8>()
    ) {
        check(
            &Transaction { proposal, contract_version, rwset, response, endorsements, signature },
            at, to
        )?;
    }

    #[test]
    fn rows_of_the_state(
        name in "[a-z0-9-]{1,64}", role in select(vec![Role::Admin, Role::Client, Role::Peer]),
        key in key(), version in version(), value in vec(any::<u8>(), 0..600),
        number in any::<u32>(), own in prop::option::of(policy()),
        at in any::<Index>(), to in any::<u8>()
    ) {
        let organisation = name.parse().unwrap();
        let policy = format!("OR('{name}.{role}', 'org1.peer')").parse().unwrap();
        check(&Identity { name: name.clone(), organisation, role, key }, at, to)?;
        check(&ContractDefinition { name, version: number, policy }, at, to)?;
        check(&StateRow { version, value: RowValue::of(&value, version), policy: own }, at, to)?;
        check(&version, at, to)?;
    }

    #[test]
    fn verdicts(
        code in select(ValidationCode::ALL.to_vec()), reason in reason(), at in any::<Index>(), to in any::<u8>()) {
        check(&code, at, to)?;
        check(&Verdict { code, reason }, at, to)?;
    }

    #[test]
    fn any_bytes_are_a_transaction_in_one_way_or_in_none(bytes in vec(any::<u8>(), 0..600)) {
        if let Ok(transaction) = decode::<Transaction>(&bytes, bytes.len()) {
            prop_assert_eq!(encode(&transaction), bytes);
        }
    }
}

/// Two proposals that differ in any field are two transactions, also where one
/// field's end could pass for the next one's beginning.
#[test]
fn no_two_proposals_share_an_id() {
    let base = Proposal {
        network: Digest([1; 32]),
        contract: "kv".to_owned(),
        function: "put".to_owned(),
        args: vec!["a".to_owned(), "b".to_owned()],
        creator: PublicKey([2; 32]),
        nonce: [3; 32],
        valid_until_block: 9,
    };
    let alterations: [fn(&mut Proposal); 10] = [
        |_| {},
        |proposal| proposal.network = Digest([9; 32]),
        |proposal| (proposal.contract, proposal.function) = ("k".to_owned(), "vput".to_owned()),
        |proposal| proposal.function = "get".to_owned(),
        |proposal| proposal.args = vec!["ab".to_owned()],
        |proposal| proposal.args = vec![String::new(), "ab".to_owned()],
        |proposal| proposal.args.push(String::new()),
        |proposal| proposal.creator = PublicKey([9; 32]),
        |proposal| proposal.nonce[31] = 9,
        |proposal| proposal.valid_until_block = 8,
    ];
    let ids: std::collections::BTreeSet<_> = alterations
        .iter()
        .map(|alter| {
            let mut proposal = base.clone();
            alter(&mut proposal);
            proposal.id()
        })
        .collect();
    assert_eq!(ids.len(), alterations.len());
    for id in ids {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
