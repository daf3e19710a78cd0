"""Every tipset, block and message that a real node printed has the identity that the node gave it."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin.message import (
    message_from_json,
    message_to_json,
    signed_message_from_json,
    signed_message_to_json,
)
from poolsite.filecoin.signature import BadSignature
from poolsite.filecoin.signing import message_verify
from poolsite.filecoin.tipset import tipset_from_json, tipset_to_json
from tests.unit.filecoin.golden.files import alike, load

CHAIN_ID = 31415926
"""EIP-155 id of the recorded chain, a 2k build."""


def _bodies() -> Iterator[Any]:
    for name in ("golden_rpc", "golden_mpool", "golden_mining"):
        recording = load(f"lotus/{name}")
        exchanges = recording["exchanges"] if isinstance(recording, dict) else recording
        for exchange in exchanges:
            yield from (exchange["request"], exchange["response"])
    for row in load("lotus/golden_ws"):
        yield row.get("frame")


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


@functools.cache
def recorded() -> tuple[dict[str, Any], ...]:
    """Every JSON object in the recordings."""
    found: list[dict[str, Any]] = []
    for body in _bodies():
        value = body
        if isinstance(body, str):
            try:
                value = json.loads(body)
            except ValueError:
                continue  # garbage that the recording sent on purpose
        found.extend(_walk(value))
    return tuple(found)


def test_tipsets() -> None:
    tipsets = [o for o in recorded() if {"Cids", "Blocks", "Height"} == o.keys()]

    for value in tipsets:
        tipset = tipset_from_json(value)
        assert [str(cid) for cid in tipset.cids] == [cid["/"] for cid in value["Cids"]]
        assert alike(tipset_to_json(tipset), value)
    assert len(tipsets) > 50


def test_messages() -> None:
    messages = [o for o in recorded() if {"From", "GasFeeCap", "Nonce", "CID"} <= o.keys()]

    for value in messages:
        message = message_from_json(value)
        assert str(message.cid) == value["CID"]["/"]
        assert alike(message_to_json(message), value)
    assert len(messages) > 50


def test_signed_messages_verify() -> None:
    signed = [o for o in recorded() if {"Message", "Signature", "CID"} == o.keys() and o["Signature"]]

    verified = 0
    for value in signed:
        message = signed_message_from_json(value)
        assert str(message.cid) == value["CID"]["/"]
        assert alike(signed_message_to_json(message), value)
        try:
            message_verify(message, chain_id=CHAIN_ID)
        except BadSignature:
            continue  # the recording also pushes wrong signatures, which the node refused
        verified += 1
    assert verified > 20
