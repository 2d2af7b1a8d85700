"""The golden bytes of docs/vectors.json, made again from docs/formats.md."""

import copy
import json
import pathlib
import re
import unittest

from canonical import domain_hash, leaf_hash, proof_leads_to, u32, u64
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from logothete import (
    Genesis,
    Key,
    NotVerified,
    Proposal,
    assemble,
    block_hash,
    outcome,
    verify_receipt,
    verify_signature,
)

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
VECTORS = ROOT / "docs" / "vectors.json"


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
        effects = u32(1) + bytes.fromhex(known["rwset"]) + bytes.fromhex(known["response"])
        entry = proposal.id + effects
        signature = endorser.sign_alone("endorsement", network.network, entry)
        endorsement = endorser.public + signature
        self.assertEqual(endorsement.hex(), known["endorsement"])
        answer = {
            "contract_version": 1,
            "rwset": known["rwset"],
            "response": known["response"],
            "endorsement": {
                "endorser": endorser.public.hex(),
                "signature": signature[:64].hex(),
                "proof": {"index": 0, "size": 1, "path": []},
            },
        }
        transaction, transaction_hash = assemble(network, client, proposal, [answer])
        self.assertEqual(transaction.hex(), known["transaction"])
        self.assertEqual(transaction_hash.hex(), known["transaction_hash"])
        self.assertEqual(domain_hash("transaction", transaction), transaction_hash)
        fifth = known["fifth_of_five"]
        answer["endorsement"] = fifth["endorsement"]
        transaction, _ = assemble(network, client, proposal, [answer])
        alone = 64 + 3 * 8
        body, shared = transaction[:-alone], bytes.fromhex(fifth["shared_signature"])
        leaf = leaf_hash(domain_hash("transaction", body))
        proof = answer["endorsement"]["proof"]
        path = [bytes.fromhex(sibling) for sibling in proof["path"]]
        root = proof_leads_to(leaf, proof["index"], proof["size"], path)
        signed = root + u64(proof["size"])
        verify_signature(client.public, shared[:64], "transaction", network.network, signed)
        transaction = body + shared
        transaction_hash = domain_hash("transaction", transaction)
        self.assertEqual(transaction_hash.hex(), fifth["transaction_hash"])
        self.refuses_bad_proofs(network, client, proposal, answer)
        for reason in ["conflict", "shortfall"]:
            self.assertEqual(outcome(known[reason], None).hex(), known[f"{reason}_outcome"])
        result = bytes.fromhex(known["result"])
        self.assertEqual(leaf_hash(result).hex(), known["results_root"])
        header = known["header"]
        self.assertEqual(block_hash(header).hex(), known["block_hash"])
        attested = u64(header["sequence"]) + block_hash(header)
        self.assertEqual(attested.hex(), known["attested"])

    def refuses_bad_proofs(self, network, client, proposal, answer):
        proof = answer["endorsement"]["proof"]
        bad = [
            {"index": 3},
            {"index": 5},
            {"index": -1},
            {"size": 4},
            {"index": 1, "size": 2},
            {"size": 257},
            {"path": []},
            {"path": proof["path"] * 2},
            {"path": [proof["path"][0][:62]]},
            {"path": None},
        ]
        for change in bad:
            endorsement = {**answer["endorsement"], "proof": {**proof, **change}}
            with self.assertRaises(NotVerified):
                assemble(network, client, proposal, [{**answer, "endorsement": endorsement}])
        del endorsement["proof"]
        with self.assertRaises(NotVerified):
            assemble(network, client, proposal, [{**answer, "endorsement": endorsement}])

    def test_the_document_shows_the_golden_bytes(self):
        document = (ROOT / "docs" / "formats.md").read_text()
        shown = re.findall(r"\b[0-9a-f]{64,}\b", document)
        self.assertTrue(shown)
        golden = VECTORS.read_text() + GENESIS_ID.read_text()
        for value in shown:
            self.assertIn(value, golden)


GENESIS_ID = ROOT / "genesis" / "tests" / "vectors" / "example.id"


class Beginnings(unittest.TestCase):
    def test_a_genesis_document_has_the_id_that_it_has_elsewhere(self):
        genesis = Genesis(GENESIS_ID.with_suffix(".json").read_text())
        self.assertEqual(genesis.network.hex(), GENESIS_ID.read_text().strip())


class Receipts(unittest.TestCase):
    """A receipt of a network of four: the third of nine in its block."""

    def setUp(self):
        self.genesis = Genesis((HERE / "golden" / "genesis.json").read_text())
        self.receipt = json.loads((HERE / "golden" / "receipt.json").read_text())
        self.id = bytes.fromhex(self.receipt["transaction_id"])
        self.hash = bytes.fromhex(self.receipt["transaction_hash"])

    def test_a_refusal_is_proven_with_its_reason(self):
        refused = json.loads((HERE / "golden" / "refused.json").read_text())
        ids = [bytes.fromhex(refused[f"transaction_{part}"]) for part in ("id", "hash")]
        self.assertEqual(verify_receipt(self.genesis, refused, *ids), "MVCC_READ_CONFLICT")
        self.assertEqual(refused["reason"]["read"]["position"], 0)
        for reason in [None, {"read": {"position": 1, "found": None}}, {"range": {}}]:
            with self.assertRaises(NotVerified):
                verify_receipt(self.genesis, {**refused, "reason": reason}, *ids)

    def verify(self, receipt):
        return verify_receipt(self.genesis, receipt, self.id, self.hash)

    def refused(self, change):
        forged = copy.deepcopy(self.receipt)
        change(forged)
        with self.assertRaises(NotVerified):
            self.verify(forged)

    def test_it_proves_its_verdict(self):
        self.assertEqual(self.verify(self.receipt), "VALID")

    def test_it_proves_it_to_those_of_its_network_only(self):
        text = (HERE / "golden" / "genesis.json").read_text()
        self.genesis = Genesis(text.replace('"testnet"', '"another"'))
        self.refused(lambda receipt: None)

    def test_it_proves_no_other_transaction(self):
        self.refused(lambda receipt: receipt.update(transaction_id="00" * 32))
        self.refused(lambda receipt: receipt.update(transaction_hash="00" * 32))

    def test_no_field_can_be_changed(self):
        self.refused(lambda receipt: receipt.update(code="EXPIRED"))
        self.refused(lambda receipt: receipt.update(code="FINE"))
        self.refused(lambda receipt: receipt["response"].update(payload="00"))
        self.refused(lambda receipt: receipt.update(response=None))
        for name, value in [("index", 3), ("size", 8), ("size", 2**64), ("path", [])]:
            self.refused(lambda receipt: receipt["proof"].update({name: value}))
        for name, value in self.receipt["header"].items():
            other = value + 1 if isinstance(value, int) else value[:-1] + "x"
            self.refused(lambda receipt: receipt["header"].update({name: other}))
            self.refused(lambda receipt: receipt["header"].pop(name))

    def test_fields_do_not_borrow_from_each_other(self):
        def shift(receipt):
            header = receipt["header"]
            header["transactions_root"] += header["results_root"]
            header["results_root"] = ""

        self.refused(shift)

    def test_it_takes_a_quorum_of_distinct_replicas(self):
        def signatures(change):
            self.refused(
                lambda receipt: receipt["certificate"].update(
                    signatures=change(receipt["certificate"]["signatures"])
                )
            )

        signatures(lambda known: known[:2])
        signatures(lambda known: [known[0], known[1], known[1]])
        signatures(lambda known: [[known[1][0] - 4, known[1][1]], *known[:2]])
        signatures(lambda known: [*known[:2], [known[1][0] - 4, known[1][1]]])
        signatures(lambda known: [*known[:2], [3, known[2][1]]])
        signatures(lambda known: [*known[:2], [4, known[2][1]]])
        signatures(lambda known: list(reversed(known)))


if __name__ == "__main__":
    unittest.main()
