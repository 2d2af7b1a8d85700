#!/usr/bin/env python3
"""Creates an asset and proves it: proposal, endorsements, transaction, receipt.

usage: create_asset.py GENESIS.json KEY.pem ASSET_ID NODE_URL [NODE_URL...]
"""

import copy
import json
import os
import sys
import urllib.error
import urllib.request

from logothete import Genesis, Key, NotVerified, Proposal, assemble, verify_receipt


def call(url, body=None):
    request = urllib.request.Request(url, data=body)
    if body is not None:
        request.add_header("Content-Type", "application/octet-stream")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        error = json.load(refusal)["error"]
        raise SystemExit(f"refused: {error['message']} [{error['code']}]") from None


def forged_is_refused(genesis, receipt, transaction_id, transaction_hash):
    """A receipt with one changed digit must prove nothing."""
    forged = copy.deepcopy(receipt)
    digest = forged["header"]["state_digest"]
    forged["header"]["state_digest"] = ("1" if digest[0] == "0" else "0") + digest[1:]
    try:
        verify_receipt(genesis, forged, transaction_id, transaction_hash)
    except NotVerified:
        return
    raise NotVerified("a forged receipt was believed")


def main(genesis_file, key_file, asset, *nodes):
    with open(genesis_file, encoding="utf-8") as file:
        genesis = Genesis(file.read())
    key = Key.read(key_file)
    args = [asset, "blue", "5", "Tomoko", "300"]
    proposal = Proposal(genesis, key, "asset", "CreateAsset", args, os.urandom(32))
    # The policy of a new network: one endorser more than may lie.
    endorsers = nodes[: genesis.faults + 1]
    answers = [call(f"{node}/v1/proposals", proposal.signed) for node in endorsers]
    transaction, transaction_hash = assemble(genesis, key, proposal, answers)
    call(f"{nodes[0]}/v1/transactions", transaction)
    receipt = call(f"{nodes[0]}/v1/transactions/{proposal.id.hex()}/receipt?wait_ms=50000")
    code = verify_receipt(genesis, receipt, proposal.id, transaction_hash)
    forged_is_refused(genesis, receipt, proposal.id, transaction_hash)
    print(f"{proposal.id.hex()} {code} in block {receipt['header']['number']}, receipt verified")
    return 0 if code == "VALID" else 1


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except NotVerified as reason:
        raise SystemExit(f"not verified: {reason}") from None
