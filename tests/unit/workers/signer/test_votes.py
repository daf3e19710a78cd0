"""Votes of fast finality: told from other bytes, whatever type a node asks for them as."""

from __future__ import annotations

import pytest

from poolsite.filecoin.address import address_parse
from workers.signer.errors import NotUnderstood
from workers.signer.payloads import payload_decode
from workers.signer.sign_request import SignRequest

ADDRESS = address_parse(
    "f3q3w6cw7h772tmn5j6gsqwbjeq7u4m3fv43jyvdkchuiaegxejkqsiy5aq2e5pfo57rxeaskygauihcs2gpaa"
)
TABLE = bytes.fromhex("0171a0e40220") + bytes(range(32))
VOTE = (
    b"GPBFT:filecoin:\x04" + (2).to_bytes(8, "big") + (313_515).to_bytes(8, "big") + b"\xc3" * 64 + TABLE
)  # go-f3 gpbft/types.go: phase, round, instance, commitments, the chain's key, the power table
DRAW = b"VRF:filecoin:" + b":" + bytes(31) + b":" + (313_515).to_bytes(8, "big") + (2).to_bytes(8, "big")


def read(meta_type: str, data: bytes) -> SignRequest:
    return payload_decode(address=ADDRESS, to_sign=data, meta_type=meta_type, extra=b"", sign_bytes=b"")


@pytest.mark.parametrize("meta_type", ["unknown", "f3"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (VOTE, "COMMIT in round 2 of instance 313515 of filecoin"),
        (DRAW, "ticket of round 2 of instance 313515 of filecoin"),
    ],
    ids=["vote", "draw"],
)
def test_a_vote_is_one_whatever_the_node_calls_it(meta_type, data, words):
    """lotus asks for its votes as `unknown`, venus as `f3`."""
    request = read(meta_type, data)

    assert (request.type, request.about, request.payload, request.raw) == ("f3", words, data, data)
    assert request.description == f"f3: {words}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        VOTE[:15],
        VOTE[: len(VOTE) - len(TABLE) - 1],
        VOTE.replace(b"filecoin", b""),
        VOTE.replace(b"filecoin", b"file coin"),
        VOTE.replace(b"filecoin", b"filecoi\xff"),
        VOTE.replace(b":\x04", b":\x07"),
        VOTE.replace(b"GPBFT", b"gpbft"),
        DRAW[:-1],
        b"VRF:filecoin:" + DRAW[-17:],
        DRAW.replace(b"VRF:filecoin:", b"VRF::"),
    ],
)
def test_other_bytes_are_no_vote(data):
    assert read("unknown", data).type == "unknown"
    with pytest.raises(NotUnderstood, match="not a fast-finality vote"):
        read("f3", data)
