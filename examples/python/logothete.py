"""Genesis, proposals, transactions and receipts of Logothete, from docs/formats.md."""

import json

from canonical import (
    blob,
    domain_hash,
    leaf_hash,
    listing,
    optional,
    proof_leads_to,
    signed_bytes,
    string,
    u8,
    u32,
    u64,
)
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

CODES = [
    "VALID",
    "MVCC_READ_CONFLICT",
    "PHANTOM_READ_CONFLICT",
    "ENDORSEMENT_POLICY_FAILURE",
    "DUPLICATE_TRANSACTION",
    "UNKNOWN_CREATOR",
    "CREATOR_NOT_PERMITTED",
    "UNKNOWN_CONTRACT",
    "EXPIRED",
    "CREATOR_REVOKED",
    "WRONG_EFFECTS",
    "CONTRACT_VERSION_MISMATCH",
]
CONSENSUS = [
    "max_batch_transactions",
    "max_batch_bytes",
    "max_transaction_bytes",
    "checkpoint_interval",
    "log_window",
    "max_in_flight",
    "request_timeout_ms",
    "request_timeout_cap_ms",
    "max_timestamp_ahead_ms",
    "status_interval_ms",
]
NO_EXPIRY = 2**64 - 1
MAX_SIGNED_AT_ONCE = 256


class NotVerified(Exception):
    """Something does not hold."""


def verify_signature(key, signature, tag, network, body):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(
            signature, signed_bytes(tag, network, body)
        )
    except InvalidSignature:
        raise NotVerified(f"the signature of {key.hex()} does not hold") from None


class Genesis:
    """What the network agreed on: its id, its replicas' keys, its quorum."""

    def __init__(self, text):
        document = json.loads(text)
        self.replicas = [bytes.fromhex(r["consensus_key"]) for r in document["replicas"]]
        n = len(self.replicas)
        self.faults = (n - 1) // 3
        self.quorum = (n + self.faults) // 2 + 1
        self.network = domain_hash("genesis", self._canonical(document))

    @staticmethod
    def _canonical(d):
        def member(m):
            return string(m["name"]) + bytes.fromhex(m["key"])

        def organisation(o):
            members = listing(o["admins"], member) + listing(o["clients"], member)
            return string(o["name"]) + members

        def replica(r):
            return (
                u64(r["id"])
                + string(r["name"])
                + string(r["organisation"])
                + bytes.fromhex(r["consensus_key"])
                + bytes.fromhex(r["transport_key"])
                + listing(r["addresses"], string)
            )

        def contract(c):
            return string(c["name"]) + u64(c.get("version", 1)) + string(c["policy"])

        return (
            u64(d["format"])
            + string(d["network"])
            + u8(int(d["testing"]))
            + listing(d["organisations"], organisation)
            + listing(d["replicas"], replica)
            + listing(d["contracts"], contract)
            + b"".join(u64(d["consensus"][name]) for name in CONSENSUS)
        )


class Key:
    """A signing key."""

    @classmethod
    def read(cls, path):
        with open(path, "rb") as file:
            return cls(load_pem_private_key(file.read(), None))

    def __init__(self, key):
        self._key = key
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign_alone(self, tag, network, entry):
        """A shared signature on this entry, which is signed with nothing else."""
        signature = self._key.sign(signed_bytes(tag, network, leaf_hash(entry) + u64(1)))
        return signature + u64(0) + u64(1) + u64(0)


class Proposal:
    """A call of a contract, signed by its creator."""

    def __init__(self, genesis, key, contract, function, args, nonce):
        self.bytes = (
            genesis.network
            + string(contract)
            + string(function)
            + listing(args, string)
            + key.public
            + nonce
            + u64(NO_EXPIRY)
        )
        self.id = domain_hash("proposal", self.bytes)
        self.signed = self.bytes + key.sign_alone("proposal", genesis.network, self.id)


def assemble(genesis, key, proposal, answers):
    """The transaction that endorsers' answers make, each of them checked."""
    parts = ("contract_version", "rwset", "response")
    effects = {tuple(answer[part] for part in parts) for answer in answers}
    if len(effects) != 1:
        raise NotVerified("the endorsers do not agree on what the proposal does")
    version, rwset, response = effects.pop()
    effects = u32(version) + bytes.fromhex(rwset) + bytes.fromhex(response)
    leaf = leaf_hash(proposal.id + effects)
    endorsements = [_endorsement(genesis, answer["endorsement"], leaf) for answer in answers]
    body = proposal.bytes + effects + listing(sorted(endorsements), bytes)
    entry = domain_hash("transaction", body)
    transaction = body + key.sign_alone("transaction", genesis.network, entry)
    return transaction, domain_hash("transaction", transaction)


def _endorsement(genesis, it, leaf):
    """The canonical bytes of an endorsement of what has this leaf, once it holds."""
    try:
        endorser, signature = digest(it["endorser"]), bytes.fromhex(it["signature"])
        index, size = it["proof"]["index"], it["proof"]["size"]
        path = [digest(sibling) for sibling in it["proof"]["path"]]
        endorsement = endorser + signature + u64(index) + u64(size) + listing(path, bytes)
        root = proof_leads_to(leaf, index, size, path)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as reason:
        raise NotVerified(f"it is no endorsement: {reason}") from None
    if endorser not in genesis.replicas:
        raise NotVerified("the endorser is no replica of this network")
    if size > MAX_SIGNED_AT_ONCE:
        raise NotVerified("it endorses more at once than may be")
    verify_signature(endorser, signature, "endorsement", genesis.network, root + u64(size))
    return endorsement


def _version(version):
    return u64(version["block"]) + u32(version["index"])


def _reason(reason):
    """The canonical bytes of why a transaction is invalid."""
    ((kind, it),) = reason.items()
    number = u32(["read", "range", "policy", "earlier", "member", "contract"].index(kind))
    match kind:
        case "read":
            return number + u32(it["position"]) + optional(it["found"], _version)
        case "range":
            return number + u32(it["position"]) + optional(it["newest"], _version)
        case "policy":
            met = listing(it["met"], lambda pair: u8(pair[0]) + u8(pair[1]))
            others = listing(it["strangers"], u8) + listing(it["revoked"], u8)
            return number + optional(it["key"], u32) + _version(it["since"]) + met + others
        case "earlier":
            return number + _version(it["place"])
        case "member":
            return number + _version(it["since"])
        case "contract":
            return number + u32(it["agreed"]) + _version(it["since"])


def _response(response):
    def event(it):
        return string(it["name"]) + blob(bytes.fromhex(it["payload"]))

    return blob(bytes.fromhex(response["payload"])) + listing(response["events"], event)


def outcome(reason, response):
    """The hash of why a transaction is invalid, or of what a valid one answered."""
    return domain_hash("outcome", optional(reason, _reason) + optional(response, _response))


def digest(text):
    """A digest in hexadecimal. Of another length, it could borrow from its neighbour."""
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise NotVerified(f"{text} is no digest")
    return value


def block_hash(header):
    digests = ["previous_hash", "transactions_root", "results_root", "state_digest"]
    return domain_hash(
        "block-header",
        u64(header["number"])
        + b"".join(digest(header[name]) for name in digests)
        + u64(header["timestamp_ms"])
        + u64(header["sequence"]),
    )


def verify_certificate(genesis, header, signatures):
    """Checks that a quorum attests the block with this header."""
    attested = u64(header["sequence"]) + block_hash(header)
    previous = -1
    for replica, signature in signatures:
        # Also keeps Python from counting negative numbers from the end.
        if replica <= previous:
            raise NotVerified(f"replica {replica} is repeated or out of order")
        if replica >= len(genesis.replicas):
            raise NotVerified(f"there is no replica {replica}")
        key, signature = genesis.replicas[replica], bytes.fromhex(signature)
        verify_signature(key, signature, "checkpoint", genesis.network, attested)
        previous = replica
    if len(signatures) < genesis.quorum:
        raise NotVerified(
            f"{len(signatures)} replicas attest it, a quorum is {genesis.quorum}"
        )


def verify_receipt(genesis, receipt, transaction_id, transaction_hash):
    """Checks a receipt against genesis; returns the verdict that it proves."""
    try:
        return _verify_receipt(genesis, receipt, transaction_id, transaction_hash)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as reason:
        raise NotVerified(f"it is no receipt: {reason}") from None


def _verify_receipt(genesis, receipt, transaction_id, transaction_hash):
    if digest(receipt["transaction_id"]) != transaction_id:
        raise NotVerified("it is the receipt of another transaction")
    if digest(receipt["transaction_hash"]) != transaction_hash:
        raise NotVerified("it is the receipt of other bytes under the same id")
    if receipt["code"] == "DUPLICATE_TRANSACTION":
        raise NotVerified("it says that the id came again, and not what became of it")
    header, proof = receipt["header"], receipt["proof"]
    result = (
        u64(proof["index"])
        + u64(proof["size"])
        + transaction_id
        + transaction_hash
        + u8(CODES.index(receipt["code"]))
        + outcome(receipt["reason"], receipt["response"])
    )
    path = [digest(sibling) for sibling in proof["path"]]
    root = proof_leads_to(leaf_hash(result), proof["index"], proof["size"], path)
    if root != digest(header["results_root"]):
        raise NotVerified("the result does not stand in the block")
    verify_certificate(genesis, header, receipt["certificate"]["signatures"])
    return receipt["code"]
