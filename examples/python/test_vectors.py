"""The golden bytes of docs/vectors.json, made again from docs/formats.md."""

import json
import pathlib
import unittest

from canonical import domain_hash, leaf_hash, u64
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from logothete import Key, Proposal, assemble, block_hash

VECTORS = pathlib.Path(__file__).parents[2] / "docs" / "vectors.json"


class Network:
    """As much of a genesis document as the vectors need."""

    def __init__(self, network, replicas):
        self.network, self.replicas = network, replicas


class Vectors(unittest.TestCase):
    def test_everything_is_made_alike(self):
        known = json.loads(VECTORS.read_text())
        client = Key(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(known["client_seed"])))
        endorser = Key(
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(known["endorser_seed"]))
        )
        network = Network(bytes.fromhex(known["network"]), [endorser.public])
        contract, function, *args = known["call"]
        nonce = bytes.fromhex(known["nonce"])
        proposal = Proposal(network, client, contract, function, args, nonce)
        self.assertEqual(proposal.bytes.hex(), known["proposal"])
        self.assertEqual(proposal.id.hex(), known["transaction_id"])
        self.assertEqual(proposal.signed.hex(), known["signed_proposal"])
        effects = bytes.fromhex(known["rwset"]) + bytes.fromhex(known["response"])
        signature = endorser.sign("endorsement", network.network, proposal.id + effects)
        self.assertEqual((endorser.public + signature).hex(), known["endorsement"])
        answer = {
            "rwset": known["rwset"],
            "response": known["response"],
            "endorsement": {
                "endorser": endorser.public.hex(),
                "signature": signature.hex(),
            },
        }
        transaction, transaction_hash = assemble(network, client, proposal, [answer])
        self.assertEqual(transaction.hex(), known["transaction"])
        self.assertEqual(transaction_hash.hex(), known["transaction_hash"])
        self.assertEqual(domain_hash("transaction", transaction), transaction_hash)
        result = bytes.fromhex(known["result"])
        self.assertEqual(leaf_hash(result).hex(), known["results_root"])
        header = known["header"]
        self.assertEqual(block_hash(header).hex(), known["block_hash"])
        attested = u64(header["sequence"]) + block_hash(header)
        self.assertEqual(attested.hex(), known["attested"])


if __name__ == "__main__":
    unittest.main()
