"""Checks of addresses, amounts, sets, CIDs and randomness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poolsite.filecoin import address as addr
from poolsite.filecoin import cbor
from poolsite.filecoin.amounts import amount_parse
from poolsite.filecoin.bitfield import (
    BITFIELD,
    bitfield_from_bytes,
    bitfield_from_json,
    bitfield_of,
    bitfield_to_bytes,
    bitfield_to_json,
)
from poolsite.filecoin.cids import (
    cid_digest,
    cid_from_bytes,
    cid_from_json,
    cid_of_cbor,
    cid_parse,
    cid_to_commd,
    cid_to_commr,
    cid_to_json,
    commd_cid,
    commr_cid,
)
from poolsite.filecoin.election import win_count
from poolsite.filecoin.kinds import ADDRESS, AMOUNT
from poolsite.filecoin.randomness import draw_randomness, draw_randomness_from_digest, randomness_digest


def addresses(data: Any) -> Iterator[object]:
    for case in data["valid"]:
        raw = bytes.fromhex(case["bytes"])
        parsed = addr.address_parse(case["mainnet"])
        assert parsed == addr.address_parse(case["testnet"]) == addr.address_from_bytes(raw)
        assert (parsed.protocol, parsed.payload.hex()) == (case["protocol"], case["payload"])
        assert bytes(parsed) == raw
        assert str(parsed) == case["mainnet"]
        assert addr.address_format(parsed, prefix="t") == case["testnet"]
        assert ADDRESS.decode(ADDRESS.encode(parsed), 0) == (parsed, len(raw) + (1 if len(raw) < 24 else 2))
        if "pubkey" in case:
            assert addr.secp256k1_address(bytes.fromhex(case["pubkey"])) == parsed
        yield case
    for case in data["parse"]:
        if case["ok"]:
            assert bytes(addr.address_parse(case["in"])).hex() == case["bytes"]
        else:
            with pytest.raises(addr.BadAddress) as refusal:
                addr.address_parse(case["in"])
            assert str(refusal.value) == case["error"], case
        yield case


def bigints(data: Any) -> Iterator[object]:
    for case in data:
        number, encoded = int(case["dec"]), bytes.fromhex(case["cbor"])
        assert AMOUNT.encode(number) == encoded
        assert AMOUNT.decode(encoded, 0) == (number, len(encoded))
        assert AMOUNT.to_json(number) == case["json"]
        assert AMOUNT.read_json(case["json"]) == amount_parse(case["json"]) == number
        yield case


def bitfields(data: Any) -> Iterator[object]:
    for case in data:
        raw = bytes.fromhex(case["rle"])
        field = bitfield_of(case["set"])
        assert bitfield_to_bytes(field) == raw
        assert bitfield_from_bytes(raw) == field
        assert list(field) == case["set"]
        assert BITFIELD.encode(field).hex() == case["cbor"]
        assert bitfield_to_json(field) == case["json"]
        assert bitfield_from_json(case["json"]) == field
        yield case


def cids(data: Any) -> Iterator[object]:
    for case in data:
        if case["kind"].startswith("dag-cbor"):
            cid = cid_of_cbor(bytes.fromhex(case["data"]))
            assert str(cid) == case["cid"]
            assert cid_parse(case["cid"]) == cid == cid_from_bytes(bytes.fromhex(case["bytes"]))
            assert cid_to_json(cid) == case["json"]
            assert cid_from_json(case["json"]) == cid
            assert cbor.cid_write(cid).hex() == case["cbor_tag42"]
            assert cbor.decode(bytes.fromhex(case["cbor_tag42"])) == cid
        else:
            commitment = bytes.fromhex(case["comm"])
            assert str(commr_cid(commitment)) == case["commR_cid"]
            assert str(commd_cid(commitment)) == case["commD_cid"] == case["commP_cid"]
            assert cid_to_commr(cid_parse(case["commR_cid"])) == commitment
            assert cid_to_commd(cid_parse(case["commD_cid"])) == commitment
            assert cid_digest(cid_parse(case["commP_cid"])) == commitment
        yield case


def randomness(data: Any) -> Iterator[object]:
    for case in data:
        base, entropy = bytes.fromhex(case["base"]), bytes.fromhex(case["entropy"])
        drawn = draw_randomness(base, case["tag"], case["round"], entropy)
        assert drawn.hex() == case["out"]
        digest = randomness_digest(base)
        assert draw_randomness_from_digest(digest, case["tag"], case["round"], entropy) == drawn
        yield case


def election(data: Any) -> Iterator[object]:
    for case in data:
        won = win_count(bytes.fromhex(case["vrf_proof"]), int(case["power"]), int(case["total"]))
        assert won == case["win_count"]
        yield case
