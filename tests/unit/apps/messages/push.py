"""Messages that are refused when they are pushed."""

from __future__ import annotations

import math
from typing import Any

from apps.messages.rules.push_items import Gas, SendSpec
from poolsite.filecoin.address import ZERO_ADDRESS, actor_address
from poolsite.filecoin.amounts import TOTAL_FILECOIN

BIG = TOTAL_FILECOIN + 1
REFUSED = (
    "message execution failed (exit=[ErrIllegalArgument(16)], vm error=[message failed with backtrace:\n"
    "00: f04 (method 2) -- send aborted (16)\n"
    "01: f01 (method 2) -- unable to resolve worker address f3abc (16)\n"
    " (RetCode=16)])"
)
"""How a node says that the execution of a message failed."""

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("id empty", {"id": ""}, "id"),
    ("id too long", {"id": "x" * 257}, "id"),
    ("id with NUL", {"id": "a\0b"}, "id"),
    ("id with line feed", {"id": "a\nb"}, "id"),
    ("to empty", {"to": ""}, "to"),
    ("to undefined", {"to": "<empty>"}, "to"),
    ("to word", {"to": "nobody"}, "to"),
    ("to bad checksum", {"to": "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3zb"}, "to"),
    ("to other network", {"to": "x01000"}, "to"),
    ("to negative id", {"to": "f0-1"}, "to"),
    ("to huge id", {"to": "f09999999999999999999999"}, "to"),
    ("to point at infinity", {"to": str(ZERO_ADDRESS)}, "to"),
    ("from empty", {"from_": ""}, "from"),
    ("from undefined", {"from_": "<empty>"}, "from"),
    ("from word", {"from_": "me"}, "from"),
    ("from unknown id", {"from_": "f01234"}, "from"),
    ("from actor address", {"from_": str(actor_address(b"an actor"))}, "from"),
    ("from stranger's key", {"from_": "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"}, "from"),
    ("value negative", {"value": -1}, "value"),
    ("value above all FIL", {"value": BIG}, "value"),
    ("method negative", {"method": -1}, "method"),
    ("method above 63 bits", {"method": 1 << 63}, "method"),
    ("params too large", {"params": bytes(70_000)}, "params"),
    ("params of another method", {"to": "f04", "method": 2, "params": b"\x81\x01"}, "params"),
    ("params missing", {"to": "f05", "method": 2, "params": b""}, "params"),
    ("params cut", {"to": "f04", "method": 2, "params": b"\x85\x55"}, "params"),
    ("params with more behind", {"to": "f05", "method": 2, "params": b"\x41\x01\x00"}, "params"),
    ("params no CBOR", {"to": "f06", "method": 4, "params": b"\xff\xff"}, "params"),
    ("hold fee negative", {"spec": SendSpec(hold_base_fee=-1)}, "hold_base_fee"),
    ("hold fee above all FIL", {"spec": SendSpec(hold_base_fee=BIG)}, "hold_base_fee"),
    ("hold epoch negative", {"spec": SendSpec(hold_until=-1)}, "hold_until"),
    ("hold epoch beyond all epochs", {"spec": SendSpec(hold_until=1 << 62)}, "hold_until"),
    ("gas limit negative", {"gas": Gas(limit=-1)}, "gas_limit"),
    ("gas limit above a block", {"gas": Gas(limit=10**10 + 1)}, "gas_limit"),
    ("gas limit below its storage", {"gas": Gas(limit=600_000)}, "gas_limit"),
    ("fee cap negative", {"gas": Gas(fee_cap=-1)}, "gas_fee_cap"),
    ("fee cap above all FIL", {"gas": Gas(fee_cap=BIG)}, "gas_fee_cap"),
    ("premium negative", {"gas": Gas(premium=-1)}, "gas_premium"),
    ("premium above the cap", {"gas": Gas(fee_cap=5, premium=6)}, "gas_premium"),
    ("max fee negative", {"spec": SendSpec(max_fee=-1)}, "max_fee"),
    ("max fee above all FIL", {"spec": SendSpec(max_fee=BIG)}, "max_fee"),
    ("over-estimation negative", {"spec": SendSpec(gas_over_estimation=-0.1)}, "gas_over_estimation"),
    ("over-estimation huge", {"spec": SendSpec(gas_over_estimation=1e9)}, "gas_over_estimation"),
    (
        "over-estimation not a number",
        {"spec": SendSpec(gas_over_estimation=float("nan"))},
        "gas_over_estimation",
    ),
    ("over-premium negative", {"spec": SendSpec(gas_over_premium=-1)}, "gas_over_premium"),
    ("over-premium infinite", {"spec": SendSpec(gas_over_premium=math.inf)}, "gas_over_premium"),
    ("expiry negative", {"expire_epoch": -1}, "expire_epoch"),
    ("expiry passed", {"expire_epoch": 1}, "expire_epoch"),
    ("expiry beyond all epochs", {"expire_epoch": 1 << 62}, "expire_epoch"),
]
