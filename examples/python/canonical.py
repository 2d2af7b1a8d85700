"""Canonical bytes, domains and Merkle trees, as docs/formats.md describes them."""

import hashlib


def u8(value):
    return value.to_bytes(1, "little")


def u32(value):
    return value.to_bytes(4, "little")


def u64(value):
    return value.to_bytes(8, "little")


def blob(value):
    return u64(len(value)) + value


def string(value):
    return blob(value.encode())


def listing(values, encode):
    return u64(len(values)) + b"".join(encode(value) for value in values)


def optional(value, encode):
    return u8(0) if value is None else u8(1) + encode(value)


def _head(tag):
    tag = f"logothete/1/{tag}".encode()
    return u8(len(tag)) + tag


def domain_hash(tag, body):
    return hashlib.sha256(_head(tag) + body).digest()


def signed_bytes(tag, network, body):
    return _head(tag) + network + domain_hash(tag, body)


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def _node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def proof_leads_to(leaf, index, size, path):
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        raise ValueError("the proof's index lies outside of its tree")
    at, last, computed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is too long for its tree")
        if at % 2 == 1 or at == last:
            computed = _node_hash(sibling, computed)
            while at % 2 == 0 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            computed = _node_hash(computed, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ValueError("the proof is too short for its tree")
    return computed
