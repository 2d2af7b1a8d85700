//! Which of the blocks that a peer served are the network's.

use crypto::{Digest, NetworkId};
use ledger::{Attesters, BlockCertificate, Limits, UncheckedBlock};

use super::ServedBlock;

/// A block that a quorum attests, and its certificate where it came with one that holds.
#[derive(Debug)]
pub(crate) struct AttestedBlock {
    pub(crate) block: UncheckedBlock,
    pub(crate) certificate: Option<BlockCertificate>,
}

/// The blocks that follow `parent` (a number and a hash) one after the other, as
/// far as a quorum attests them: up to the last one with a certificate that
/// holds. Each is what its header says, and keeps its certificate only if it holds.
pub(crate) fn attested_prefix(
    served: Vec<ServedBlock>,
    parent: (u64, Digest),
    attesters: &Attesters,
    network: &NetworkId,
    limits: &Limits,
) -> Vec<AttestedBlock> {
    let (mut number, mut hash) = parent;
    let mut linked = Vec::new();
    let mut attested = 0;
    for ServedBlock { block, certificate } in served {
        number = number.saturating_add(1);
        if (block.header.number, block.header.previous_hash) != (number, hash) {
            break;
        }
        hash = block.header.hash();
        let Ok(block) = UncheckedBlock::new(block, network, limits) else {
            break;
        };
        if block.claimed_results().is_err() {
            break;
        }
        let certificate =
            certificate.filter(|given| attesters.verify(given, network, number, &hash).is_ok());
        let has_certificate = certificate.is_some();
        linked.push(AttestedBlock { block, certificate });
        if has_certificate {
            attested = linked.len();
        }
    }
    linked.truncate(attested);
    linked
}

#[cfg(test)]
mod tests {
    use crypto::Domain;
    use genesis::Genesis;
    use ledger::{BlockCertificate, Ledger, OrderedBatch, attested_bytes};

    use super::*;
    use crate::testing::{genesis, replica_key};

    fn certificate(
        genesis: &Genesis,
        number: u64,
        hash: &Digest,
        signers: u32,
    ) -> BlockCertificate {
        let body = attested_bytes(number, hash);
        let sign = |signer: u32| {
            let key = replica_key(u8::try_from(signer).unwrap());
            let signature = key.sign(Domain::Checkpoint, &genesis.network_id(), &body);
            (signer, signature)
        };
        BlockCertificate {
            signatures: (0..signers).map(sign).collect(),
        }
    }

    /// Five blocks of one network, each with a certificate.
    fn chain() -> (Genesis, Vec<ServedBlock>) {
        let genesis = genesis();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), &genesis.ledger_genesis()).unwrap();
        let blocks = (1..=5).map(|sequence| {
            let batch = OrderedBatch {
                sequence,
                name: crypto::Digest::ZERO,
                timestamp_ms: 1000 * sequence,
                transactions: Vec::new(),
            };
            let committed = ledger.commit(batch).unwrap();
            ServedBlock {
                block: (*committed.block).clone(),
                certificate: Some(certificate(&genesis, sequence, &committed.hash, 3)),
            }
        });
        let blocks = blocks.collect();
        (genesis, blocks)
    }

    fn taken(genesis: &Genesis, served: Vec<ServedBlock>) -> Vec<ServedBlock> {
        let state = genesis.ledger_genesis();
        let taken = attested_prefix(
            served,
            (0, state.hash()),
            state.attesters(),
            &genesis.network_id(),
            &genesis.limits(),
        );
        let served = taken.into_iter().map(|taken| ServedBlock {
            block: taken.block.block().clone(),
            certificate: taken.certificate,
        });
        served.collect()
    }

    #[test]
    fn blocks_that_a_quorum_attests_are_taken_and_successors_speak_for_those_before() {
        let (genesis, mut served) = chain();
        assert_eq!(taken(&genesis, served.clone()), served);
        for earlier in &mut served[..4] {
            earlier.certificate = None;
        }
        assert_eq!(taken(&genesis, served.clone()), served);
    }

    #[test]
    fn what_no_quorum_attests_is_left() {
        let (genesis, served) = chain();
        let hash = served[4].block.header.hash();
        let mut without = served.clone();
        without[4].certificate = None;
        assert_eq!(taken(&genesis, without), served[..4]);
        let mut too_few = served.clone();
        too_few[4].certificate = Some(certificate(&genesis, 5, &hash, 2));
        assert_eq!(taken(&genesis, too_few), served[..4]);
        let mut of_another = served.clone();
        of_another[4].certificate = served[3].certificate.clone();
        assert_eq!(taken(&genesis, of_another), served[..4]);
    }

    #[test]
    fn a_block_out_of_place_or_other_than_its_header_ends_the_row() {
        let (genesis, served) = chain();
        assert!(taken(&genesis, served[1..].to_vec()).is_empty());
        let mut gap = served.clone();
        gap.remove(2);
        assert_eq!(taken(&genesis, gap), served[..2]);
        let mut stuffed = served.clone();
        stuffed[3].block.verdicts.push(ledger::Verdict::VALID);
        assert_eq!(taken(&genesis, stuffed), served[..3]);
        let mut swapped = served.clone();
        swapped[3].block.header.results_root = swapped[3].block.header.previous_hash;
        assert_eq!(taken(&genesis, swapped), served[..3]);
    }
}
