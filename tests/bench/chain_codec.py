"""Speed of the chain formats: messages and blocks to bytes, identities and back.

Beside each figure stands a general CBOR library (cbor2, in C) doing only the CBOR part of the same work: no
addresses, amounts, canonical checks or dataclasses.  The limits are those of the issue "Chain".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

from poolsite.filecoin.message import (
    signed_message_from_cbor,
    signed_message_from_json,
    signed_message_to_cbor,
    signed_message_to_json,
)
from poolsite.filecoin.tipset import tipset_from_json

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "chain"
BLOCK_MESSAGES = 500
"""Messages of the block that is decoded."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    name: str
    """What is measured."""
    work: Callable[[], object]
    """Does it once."""
    peer: Callable[[], object] | None = None
    """The CBOR part alone, by cbor2."""
    limit_us: float | None = None
    """Most microseconds that the issue allows."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The result of one measurement."""

    name: str
    value: float
    """Microseconds, the best of several rounds."""
    unit: str
    peer: float | None
    """The same for cbor2."""
    limit: float | None


def cases() -> list[Case]:
    """All measurements."""
    rows = json.loads((GOLDEN / "messages_secp.json").read_text())
    raw = [bytes.fromhex(row["signed_cbor"]) for row in rows if "signed_cbor" in row]
    block = (raw * (BLOCK_MESSAGES // len(raw) + 1))[:BLOCK_MESSAGES]
    typical = next(data for data in raw if len(data) > 150)
    signed = signed_message_from_cbor(typical)
    plain = cbor2.loads(typical)
    value = signed_message_to_json(signed)
    tipset = _busy_tipset()
    return [
        Case(
            "encode and CID of a signed message",
            lambda: (signed_message_to_cbor(signed), signed.cid),
            lambda: cbor2.dumps(plain),
            60.0,
        ),
        Case(
            f"decode the {BLOCK_MESSAGES} signed messages of a block",
            lambda: [signed_message_from_cbor(data) for data in block],
            lambda: [cbor2.loads(data) for data in block],
            15_000.0,
        ),
        Case("signed message to JSON", lambda: signed_message_to_json(signed)),
        Case("signed message from JSON", lambda: signed_message_from_json(value)),
        Case("tipset of a real node from JSON, CIDs checked", lambda: tipset_from_json(tipset)),
    ]


def run(case: Case) -> Figure:
    """Measure one case."""
    peer = _best_us(case.peer) if case.peer is not None else None
    return Figure(case.name, _best_us(case.work), "us", peer, case.limit_us)


def _busy_tipset() -> Any:
    tipsets = json.loads((GOLDEN / "lotus" / "golden_blocks.json").read_text())
    return max((entry["tipset"] for entry in tipsets), key=lambda value: len(value["Blocks"]))


def _best_us(work: Callable[[], object], *, rounds: int = 7, least_s: float = 0.02) -> float:
    """Microseconds of one call: the best round of enough calls to outlast the clock's grain."""
    started = time.perf_counter()
    work()
    calls = max(1, int(least_s / max(time.perf_counter() - started, 1e-7)))
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - started) / calls)
    return best * 1e6
